"""A real cluster of Dask on loopback, and what may happen to it. Nothing here is simulated: processes are killed."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from chatloom_async.audit import Failure, KeyEnv, KeyFile, Row, Workspace
from chatloom_async.audit.store import RunConfig, open_store
from chatloom_async.engines import (
    DaskEngine,
    EngineLostError,
    ShardDeadlineError,
    WorkerKilledError,
    WorkersUnfitError,
    audit_on,
    dask,
)
from chatloom_async.wire.version import VERSION
from tests.engines.cluster import Cluster
from tests.engines.planted import POISON, planted, shard_of

distributed = pytest.importorskip("distributed")
REFERENCE = re.compile(rb"w\d+\.key")
UNSET = Workspace("unset", KeyEnv("NO_SUCH_VARIABLE"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler and two workers of two threads, with nannies; every test leaves two that work."""
    with closing(Cluster(tmp_path_factory.mktemp("cluster"))) as cluster:
        cluster.start_worker(threads=2)
        cluster.start_worker(threads=2)
        yield cluster


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler of the test's own, without workers."""
    with closing(Cluster(tmp_path)) as cluster:
        yield cluster


@asynccontextmanager
async def connected(cluster: Cluster, workers: int = 2) -> AsyncIterator[Any]:
    """A client, once so many workers are there."""
    async with distributed.Client(cluster.address, asynchronous=True, timeout="10s") as client:
        await client.wait_for_workers(workers, timeout=20)
        yield client


async def pids(client: Any) -> list[int]:
    """The processes of the workers."""
    return list((await client.run(os.getpid)).values())


async def test_five_hundred_workspaces_survive_a_killed_worker(cluster: Cluster, tmp_path: Path) -> None:
    """A worker is killed in the middle: every workspace is there exactly once, in the rows and in the database."""
    sandbox, workspaces = planted(tmp_path, 500)
    for each in sandbox:
        each.fails("slow", seconds=0.1)  # so that there is a middle
    async with connected(cluster) as client, sandbox.serve() as url, open_store(tmp_path / "audits.db") as store:
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
    async with connected(cluster) as client, sandbox.serve() as url:
        rows = {row.workspace: row async for row in audit_on(DaskEngine(client), asked, base_url=url, shard_size=8)}
    error = WorkerKilledError("Every worker died that read workspace 'poison', at last alone")
    assert rows.pop("poison") == Row("poison", "failed", error=Failure.of(error))
    assert {name: row.state for name, row in rows.items()} == {each.name: "ok" for each in workspaces}


async def test_workers_without_the_package_or_with_another_version_are_named(empty: Cluster, tmp_path: Path) -> None:
    """Before anything starts, with each worker's address; one that comes later ends the audit, and fails no row."""
    other = tmp_path / "chatloom_async" / "wire"
    other.mkdir(parents=True)
    (other.parent / "__init__.py").touch()
    empty.start_worker(tmp_path)
    async with connected(empty, 1) as client:
        engine, worker = DaskEngine(client), rf"^Not every worker has chatloom-async {VERSION}: tcp://127\.0\.0\.1:\d+ "
        cannot = r"cannot import it \(ModuleNotFoundError: No module named 'chatloom_async\.wire\.version'\)\. Start "
        with pytest.raises(WorkersUnfitError, match=worker + cannot):
            await engine.prepare()
        (other / "__init__.py").touch()
        (other / "version.py").write_text('VERSION = "0.0.9"')
        with pytest.raises(WorkersUnfitError, match=worker + r"has 0\.0\.9\. Start "):
            await engine.prepare()
        with pytest.raises(
            EngineLostError, match=r"^Dask cannot run shard 1: RuntimeError: Error during deserialization"
        ):
            await engine.run(shard_of(UNSET))


def test_only_the_first_unfit_workers_are_named() -> None:
    """A thousand of them fit on a line."""
    unfit = dask._listed([f"{number} has 0.0.9" for number in range(1000)])
    listed = "0 has 0.0.9, 1 has 0.0.9, 2 has 0.0.9, and 997 more"
    assert unfit == f"Not every worker has chatloom-async {VERSION}: {listed}"


async def test_a_worker_refuses_a_shard_of_another_version(cluster: Cluster) -> None:
    """The worker's own error arrives as it is."""
    async with connected(cluster) as client:
        with pytest.raises(WorkersUnfitError, match=r"^The coordinator has chatloom-async 0\.0\.9"):
            await DaskEngine(client).run(evolve(shard_of(UNSET), version="0.0.9"))


