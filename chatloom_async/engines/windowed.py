"""Runs shards on an engine and yields results as they complete, with a bounded number of shards in flight.

A shard that crashes its workers is split until the workspace that causes it is alone. Its row is failed and says so;
the other workspaces are read. A shard in the same worker could be lost with it, so the last attempt is made while no
other shard is in flight: no workspace fails because of another one.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager

from attrs import Factory, define, frozen

from ..audit.values import Failure
from ..fanout import Ok, fan_out
from .interface import Engine
from .shard import EngineError, Shard, ShardLostError, ShardRead, ShardResult

PARTS = 8
"""A lost shard is split into so many parts. Each round crashes as many workers as the engine tries, independent of the
number of parts. A thousand workspaces take four rounds with eight parts, and ten with two."""


async def windowed(
    engine: Engine, shards: Iterable[Shard], *, window: int | None = None
) -> AsyncGenerator[tuple[Shard, ShardResult], None]:
    """Yields every shard once, with its result. At most `window` shards are in flight, by default the engine's number.

    Leaving early cancels those in flight. Raises the exceptions of the engine, except ShardLostError.
    """
    width = await engine.prepare()
    splitter = Splitter(engine)
    async with aclosing(fan_out(shards, splitter.run, concurrency=window or width)) as results:
        async for result in results:
            if not isinstance(result, Ok):
                raise result.error
            yield result.item, result.value


@define(eq=False)
class Room:
    """A lock for any number of shards, or for a single one."""

    inside: int = 0
    open: asyncio.Event = Factory(asyncio.Event)
    empty: asyncio.Event = Factory(asyncio.Event)

    def __attrs_post_init__(self) -> None:
        self.open.set()
        self.empty.set()

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Enters with others. Waits while a shard is alone, or waits to be."""
        await self.open.wait()
        self.inside += 1
        self.empty.clear()
        try:
            yield
        finally:
            self.inside -= 1
            if not self.inside:
                self.empty.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Enters alone, after all others have left. Used by one shard at a time."""
        self.open.clear()
        try:
            await self.empty.wait()
            yield
        finally:
            self.open.set()


@frozen(eq=False)
class Splitter:
    """Runs a shard, and if it is lost, its parts; one lost shard at a time."""

    engine: Engine
    room: Room = Factory(Room)
    turn: asyncio.Lock = Factory(asyncio.Lock)

    async def run(self, shard: Shard) -> ShardResult:
        async with self.room.shared():
            try:
                return await self.engine.run(shard)
            except ShardLostError:
                pass
        async with self.turn:
            return await self._split(shard)

    async def _split(self, shard: Shard) -> ShardResult:
        if len(shard) == 1:
            return await self._last(shard)
        reads: list[ShardRead] = []
        for part in shard.parts(PARTS):
            try:
                result = await self.engine.run(part)
            except ShardLostError:
                result = await self._split(part)
            reads += result.reads
        return ShardResult(shard.id, tuple(reads))

    async def _last(self, shard: Shard) -> ShardResult:
        async with self.room.alone():
            try:
                return await self.engine.run(shard)
            except ShardLostError:
                text = f"Every worker died that read workspace {shard.workspaces[0].name!r}, at last alone"
        return shard.failed(Failure.of(EngineError(text)))
