"""From an address, or from nothing, to an engine on workers of Dask: what is wrong with them is said before the audit.

A cluster of one's own is for one audit: it listens on loopback only and with TLS of certificates that nobody else has,
since whoever reaches a scheduler runs code as the user who started it. It has no pages.
"""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from logging import ERROR
from typing import Any

from ..wire.extras import needed_by
from .dask import DaskEngine
from .shard import SchedulerUnreachableError

CONNECT_TIMEOUT = 10.0
THREADS = 32
"""In each worker of a cluster of one's own: they mostly wait."""

SETTINGS: dict[str, object] = {
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.allowed-failures": 1,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}


@asynccontextmanager
async def workers_at(address: str) -> AsyncIterator[DaskEngine]:
    """An engine on the cluster whose scheduler has this address, which goes on after the audit.

    Raises MissingExtraError and SchedulerUnreachableError. For `tls://` the certificates are Dask's own settings.
    """
    async with _connected(_distributed(), address) as engine:
        yield engine


@asynccontextmanager
async def workers_here(count: int | None = None) -> AsyncIterator[DaskEngine]:
    """An engine on a cluster of this machine, which ends with the context: so many processes, else one for each core.

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
        except Exception as problem:  # a name that is none, nobody there, no certificate: Dask has an error for each
            reason = f"No scheduler of Dask at {target}: {problem}"
        else:
            yield DaskEngine(client)
            return
    finally:
        await client.close()
    raise SchedulerUnreachableError(reason)
