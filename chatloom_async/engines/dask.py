"""Shards on a cluster of Dask: what its scheduler and workers do, in this package's words.

Dask gives a killed worker's shards to others by itself. It does not authenticate: whoever reaches its scheduler runs
code where the keys are, so a cluster that is not on one machine needs TLS (`distributed.security.Security`).
"""

import asyncio
from collections.abc import Iterator
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from attrs import frozen

from ..wire.errors import ChatloomError
from ..wire.version import VERSION
from .errors import EngineLostError, ShardDeadlineError, ShardLostError, WorkersUnfitError
from .shard import Shard, ShardResult
from .worker import audit_shard

if TYPE_CHECKING:
    from distributed import Client

VERSION_PLACE = "chatloom_async.wire.version:VERSION"
NAMED = 3  # so many unfit workers are named; the rest is counted
TRIES, GRACE = 3, 60.0
"""A shard has its own deadline so often, for workers that die late, and the seconds for the way. Then it is given up:
a worker that hangs outside of Python cannot keep its deadline."""


@frozen(eq=False)
class DaskEngine:
    """Shards on the workers of an async-native client, `Client(address, asynchronous=True)`, which is not closed.

    As many shards are under way as the workers have threads when it begins. Threads mostly wait, so give a worker many
    (`--nthreads 32`): what one shard's largest workspace leaves idle, another one uses. More shards than threads would
    wait at a worker, and die with it for a neighbour's fault; `distributed.scheduler.worker-saturation: 1.0` and
    `allowed-failures: 1` in the scheduler's configuration make a shard that kills cost fewer workers.
    """

    client: "Client"

    async def prepare(self) -> int:
        """Asks every worker for its version of this package; in words of the standard library, which all have."""
        answers: Any = self.client.run(resolve_name, VERSION_PLACE, on_error="return")
        versions = await answers
        if not versions:
            raise WorkersUnfitError("The scheduler has no workers")
        if unfit := list(_unfit(versions)):
            raise WorkersUnfitError(_listed(unfit))
        return await self._threads()

    async def run(self, shard: Shard) -> ShardResult:
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        try:
            return await self._result(shard)
        except ChatloomError:
            raise
        except TimeoutError:
            return await self._overdue(shard)
        except KilledWorker as killed:
            lost: Exception = ShardLostError(f"Shard {shard.id} is lost: {killed.allowed_failures + 1} workers died")
        except FutureCancelledError as gone:
            lost = EngineLostError(f"Dask gave up shard {shard.id}: {gone.reason}")
        except Exception as problem:
            lost = EngineLostError(f"Dask cannot run shard {shard.id}: {type(problem).__name__}: {problem}")
        raise lost

    async def _result(self, shard: Shard) -> ShardResult:
        """The future is let go as soon as the result is here, so that nobody keeps it in memory."""
        future: Any = self.client.submit(audit_shard, shard, key=f"audit-shard-{shard.id}-{uuid4().hex}", pure=False)
        try:
            async with asyncio.timeout(TRIES * shard.deadline + GRACE):
                result: ShardResult = await future
                return result
        finally:
            future.release()

    async def _overdue(self, shard: Shard) -> ShardResult:
        text = f"Shard {shard.id} did not come back, though its deadline of {shard.deadline:g} s is long over"
        if await self._threads():
            return shard.failed(ShardDeadlineError(text))
        raise EngineLostError(f"{text}: the scheduler has no workers")

    async def _threads(self) -> int:
        client: Any = self.client
        return sum((await client.nthreads()).values())


def _unfit(versions: dict[str, Any]) -> Iterator[str]:
    """What is wrong with each worker that is not as this process."""
    for address, version in sorted(versions.items()):
        if isinstance(version, Exception):
            yield f"{address} cannot import it ({type(version).__name__}: {version})"
        elif version != VERSION:
            yield f"{address} has {version}"


def _listed(unfit: list[str]) -> str:
    more = f", and {len(unfit) - NAMED} more" if len(unfit) > NAMED else ""
    return f"Not every worker has chatloom-async {VERSION}: {', '.join(unfit[:NAMED])}{more}"
