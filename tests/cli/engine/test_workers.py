"""`chatloom audit --engine dask`: the same audit, read by workers. What takes processes is in tests/engines/killed."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chatloom_async.cli import readers, sources
from chatloom_async.engines import DaskEngine, EngineLostError, Shard, ShardResult
from chatloom_async.engines.dask import workers_at
from chatloom_async.sandbox import Sandbox
from tests.cli.conftest import Ran
from tests.cli.test_program import wait_for

pytest.importorskip("distributed")
Chatloom = Callable[..., Ran]


def told(text: str) -> dict[str, dict[str, Any]]:
    """The rows of a JSON Lines report, by workspace."""
    return {row["workspace"]: row for row in map(json.loads, text.splitlines())}


@pytest.mark.parametrize(("asked", "room"), [("3", 3), ("8", 8), ("15", 8), ("16", 16), ("99", 32)])
def test_no_more_are_read_at_once_than_was_asked_for(
    chatloom: Chatloom, three: str, cluster: str, asked: str, room: int
) -> None:
    """In shards of eight at once, or of fewer where fewer were asked for; and in no more than the workers can."""
    ran = chatloom("audit", three, "--engine", "dask", "--scheduler", cluster, "--concurrency", asked)
    assert ran.err.startswith(f"reading on the cluster at {cluster}, up to {room} workspaces at once\n")


def test_workers_report_what_one_process_does(chatloom: Chatloom, three: str, cluster: str) -> None:
    """Rows, findings, status and closing lines; one more line tells where it is read."""
    alone = chatloom("audit", three, "--format", "jsonl")
    ran = chatloom("audit", three, "--format", "jsonl", "--engine", "dask", "--scheduler", cluster)
    assert (ran.status, told(ran.out)) == (alone.status, told(alone.out)) == (3, told(alone.out))
    assert sorted(told(ran.out)) == ["acme", "birch", "cedar"]
    first, totals, *_, advice = ran.err.splitlines()
    assert first == f"reading on the cluster at {cluster}, up to 32 workspaces at once"
    assert totals.startswith("3 workspaces: 2 ok, 1 failed | 5 agents, ")
    assert advice == "next: set CEDAR_KEY, then add --only cedar to read only it again"


def test_workers_resolve_a_member_of_a_json_object(
    chatloom: Chatloom, sandbox: Sandbox, cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reference travels, not the object: each worker has the variable."""
    monkeypatch.setenv("KEYS", json.dumps({each.name: each.key.reveal() for each in sandbox}))
    names = [each.name for each in sandbox]
    path = tmp_path / "w.json"
    path.write_text(json.dumps([{"name": name, "key_json": f"KEYS#{name}"} for name in (*names, "elm")]))
    ran = chatloom("audit", str(path), "--format", "jsonl", "--engine", "dask", "--scheduler", cluster)
    rows = told(ran.out)
    assert {name: row["state"] for name, row in rows.items()} == {**dict.fromkeys(names, "ok"), "elm": "failed"}
    told_of_elm = "The JSON object in environment variable KEYS has no member 'elm'. Correct the reference, "
    assert rows["elm"]["error"]["message"].startswith(told_of_elm)


@contextmanager
def ctrl_c(moment: Callable[[], object]) -> Iterator[None]:
    """Comes once the moment is there."""
    thread = threading.Thread(target=lambda: (wait_for(moment), os.kill(os.getpid(), signal.SIGINT)))
    thread.start()
    yield
    thread.join()


@pytest.mark.parametrize("first", ["local", "dask"])
def test_what_one_engine_began_another_one_continues(
    chatloom: Chatloom, sandbox: Sandbox, three: str, cluster: str, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """After Ctrl-C what is under way ends, and nothing begins; the rest is read later, and nothing twice."""
    monkeypatch.setenv("CEDAR_KEY", sandbox.add_workspace("cedar", agents=1).key.reveal())
    sandbox["acme"].fails("slow", times=1, seconds=0.5)
    dask = ("--engine", "dask", "--scheduler", cluster)
    begin, proceed = ((), dask) if first == "local" else (dask, ())
    with ctrl_c(lambda: sandbox["acme"].requests):
        begun = chatloom("audit", three, "--db", "a.db", "--concurrency", "1", "--format", "jsonl", *begin)
    assert (begun.status, list(told(begun.out))) == (130, ["acme"])
    assert begun.err.splitlines()[-1] == "next: add --resume to continue"
    asked = sandbox["acme"].requests
    ran = chatloom("audit", three, "--db", "a.db", "--resume", "--format", "jsonl", *proceed)
    assert (ran.status, sorted(told(ran.out))) == (0, ["acme", "birch", "cedar"])
    assert (sandbox["acme"].requests, sandbox["birch"].requests, sandbox["cedar"].requests) == (asked, 3, 2)
    assert chatloom("audit", three, "--db", "a.db", *proceed).status == 0
    assert chatloom("diff", "--db", "a.db").out.splitlines()[1:] == ["3 workspaces did not change"]


@pytest.mark.parametrize(("last", "status", "read"), [("1", 3, ["acme"]), ("0", 4, [])])
def test_what_was_read_before_the_workers_were_lost_is_reported(
    chatloom: Chatloom,
    three: str,
    cluster: str,
    monkeypatch: pytest.MonkeyPatch,
    last: str,
    status: int,
    read: list[str],
) -> None:
    """The line says why it stopped, the status that not all was audited, and the last line how to continue."""
    original = DaskEngine.run

    async def run(self: DaskEngine, shard: Shard) -> ShardResult:
        if shard.id > last:
            raise EngineLostError("The scheduler is gone")
        return await original(self, shard)

    monkeypatch.setattr(DaskEngine, "run", run)
    begin = ("audit", three, "--db", "a.db", "--concurrency", "1", "--format", "jsonl")
    ran = chatloom(*begin, "--engine", "dask", "--scheduler", cluster)
    assert (ran.status, list(told(ran.out))) == (status, read)
    assert ran.err.splitlines()[1] == (
        "stopped: The scheduler is gone. Start it again, then continue with --resume: committed rows are kept."
    )
    assert ran.err.splitlines()[-1] == "next: add --resume to continue"
    assert sorted(told(chatloom(*begin, "--resume").out)) == ["acme", "birch", "cedar"]


def test_the_embedded_sandbox_can_be_read_by_workers(
    chatloom: Chatloom, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its keys lie in files meanwhile; one process would report the same."""
    monkeypatch.setattr(sources, "EMBEDDED", {"workspaces": 3, "agents": 2, "seed": 7})
    monkeypatch.setattr(readers, "workers_here", lambda: workers_at(cluster))
    ran = chatloom("audit", "--sandbox", "--engine", "dask", "--concurrency", "3", "--format", "jsonl")
    assert (ran.status, told(ran.out)) == (0, told(chatloom("audit", "--sandbox", "--format", "jsonl").out))
    assert ran.err.splitlines()[1] == "reading on a cluster on this machine, up to 3 workspaces at once"
