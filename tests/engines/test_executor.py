"""Executors of `concurrent.futures` as engines."""

import asyncio
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from attrs import evolve

from chatloom_async.audit import KeyCommand, Row, Workspace
from chatloom_async.engines import EngineLostError, ExecutorEngine, WorkersUnfitError, audit_on
from tests.engines.planted import POISON, planted, shard_of


@pytest.fixture
def executor() -> Iterator[ProcessPoolExecutor]:
    """Two processes."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


async def test_one_key_is_never_in_two_processes(executor: ProcessPoolExecutor, tmp_path: Path) -> None:
    """Sixteen workspaces with four references: each is resolved by one process only, and every row is there."""
    sandbox, planted_here = planted(tmp_path, 4)
    log = tmp_path / "resolved"
    script = f'echo "$0 $PPID" >> {log}; cat {tmp_path}/"$0".key'
    references = {each.name: KeyCommand(("sh", "-c", script, each.name)) for each in planted_here}
    workspaces = [Workspace(f"{name}-{number}", references[name]) for number in range(4) for name in references]
    async with sandbox.serve() as url:
        rows = [row async for row in audit_on(ExecutorEngine(executor, 2), workspaces, base_url=url, shard_size=4)]
    assert sorted((row.workspace, row.state) for row in rows) == sorted((each.name, "ok") for each in workspaces)
    by = {
        name: {line.split()[1] for line in log.read_text().splitlines() if line.split()[0] == name}
        for name in references
    }
    assert {name: len(processes) for name, processes in by.items()} == dict.fromkeys(references, 1)


async def test_an_executor_that_breaks_ends_the_audit(executor: ProcessPoolExecutor) -> None:
    """A process that is killed takes the pool along: the error says so, and an error of ours comes as it is."""
    engine = ExecutorEngine(executor, 2)
    with pytest.raises(WorkersUnfitError):
        await engine.run(evolve(shard_of(POISON), version="0.0.9"))
    with pytest.raises(EngineLostError, match=r"^The executor lost shard 1: BrokenProcessPool: "):
        await engine.run(shard_of(POISON))


def test_a_client_of_dask_is_an_executor_too(cluster: str, tmp_path: Path) -> None:
    """`get_executor` gives what any executor gives, errors included; the event loop is the test's own."""
    from distributed import Client

    sandbox, workspaces = planted(tmp_path, 6)

    async def read(engine: ExecutorEngine) -> list[Row]:
        async with sandbox.serve() as url:
            return [row async for row in audit_on(engine, workspaces, base_url=url, shard_size=2)]

    with Client(cluster) as client, client.get_executor(pure=False) as executor:
        engine = ExecutorEngine(executor, 2)
        rows = asyncio.run(read(engine))
        with pytest.raises(WorkersUnfitError, match=r"^The coordinator has chatloom-async 0\.0\.9"):
            asyncio.run(engine.run(evolve(shard_of(POISON), version="0.0.9")))
    assert sorted((row.workspace, row.state) for row in rows) == [(each.name, "ok") for each in workspaces]
