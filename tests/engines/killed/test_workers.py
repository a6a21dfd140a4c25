"""Workers that are killed while they read: nothing is lost, and nothing is there twice."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from chatloom_async.audit import Failure, KeyEnv, Row, Workspace
from chatloom_async.audit.store import RunConfig, open_store
from chatloom_async.engines import DaskEngine, EngineError, EngineLostError, NoWorkersError, audit_on, dask
from tests.engines.cluster import Cluster
from tests.engines.planted import POISON, planted, shard_of
from tests.engines.threads import connected

pytest.importorskip("distributed")
pytestmark = pytest.mark.cluster
UNSET = Workspace("unset", KeyEnv("NO_SUCH_VARIABLE"))


async def pids(client: Any) -> list[int]:
    """The processes of the workers."""
    return list((await client.run(os.getpid)).values())


async def test_five_hundred_workspaces_survive_a_killed_worker(cluster: Cluster, tmp_path: Path) -> None:
    """A worker is killed in the middle: every workspace is there exactly once, in the rows and in the database."""
    sandbox, workspaces = planted(tmp_path, 500)
    for each in sandbox:
        each.fails("slow", seconds=0.1)  # so that there is a middle
    async with (
        connected(cluster.address) as client,
        sandbox.serve() as url,
        open_store(tmp_path / "audits.db") as store,
    ):
        run, seen = await store.begin(RunConfig(workspaces=workspaces, base_url=url)), list[Row]()
        async for row in audit_on(DaskEngine(client), workspaces, base_url=url, run=run, shard_size=25):
            seen.append(row)
            if len(seen) == 100:
                os.kill((await pids(client))[0], signal.SIGKILL)
        await run.finish()
        assert {row.workspace: row.state for row in seen} == {each.name: "ok" for each in workspaces}
        assert len(seen) == 500
        info = await store.run_info(run.id)
    assert (info.planned, info.ok, info.pending) == (500, 500, 0)
    assert sandbox.requests > 1000, "the killed worker's shard was not read again"


async def test_only_the_poisonous_workspace_fails(cluster: Cluster, tmp_path: Path) -> None:
    """A workspace that kills every worker it is given to is found, and its row says so; its shard's others are ok."""
    sandbox, workspaces = planted(tmp_path, 60)
    asked = (*workspaces[:31], POISON, *workspaces[31:])
    async with connected(cluster.address) as client, sandbox.serve() as url:
        rows = {row.workspace: row async for row in audit_on(DaskEngine(client), asked, base_url=url, shard_size=8)}
    error = EngineError("Every worker died that read workspace 'poison', at last alone")
    assert rows.pop("poison") == Row("poison", "failed", error=Failure.of(error))
    assert {name: row.state for name, row in rows.items()} == {each.name: "ok" for each in workspaces}


async def test_a_worker_lost_with_its_nanny_is_done_without(
    empty: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are killed: the other worker reads what they had. Without any worker, the audit ends and says so."""
    sandbox, workspaces = planted(tmp_path, 60)
    for each in sandbox:
        each.fails("slow", seconds=0.1)
    nannies = [empty.start_worker(), empty.start_worker()]
    async with connected(empty.address) as client, sandbox.serve() as url:
        seen = list[str]()
        async for row in audit_on(DaskEngine(client), workspaces, base_url=url, shard_size=5):
            seen.append(row.workspace)
            if len(seen) == 10:
                await lose(empty, nannies.pop(), client)
        assert sorted(seen) == sorted(each.name for each in workspaces)
        await lose(empty, nannies.pop(), client)
        with pytest.raises(NoWorkersError, match="The scheduler has no workers"):
            await DaskEngine(client).prepare()
        monkeypatch.setattr(dask, "TRANSFER_GRACE", 0.5)
        with pytest.raises(EngineLostError, match="the scheduler has no workers"):
            await DaskEngine(client).run(shard_of(UNSET, deadline=0.01))


async def lose(cluster: Cluster, nanny: Any, client: Any) -> None:
    """Kills a nanny and the worker that it would have started anew, and waits until the scheduler has seen it."""
    before = await client.run(os.getpid)
    parents = await client.run(os.getppid)
    cluster.stop(nanny)
    (address,) = [each for each, parent in parents.items() if parent == nanny.pid]
    os.kill(before[address], signal.SIGKILL)
    while address in await client.nthreads():  # noqa: ASYNC110 - another process knows
        await asyncio.sleep(0.02)
