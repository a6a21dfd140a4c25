"""Runs shards on workers of Dask: the engine, and how to reach workers by an address or to start some on this machine.

A cluster that is started here is for one audit. It listens on loopback only, with TLS and its own certificates,
because access to a scheduler means running code as the user who started it. It serves no pages.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from logging import ERROR
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from attrs import define, field

from ..audit.values import Failure
from ..wire.cleaning import first_of
from ..wire.errors import ChatloomError, needed_by
from ..wire.version import VERSION
from .shard import EngineError, EngineLostError, NoWorkersError, Shard, ShardLostError, ShardResult
from .worker import audit_shard

if TYPE_CHECKING:
    from distributed import Client


VERSION_PLACE = "chatloom_async.wire.version:VERSION"
NAMED = 3  # unfit workers that the error names; it counts the others
TRIES, TRANSFER_GRACE = 3, 60.0
"""A shard is given up after TRIES x its deadline + TRANSFER_GRACE seconds: workers may die late, and one that hangs
outside of Python cannot keep the deadline itself."""

LOOK = 5.0
"""Seconds between two looks at the scheduler while a shard is out."""


@define(eq=False)
class DaskEngine:
    """Runs shards on the workers of a client, `Client(address, asynchronous=True)`. The client is not closed.

    The number of shards in flight is the number of worker threads at the start. Threads mostly wait, so give a worker
    many of them (`--nthreads 32`). More shards than threads would wait at a worker, and would be lost with it. With
    `distributed.scheduler.worker-saturation: 1.0` and `allowed-failures: 1` in the scheduler's configuration, a shard
    that crashes its workers costs fewer of them.
    """

    client: "Client"
    _scheduler: str | None = field(default=None, init=False)

    async def prepare(self) -> int:
        """Checks that every worker has the same version of this package, with a function of the standard library."""
        answers: Any = self.client.run(resolve_name, VERSION_PLACE, on_error="return")
        versions = await answers
        if not versions:
            raise NoWorkersError("The scheduler has no workers")
        if unfit := list(_unfit(versions)):
            raise NoWorkersError(f"Not every worker has chatloom-async {VERSION}: {first_of(unfit, NAMED)}")
        self._scheduler = self.client.scheduler_info()["id"]
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
        """The future is released as soon as the result has arrived, to free its memory."""
        future: Any = self.client.submit(audit_shard, shard, key=f"audit-shard-{shard.id}-{uuid4().hex}", pure=False)
        result: asyncio.Task[ShardResult] = asyncio.ensure_future(_awaited(future))
        try:
            async with asyncio.timeout(TRIES * shard.deadline + TRANSFER_GRACE):
                while not (await asyncio.wait([result], timeout=LOOK))[0]:
                    self._check_scheduler(shard)
                return result.result()
        finally:
            result.cancel()
            future.release()

    def _check_scheduler(self, shard: Shard) -> None:
        """Raises EngineLostError if the client is connected to another scheduler, which may have no workers."""
        if self._scheduler not in (None, self.client.scheduler_info()["id"]):
            raise EngineLostError(f"Dask's scheduler was replaced while shard {shard.id} was out")

    async def _overdue(self, shard: Shard) -> ShardResult:
        text = f"Shard {shard.id} did not come back, though its deadline of {shard.deadline:g} s is long over"
        if await self._threads():
            return shard.failed(Failure.of(EngineError(text)))
        raise EngineLostError(f"{text}: the scheduler has no workers")

    async def _threads(self) -> int:
        client: Any = self.client
        return sum((await client.nthreads()).values())


async def _awaited(future: Any) -> Any:
    return await future


def _unfit(versions: dict[str, Any]) -> Iterator[str]:
    """What is wrong with each worker that is not as this process."""
    for address, version in sorted(versions.items()):
        if isinstance(version, Exception):
            yield f"{address} cannot import it ({type(version).__name__}: {version})"
        elif version != VERSION:
            yield f"{address} has {version}"


CONNECT_TIMEOUT = 10.0
THREADS = 32  # threads of each worker that is started here. They mostly wait

SETTINGS: dict[str, object] = {
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.allowed-failures": 1,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}


@asynccontextmanager
async def workers_at(address: str) -> AsyncIterator[DaskEngine]:
    """An engine on the cluster whose scheduler has this address. The cluster is not closed.

    Raises MissingExtraError and NoWorkersError. For `tls://` the certificates are Dask's own settings.
    """
    async with _connected(_distributed(), address) as engine:
        yield engine


@asynccontextmanager
async def workers_here(count: int | None = None) -> AsyncIterator[DaskEngine]:
    """An engine on a cluster on this machine with `count` processes, by default one per core. It ends with the context.

    Raises MissingExtraError.
    """
    distributed = _distributed()
    from dask import config
    from dask.system import CPU_COUNT

    with config.set(SETTINGS):
        cluster = distributed.LocalCluster(
            n_workers=count or CPU_COUNT,
            threads_per_worker=THREADS,
            security=distributed.Security.temporary(),
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=ERROR,
            preload=[__name__],
            asynchronous=True,
        )
        async with cluster, _connected(distributed, cluster) as engine:
            yield engine


def dask_setup(_: object) -> None:
    """Dask calls it in each new worker. Ctrl-C reaches every process of a terminal; what it means is decided in one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _distributed() -> Any:
    with needed_by("An audit on Dask, here and on each worker,", "cryptography", "distributed", extra="dask"):
        import cryptography  # noqa: F401 - without it, no cluster here could be safe
        import distributed
    return distributed


@asynccontextmanager
async def _connected(distributed: Any, target: Any) -> AsyncIterator[DaskEngine]:
    client = distributed.Client(target, asynchronous=True, timeout=CONNECT_TIMEOUT)
    try:
        try:
            await client
        except Exception as problem:  # an invalid name, no scheduler, no certificate: Dask has an error for each
            raise NoWorkersError(f"No scheduler of Dask at {target}: {problem}") from None
        yield DaskEngine(client)
    finally:
        await client.close()
