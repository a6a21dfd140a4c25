"""Runs on a worker: resolves the keys of a shard and reads its workspaces. It applies no rules and stores nothing.

It only reads, so a shard may be run again.
"""

import asyncio
from contextlib import aclosing

from attrs import evolve, frozen

from ..audit.outage import PatientReader
from ..audit.runner import AUDIT_RETRY
from ..audit.store.runs import key_fingerprint
from ..audit.values import Failure, Workspace
from ..client import AsyncChatloom
from ..fanout import Ok, fan_out
from ..policy.clock import Clock
from ..transports.interface import Transport
from ..wire.version import VERSION
from .shard import EngineError, NoWorkersError, Shard, ShardRead, ShardResult


def audit_shard(shard: Shard) -> ShardResult:
    """Reads every workspace of the shard within the shard's deadline. A failed one is a failed row, not an exception.

    Runs its own event loop, in any thread. Raises NoWorkersError if the shard comes from another version of this
    package.
    """
    if shard.version != VERSION:
        reason = f"The coordinator has chatloom-async {shard.version}, and a worker {VERSION}"
        raise NoWorkersError(reason)
    return asyncio.run(read_shard(shard))


async def read_shard(shard: Shard, *, transport: Transport | None = None, clock: Clock | None = None) -> ShardResult:
    """The same in the running event loop; `transport` and `clock` as for a client."""
    options, reads = shard.options, dict[int, ShardRead]()
    client = AsyncChatloom.for_many(
        base_url=shard.base_url,
        auth=options.auth,
        timeouts=options.timeouts,
        deadline=options.deadline,
        retry=AUDIT_RETRY,
        rate_limit=options.rate_limit,
        transport=transport,
        clock=clock,
    )
    reader = PatientReader(client, options.max_pause)

    async def read(item: tuple[int, Workspace]) -> ShardRead:
        read = await reader.read(item[1])
        fingerprint = None if read.key is None else key_fingerprint(read.key, shard.salt)  # the key stays here
        return ShardRead(row=read.row, evidence=evolve(read.evidence, fingerprint=fingerprint))

    try:
        async with client, asyncio.timeout(shard.deadline):
            items = enumerate(shard.workspaces)
            async with aclosing(fan_out(items, read, concurrency=options.concurrency)) as results:
                async for result in results:
                    number, workspace = result.item
                    if isinstance(result, Ok):
                        reads[number] = result.value
                    else:
                        reads[number] = ShardRead.failed(workspace, Failure.of(result.error))
    except TimeoutError:
        pass  # the result contains what was read until then
    late = Failure.of(EngineError(f"Shard {shard.id} was not done within its deadline of {shard.deadline:g} s"))
    in_order = (reads.get(number) or ShardRead.failed(w, late) for number, w in enumerate(shard.workspaces))
    return ShardResult(shard.id, tuple(in_order), reader.gave_up)


@frozen(eq=False)
class LocalEngine:
    """Runs shards in this process, `window` at once, with clients that use `transport` and `clock`."""

    window: int = 1
    transport: Transport | None = None
    clock: Clock | None = None

    async def prepare(self) -> int:
        return self.window

    async def run(self, shard: Shard) -> ShardResult:
        return await read_shard(shard, transport=self.transport, clock=self.clock)
