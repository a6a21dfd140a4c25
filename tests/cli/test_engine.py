"""`chatloom audit --engine dask`: the same audit, read by workers. What takes processes is in tests/engines/killed."""

import json
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chatloom_async.audit import KeyEnv, KeyFile, Workspace
from chatloom_async.cli import engine, source
from chatloom_async.cli.embedded import planted
from chatloom_async.cli.engine import KeyFiles, absolute
from chatloom_async.engines import DaskEngine, EngineLostError, Shard, ShardResult, connecting, dask
from chatloom_async.engines.connecting import workers_at
from chatloom_async.sandbox import Sandbox
from tests.cli.conftest import Ran
from tests.cli.test_program import wait_for
from tests.engines.threads import threads
from tests.samples import KEY

pytest.importorskip("distributed")
Chatloom = Callable[..., Ran]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The scheduler of two workers with two threads each: room for 32 workspaces at once."""
    with threads() as address:
        yield address


@pytest.fixture
def three(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """In the working directory, a file with acme and birch, and cedar, whose key is not set."""
    monkeypatch.chdir(tmp_path)
    key = tmp_path / "birch.key"
    key.touch(0o600)
    key.write_text(sandbox.add_workspace("birch", agents=2).key.reveal())
    Path("w.csv").write_text("name,key_env,key_file\nacme,CHATLOOM_API_KEY,\nbirch,,birch.key\ncedar,CEDAR_KEY,\n")
    return "w.csv"


def told(text: str) -> dict[str, dict[str, Any]]:
    """The rows of a JSON Lines report, by workspace."""
    return {row["workspace"]: row for row in map(json.loads, text.splitlines())}


def test_workers_report_what_one_process_does(chatloom: Chatloom, three: str, cluster: str) -> None:
    """Rows, findings, status and closing lines; one more line tells where it is read."""
    alone = chatloom("audit", three, "--format", "jsonl")
    ran = chatloom("audit", three, "--format", "jsonl", "--engine", "dask", "--scheduler", cluster)
    assert (ran.status, told(ran.out)) == (alone.status, told(alone.out)) == (3, told(alone.out))
    assert sorted(told(ran.out)) == ["acme", "birch", "cedar"]
    first, totals, *_, advice = ran.err.splitlines()
    assert first == f"reading on the cluster at {cluster}, up to 32 workspaces at once"
    assert totals.startswith("3 workspaces: 2 ok, 1 failed | 5 agents, ")
    assert advice == f"next: chatloom audit w.csv --engine dask --scheduler {cluster} --only cedar"


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
    assert begun.err.splitlines()[-1].endswith(" --resume")
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
        "stopped: The scheduler is gone. Start it again, then continue with --resume: what was committed is kept."
    )
    assert ran.err.splitlines()[-1].endswith(f" --scheduler {cluster} --resume")
    assert sorted(told(chatloom(*begin, "--resume").out)) == ["acme", "birch", "cedar"]


def test_the_embedded_sandbox_can_be_read_by_workers(
    chatloom: Chatloom, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its keys lie in files meanwhile; one process would report the same."""
    monkeypatch.setattr(source, "EMBEDDED", {"workspaces": 3, "agents": 2, "seed": 7})
    monkeypatch.setattr(engine, "workers_here", lambda: workers_at(cluster))
    ran = chatloom("audit", "--sandbox", "--engine", "dask", "--concurrency", "3", "--format", "jsonl")
    assert (ran.status, told(ran.out)) == (0, told(chatloom("audit", "--sandbox", "--format", "jsonl").out))
    assert ran.err.splitlines()[1] == "reading on a cluster on this machine, up to 3 workspaces at once"


def test_keys_of_the_sandbox_lie_in_private_files(tmp_path: Path) -> None:
    """A workspace that has a reference keeps it."""
    (acorn,) = planted(workspaces=1, agents=0, seed=7)
    reference = KeyFiles(tmp_path).portable(Workspace("acorn", acorn.key)).key
    assert reference == KeyFile(tmp_path / "acorn.key")
    assert (tmp_path / "acorn.key").read_text() == acorn.key.reveal()
    assert stat.S_IMODE((tmp_path / "acorn.key").stat().st_mode) == 0o600
    other = Workspace("other", KeyEnv("OTHER_KEY"))
    assert KeyFiles(tmp_path).portable(other) is other


def test_a_key_file_is_the_same_one_in_every_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers have working directories of their own, and home directories that a coordinator cannot know."""
    monkeypatch.chdir(tmp_path)
    keys = [KeyFile("a.key"), KeyFile(tmp_path / "b.key"), KeyFile("~/c.key"), KeyEnv("D")]
    assert [absolute(Workspace("w", key)).key for key in keys] == [
        KeyFile(tmp_path / "a.key"), KeyFile(tmp_path / "b.key"), KeyFile("~/c.key"), KeyEnv("D")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["w.csv", "--scheduler", "tcp://127.0.0.1:9"], "--scheduler is the address of a Dask cluster: add --engine "),
        (
            ["--sandbox", "--engine", "dask", "--scheduler", "tcp://127.0.0.1:9"],
            "The embedded sandbox is for workers of this machine: leave out --scheduler. See ",
        ),
        (
            ["inline.json", "--inline-keys", "--engine", "dask"],
            "Workspace 'acme' holds its key itself, and keys do not travel to workers. Use key_env, key_file or ",
        ),
        (
            ["w.csv", "--engine", "dask", "--scheduler", "tcp://127.0.0.1:9"],
            "No scheduler of Dask at tcp://127.0.0.1:9: Timed out trying to connect to tcp://127.0.0.1:9 after ",
        ),
        (["w.csv", "--engine", "ray"], 'Invalid value "ray" for --engine.'),
    ],
)
def test_what_cannot_be_read_by_workers_is_refused_before_anything_begins(
    chatloom: Chatloom, three: str, monkeypatch: pytest.MonkeyPatch, arguments: list[str], error: str
) -> None:
    """One line that says what to do, and status 2; no run is begun, the last report stays, and no key is shown."""
    monkeypatch.setattr(connecting, "CONNECT_TIMEOUT", 0.2)
    Path("inline.json").write_text(json.dumps([{"name": "acme", "key": KEY}]))
    Path("report.txt").write_text("the last one")
    ran = chatloom("audit", *arguments, "--db", "a.db", "--output", "report.txt")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.splitlines()[-1].startswith(f"error: {error}")
    assert KEY not in ran.err
    assert (Path("a.db").exists(), Path("report.txt").read_text()) == (False, "the last one")


def test_workers_of_another_version_are_refused(
    chatloom: Chatloom, three: str, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a run is begun."""
    monkeypatch.setattr(dask, "VERSION", "9.9.9")
    ran = chatloom("audit", three, "--db", "a.db", "--engine", "dask", "--scheduler", cluster)
    assert (ran.status, ran.out, Path("a.db").exists()) == (2, "", False)
    assert ran.err.startswith("error: Not every worker has chatloom-async 9.9.9: tcp://127.0.0.1:")


def test_without_the_extra_the_error_is_how_to_install_it(
    chatloom: Chatloom, three: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to read a traceback."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    ran = chatloom("audit", three, "--engine", "dask")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == (
        "error: Workers of Dask need an extra that is not installed here (no module 'distributed'). "
        "pip install 'chatloom-async[dask]', or '.[dask]' in a clone; every worker needs it, too.\n"
    )
