"""The engine for Dask, on a cluster of threads. What needs processes, and kills them, is in `killed`."""

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from chatloom_async.audit import Failure, KeyEnv, KeyFile, Workspace
from chatloom_async.engines import (
    DaskEngine,
    EngineError,
    EngineLostError,
    NoWorkersError,
    ShardLostError,
    ShardResult,
    audit_on,
    dask,
)
from chatloom_async.wire.version import VERSION
from tests.engines.planted import planted, shard_of
from tests.engines.threads import connected, threads

distributed = pytest.importorskip("distributed")
UNSET = Workspace("unset", KeyEnv("NO_SUCH_VARIABLE"))


@pytest.fixture(scope="module")
def empty() -> Iterator[str]:
    """No workers."""
    with threads(0) as address:
        yield address


@pytest.fixture(scope="module")
def frail() -> Iterator[str]:
    """Two workers, and a scheduler that gives a shard up with the first worker that it costs."""
    with threads(allowed_failures=0) as address:
        yield address


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[Workspace]:
    """Its key file is a FIFO: until the test ends, the thread that reads it hangs."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    yield Workspace("hanging", KeyFile(fifo))
    os.close(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))


async def test_every_workspace_is_read_once(cluster: str, tmp_path: Path) -> None:
    """By as many shards at once as the workers have threads."""
    sandbox, workspaces = planted(tmp_path, 30)
    async with connected(cluster) as client, sandbox.serve() as url:
        engine = DaskEngine(client)
        rows = [row async for row in audit_on(engine, workspaces, base_url=url, shard_size=4)]
        assert await engine.prepare() == 4
    assert sorted((row.workspace, row.state) for row in rows) == sorted((each.name, "ok") for each in workspaces)
    assert sandbox.requests == 60


async def test_unfit_workers_are_named(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With their addresses, and what is wrong with each."""
    async with connected(cluster) as client:
        monkeypatch.setattr(dask, "VERSION", "9.9.9")
        worker = r"^Not every worker has chatloom-async 9\.9\.9: tcp://127\.0\.0\.1:\d+ "
        with pytest.raises(NoWorkersError, match=rf"{worker}has {VERSION}, tcp.* has {VERSION}\. Start "):
            await DaskEngine(client).prepare()
        monkeypatch.setattr(dask, "VERSION_PLACE", "chatloom_async.nowhere:VERSION")
        with pytest.raises(NoWorkersError, match=worker + r"cannot import it \(ModuleNotFoundError: No module "):
            await DaskEngine(client).prepare()


class ThousandWorkers:
    """A client of Dask whose workers all have an old version."""

    async def run(self, *_: object, on_error: str) -> dict[str, str]:
        return {f"tcp://127.0.0.1:{number}": "0.0.9" for number in range(1000, 2000)}


async def test_only_the_first_unfit_workers_are_named() -> None:
    """The others are counted."""
    with pytest.raises(NoWorkersError) as caught:
        await DaskEngine(ThousandWorkers()).prepare()  # type: ignore[arg-type]
    named = ", ".join(f"tcp://127.0.0.1:{number} has 0.0.9" for number in (1000, 1001, 1002))
    assert caught.value.message == f"Not every worker has chatloom-async {VERSION}: {named} and 997 more"


async def test_a_worker_refuses_a_shard_of_another_version(cluster: str) -> None:
    """The worker's own error arrives as it is."""
    async with connected(cluster) as client:
        with pytest.raises(NoWorkersError, match=r"^The coordinator has chatloom-async 0\.0\.9"):
            await DaskEngine(client).run(evolve(shard_of(UNSET), version="0.0.9"))


async def test_what_dask_cannot_send_ends_the_audit(cluster: str) -> None:
    """Dask's own error is in the text."""
    odd = evolve(UNSET, tags=(threading.Lock(),))  # type: ignore[arg-type]
    async with connected(cluster) as client:
        with pytest.raises(EngineLostError, match=r"^Dask cannot run shard 1: TypeError: .*Could not serialize"):
            await DaskEngine(client).run(shard_of(odd))


async def test_a_worker_that_hangs_cannot_keep_the_audit(
    cluster: str, hanging: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The coordinator gives up after the deadline, here at once; the row says why."""
    monkeypatch.setattr(dask, "TRIES", 0)
    monkeypatch.setattr(dask, "TRANSFER_GRACE", 0.01)
    shard = shard_of(hanging, deadline=0.5)
    async with connected(cluster) as client:
        result = await DaskEngine(client).run(shard)
    text = "Shard 1 did not come back, though its deadline of 0.5 s is long over"
    assert result == shard.failed(Failure.of(EngineError(text)))


async def test_a_scheduler_that_was_replaced_ends_the_audit(
    cluster: str, hanging: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new one may have no workers, so nothing would come back; a look at the same one changes nothing."""
    monkeypatch.setattr(dask, "LOOK", 0.01)
    async with connected(cluster) as client:
        engine = DaskEngine(client)
        await engine.prepare()
        same = iter([client.scheduler_info()] * 2)
        monkeypatch.setattr(client, "scheduler_info", lambda: next(same, {"id": "another"}))
        with pytest.raises(EngineLostError, match=r"^Dask's scheduler was replaced while shard 1 was out"):
            await engine.run(shard_of(hanging))
        assert not [*same]


async def test_without_workers_no_audit_begins(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does one go on whose last worker has left."""
    monkeypatch.setattr(dask, "TRANSFER_GRACE", 0.0)
    async with connected(empty, 0) as client:
        with pytest.raises(NoWorkersError, match="The scheduler has no workers"):
            await DaskEngine(client).prepare()
        with pytest.raises(EngineLostError, match="the scheduler has no workers"):
            await DaskEngine(client).run(shard_of(UNSET, deadline=0.01))


async def under_way(client: Any, shard: Any) -> "asyncio.Task[ShardResult]":
    """A shard that is being run, and is no longer on its way."""
    task = asyncio.ensure_future(DaskEngine(client).run(shard))
    while not any((await client.processing()).values()):  # noqa: ASYNC110 - the scheduler knows
        await asyncio.sleep(0.01)
    return task


async def remove_busy_worker(dask_scheduler: Any) -> None:
    """What a scheduler does when a worker that has work is gone."""
    (busy,) = (address for address, state in dask_scheduler.workers.items() if state.processing)
    await dask_scheduler.remove_worker(busy, stimulus_id="test")


async def test_a_shard_whose_workers_are_gone_is_lost(frail: str, hanging: Workspace) -> None:
    """The error says how many there were; the engine goes on."""
    async with connected(frail) as client:
        task = await under_way(client, shard_of(hanging))
        await client.run_on_scheduler(remove_busy_worker)
        with pytest.raises(ShardLostError, match=r"^Shard 1 is lost: 1 workers died"):
            await task
        assert len((await DaskEngine(client).run(shard_of(UNSET))).reads) == 1


async def test_a_shard_that_dask_gives_up_ends_the_audit(cluster: str, hanging: Workspace) -> None:
    """As after a lost scheduler: the reason is Dask's."""
    async with connected(cluster) as client:
        task = await under_way(client, shard_of(hanging))
        await client.cancel([distributed.Future(key, client) for key in client.futures])
        with pytest.raises(EngineLostError, match=r"^Dask gave up shard 1: "):
            await task
