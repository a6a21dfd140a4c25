"""What a worker does with a shard."""

import pickle
from pathlib import Path
from typing import NoReturn

import pytest
from attrs import evolve

from chatloom_async import MockTransport, RateLimit, Request, Response, Timeouts, TransportError
from chatloom_async.audit import KeyEnv, Workspace
from chatloom_async.audit.store.runs import key_fingerprint
from chatloom_async.engines import LocalEngine, NoWorkersError, ShardOptions, ShardResult, audit_shard
from chatloom_async.testing import VirtualClock
from chatloom_async.testing.plugin import serve_in_thread
from tests.engines.planted import SALT, planted, shard_of

UNSET = Workspace("unset", KeyEnv("NO_SUCH_VARIABLE"))
SLOW = "Shard 1 was not done within its deadline of 0.4 s"


def told(result: ShardResult) -> list[tuple[str, str, str | None]]:
    """Workspace, state and error of each row."""
    rows = (read.row for read in result.reads)
    return [(row.workspace, row.state, row.error and row.error.message.partition(". ")[0]) for row in rows]


def test_a_shard_gives_a_row_for_each_workspace(tmp_path: Path) -> None:
    """In the shard's order, with the database's fingerprints and no key; a second run gives the same."""
    sandbox, workspaces = planted(tmp_path, 3)
    with serve_in_thread(sandbox) as url:
        shard = shard_of(workspaces[0], UNSET, *workspaces[1:], base_url=url)
        result, again = audit_shard(shard), audit_shard(shard)
    assert told(result) == [
        ("w0", "ok", None),
        ("unset", "failed", "The environment variable NO_SUCH_VARIABLE is not set"),
        ("w1", "ok", None),
        ("w2", "ok", None),
    ]
    keys = [key_fingerprint(sandbox[f"w{number}"].key, SALT) for number in range(3)]
    assert [read.evidence.fingerprint for read in result.reads] == [keys[0], None, *keys[1:]]
    assert again == result
    assert pickle.loads(pickle.dumps(result)) == result


def test_a_shard_keeps_what_it_read_before_its_deadline(tmp_path: Path) -> None:
    """The slow workspace is failed, and its row says why; the others are as they were read."""
    sandbox, workspaces = planted(tmp_path, 3)
    sandbox["w1"].fails("slow", seconds=30)
    with serve_in_thread(sandbox) as url:
        result = audit_shard(shard_of(*workspaces, base_url=url, deadline=0.4))
    assert told(result) == [("w0", "ok", None), ("w1", "failed", SLOW), ("w2", "ok", None)]


class Broken(KeyEnv):
    """A reference that cannot be read, and does not say so as it should."""

    async def read(self) -> NoReturn:
        raise ZeroDivisionError


async def test_a_defect_of_one_workspace_is_its_row(tmp_path: Path) -> None:
    """What no part of the audit expects is a failed row too."""
    sandbox, workspaces = planted(tmp_path, 1)
    broken = Workspace("broken", Broken("ANY"))
    engine = LocalEngine(transport=sandbox.transport())
    result = await engine.run(shard_of(broken, *workspaces, options=ShardOptions(concurrency=1)))
    assert [(name, state) for name, state, _ in told(result)] == [("broken", "failed"), ("w0", "ok")]


def test_a_shard_of_another_version_is_refused() -> None:
    """A worker that came late, with another version, says so and sends nothing."""
    with pytest.raises(NoWorkersError, match=r"^The coordinator has chatloom-async 0\.0\.9, and a worker "):
        audit_shard(evolve(shard_of(UNSET), version="0.0.9"))


async def test_the_options_of_a_shard_are_those_of_its_client(tmp_path: Path) -> None:
    """Its requests show them."""
    sandbox, (workspace,) = planted(tmp_path, 1)
    sandbox["w0"].fails(503, retry_after=20, on="*/allowed-domains")
    clock, transport = VirtualClock(), sandbox.transport()
    sent: list[tuple[float, bool, float | None]] = []

    async def handler(request: Request) -> Response | TransportError:
        sent.append((clock.time(), "x-api-key" in request.headers, request.timeouts.read))
        return await transport.send(request)

    options = ShardOptions(
        auth="x-api-key", timeouts=Timeouts(read=7.0), rate_limit=RateLimit(per_second=0.5, burst=1), deadline=10.0
    )
    shard = shard_of(workspace, options=options)
    result = await LocalEngine(transport=MockTransport(handler), clock=clock).run(shard)
    assert sent == [(0.0, True, 7.0), (2.0, True, 7.0)]
    (error,) = [agent.error and agent.error.message for agent in result.reads[0].row.agents]
    assert "the deadline leaves no time" in str(error)