async def test_a_worker_that_hangs_cannot_keep_the_audit(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key file that blocks the whole thread (a FIFO) is given up, long after the shard's deadline."""
    monkeypatch.setattr(dask, "GRACE", 0.5)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    hanging = Workspace("hanging", KeyFile(fifo))
    shard = shard_of(hanging, deadline=0.1)
    async with connected(cluster) as client:
        result = await DaskEngine(client).run(shard)
    fifo.write_text("")  # lets the worker go
    text = "Shard 1 did not come back, though its deadline of 0.1 s is long over"
    assert result == shard.failed(ShardDeadlineError(text))


@pytest.mark.skipif(sys.platform != "linux", reason="reads another process's memory")
async def test_no_key_is_in_the_scheduler_or_a_log(cluster: Cluster, tmp_path: Path) -> None:
    """Neither in its memory while shards are under way and after, nor on its pages, nor in any log; references are."""
    sandbox, workspaces = planted(tmp_path, 40)
    for each in sandbox:
        each.fails("slow", seconds=0.2)
    keys, pages = [each.key.reveal().encode() for each in sandbox], list[bytes]()
    asked = (*workspaces, POISON, UNSET)
    async with connected(cluster) as client, sandbox.serve() as url:
        rows = audit_on(DaskEngine(client), asked, base_url=url, shard_size=5)
        first = await anext(rows)
        during = await asyncio.to_thread(memory, cluster.scheduler.pid)
        for name in ("info/main/workers.html", "info/main/logs.html", "info/main/exceptions.html", "metrics"):
            pages.append(await page(cluster.page, name))
        states = [first.state, *[row.state async for row in rows]]
    after = await asyncio.to_thread(memory, cluster.scheduler.pid)
    assert sorted(states) == ["failed"] * 2 + ["ok"] * 40
    assert REFERENCE.search(during), "the scan would not have found a key either"
    assert b"audit-shard" in cluster.logs()
    assert [each.partition(b"\r\n")[0] for each in pages] == [b"HTTP/1.0 200 OK"] * len(pages)
    everywhere = b"".join((during, after, cluster.logs(), *pages))
    assert [key[:8] for key in keys if key in everywhere] == []
    assert not REFERENCE.search(cluster.logs())


def memory(pid: int) -> bytes:
    """All that the process could write to, as bytes."""
    found = bytearray()
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as raw:
        for line in maps:
            bounds, access = line.split()[:2]
            start, end = (int(each, 16) for each in bounds.split("-"))
            if "w" in access:
                raw.seek(start)
                found += raw.read(end - start)
    return bytes(found)


async def page(port: int, name: str) -> bytes:
    """One of the scheduler's pages, with its status line."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /{name} HTTP/1.0\r\n\r\n".encode())
    whole = await reader.read()
    writer.close()
    return whole.replace(b"HTTP/1.1", b"HTTP/1.0")


async def test_a_worker_lost_with_its_nanny_is_done_without(
    empty: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are killed: the other worker reads what they had. Without any worker, the audit ends and says so."""
    sandbox, workspaces = planted(tmp_path, 60)
    for each in sandbox:
        each.fails("slow", seconds=0.1)
    nannies = [empty.start_worker(), empty.start_worker()]
    async with connected(empty) as client, sandbox.serve() as url:
        seen = list[str]()
        async for row in audit_on(DaskEngine(client), workspaces, base_url=url, shard_size=5):
            seen.append(row.workspace)
            if len(seen) == 10:
                await lose(empty, nannies.pop(), client)
        assert sorted(seen) == sorted(each.name for each in workspaces)
        await lose(empty, nannies.pop(), client)
        with pytest.raises(WorkersUnfitError, match="The scheduler has no workers"):
            await DaskEngine(client).prepare()
        monkeypatch.setattr(dask, "GRACE", 0.5)
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


async def test_an_audit_is_resumed_after_the_scheduler_was_restarted(empty: Cluster, tmp_path: Path) -> None:
    """The audit ends with an error that says so; resumed, it reads the rest, and every workspace is there once."""
    sandbox, workspaces = planted(tmp_path, 100)
    config = RunConfig(workspaces=workspaces, base_url="http://127.0.0.1")
    empty.start_worker()
    async with sandbox.serve() as url, open_store(tmp_path / "audits.db") as store:
        run, seen = await store.begin(config), list[str]()
        async with connected(empty, 1) as client:
            rows = audit_on(DaskEngine(client), run.pending(workspaces), base_url=url, run=run, shard_size=10)
            seen += [(await anext(rows)).workspace for _ in range(20)]
            empty.stop(empty.scheduler)
            empty.start_scheduler()
            with pytest.raises(EngineLostError, match=r"^Dask gave up shard \d+: scheduler-connection-lost"):
                await into(seen, rows)
        empty.start_worker()
        run = await store.resume(config)
        async with connected(empty, 1) as client:
            rows = audit_on(DaskEngine(client), run.pending(workspaces), base_url=url, run=run, shard_size=10)
            await into(seen, rows)
        await run.finish()
    assert sorted(seen) == sorted(each.name for each in workspaces)


async def into(seen: list[str], rows: AsyncGenerator[Row, None]) -> None:
    """Notes the workspaces of rows as they come."""
    async for row in rows:
        seen.append(row.workspace)  # noqa: PERF401 - what came before an error counts too
