"""Collects the results of an engine, applies the rules, and writes the database."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from itertools import islice, takewhile

from attrs import define

from ..audit.dns import Resolver, read_hosts
from ..audit.rules.containment import ContainedJudge
from ..audit.rules.judging import Judge
from ..audit.rules.subjects import HostRecord
from ..audit.store.store import Run
from ..audit.values import Failure, Row, Workspace
from .interface import Engine
from .shard import DEFAULTS, SHARD_DEADLINE, SHARD_SIZE, Shard, ShardOptions, ShardResult, partition
from .windowed import windowed

BATCH = 32  # rows that are judged and committed together: one transaction, without blocking the event loop for long


async def audit_on(
    engine: Engine,
    workspaces: Iterable[Workspace] | AsyncIterable[Workspace],
    *,
    base_url: str,
    judge: Judge | None = None,
    run: Run | None = None,
    options: ShardOptions = DEFAULTS,
    shard_size: int = SHARD_SIZE,
    shard_deadline: float = SHARD_DEADLINE,
    window: int | None = None,
    wanted: Callable[[], bool] = lambda: True,
    dns: Resolver | None = None,
) -> AsyncGenerator[Row, None]:
    """Like `audit`, with the workspaces read by the engine: exactly one judged row for each, as shards complete.

    A row is committed to `run` before it is yielded, and a shard that was run twice counts once. `workspaces` are read
    to their end first, because workspaces with the same key belong into one shard. Memory holds the workspaces, the
    state of `judge`, and the rows of `window` shards (by default as many as the engine says). Once `wanted` returns
    False, no further shard is started. If a shard gives up before any workspace was read, the workspaces of the other
    shards are failed rows. `dns` is used as in `audit`, by this process and not by the workers.

    Raises ConfigurationError for a workspace that holds its key, NoWorkersError, both before anything is sent,
    EngineLostError, after which the run can be resumed, and StoreError.
    """
    salt = secrets.token_bytes(32) if run is None else run.salt

    def make(number: str, chosen: tuple[Workspace, ...]) -> Shard:
        return Shard(
            id=number, workspaces=chosen, base_url=base_url, salt=salt, options=options, deadline=shard_deadline
        )

    given = [workspace async for workspace in workspaces] if isinstance(workspaces, AsyncIterable) else workspaces
    shards = list(partition(given, make, size=shard_size))
    del given  # otherwise it would keep the workspaces of finished shards
    judging = ContainedJudge(Judge() if judge is None else judge)
    chosen = takewhile(lambda _: wanted(), _popped(shards))
    async with aclosing(windowed(GivingUpEngine(engine), chosen, window=window)) as results:
        async for shard, result in results:
            reads = zip(shard.workspaces, result.reads, strict=True)
            while batch := list(islice(reads, BATCH)):
                records: Sequence[Mapping[str, HostRecord] | None] = [None] * len(batch)
                if dns is not None:  # asked from here, so that one cache serves all shards
                    records = await asyncio.gather(*(read_hosts(dns, read.row) for _, read in batch))
                rows = [
                    await judging.judged(read.row, workspace, read.evidence, hosts)
                    for (workspace, read), hosts in zip(batch, records, strict=True)
                ]
                if run is not None:  # all at once, so that they share a commit
                    await asyncio.gather(*map(run.put, rows, [read.evidence.fingerprint for _, read in batch]))
                for row in rows:
                    yield row


@define(eq=False)
class GivingUpEngine:
    """Runs shards on another engine. If one gives up before any workspace was read, all further shards fail at once."""

    engine: Engine
    worked: bool = False
    gave_up: Failure | None = None

    async def prepare(self) -> int:
        return await self.engine.prepare()

    async def run(self, shard: Shard) -> ShardResult:
        if self.gave_up is not None and not self.worked:
            return shard.failed(self.gave_up)
        result = await self.engine.run(shard)
        self.worked = self.worked or any(read.row.state != "failed" for read in result.reads)
        self.gave_up = result.gave_up
        return result


def _popped(shards: list[Shard]) -> Iterable[Shard]:
    """Yields the shards and removes them from the list, which frees the memory of finished ones."""
    shards.reverse()
    while shards:
        yield shards.pop()
