"""Runs on a worker: resolves the keys of a shard and reads its workspaces. It applies no rules and stores nothing.

It does the same however often it is run, and nothing that another run would notice: it only reads.
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
    """One read for every workspace of the shard, whatever becomes of each, within the shard's deadline.

    Runs an event loop of its own, in whatever thread. Raises NoWorkersError if the shard comes from another
    version of this package, and nothing for a workspace.
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
        pass  # what was read until then is kept
    late = Failure.of(EngineError(f"Shard {shard.id} was not done within its deadline of {shard.deadline:g} s"))
    in_order = (reads.get(number) or ShardRead.failed(w, late) for number, w in enumerate(shard.workspaces))
    return ShardResult(shard.id, tuple(in_order), reader.gave_up)


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
