"""Shards in any `concurrent.futures.Executor`: processes of this machine, or what another library offers as one."""

import asyncio
from concurrent.futures import Executor

from attrs import frozen

from ..wire.errors import ChatloomError
from .errors import EngineLostError
from .shard import Shard, ShardResult
from .worker import audit_shard


@frozen(eq=False)
class ExecutorEngine:
    """`window` shards at once, as many as the executor has workers. It is not shut down.

    A ProcessPoolExecutor ends as a whole when one of its processes dies, so a shard that kills is not found here:
    the audit ends with EngineLostError. Give it the context "spawn": a fork copies threads' locks. A client of Dask is
    one as well, `client.get_executor(pure=False)`; but DaskEngine finds a workspace that kills, and this does not.
    """

    executor: Executor
    window: int

    async def prepare(self) -> int:
        return self.window

    async def run(self, shard: Shard) -> ShardResult:
        try:
            return await asyncio.wrap_future(self.executor.submit(audit_shard, shard))
        except ChatloomError:
            raise
        except Exception as problem:  # each library has its own
            reason = f"The executor lost shard {shard.id}: {type(problem).__name__}: {problem}"
        raise EngineLostError(reason)
