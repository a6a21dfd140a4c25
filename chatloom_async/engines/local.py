"""Shards in this process and this event loop: no second process, the same code. For tests, and for small audits."""

from attrs import frozen

from ..policy.clock import Clock
from ..transports.interface import Transport
from .shard import Shard, ShardResult
from .worker import read_shard


@frozen(eq=False)
class LocalEngine:
    """`window` shards at once; `transport` and `clock` are each shard's client's, and are not closed."""

    window: int = 1
    transport: Transport | None = None
    clock: Clock | None = None

    async def prepare(self) -> int:
        return self.window

    async def run(self, shard: Shard) -> ShardResult:
        return await read_shard(shard, transport=self.transport, clock=self.clock)
