"""A cluster of Dask whose scheduler and workers are threads of this process: fast to start, and nothing to kill."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any


@contextmanager
def threads(workers: int = 2, each: int = 2, **scheduler: Any) -> Iterator[str]:
    """The address of its scheduler, which takes the options of one."""
    from distributed import LocalCluster

    options = {"processes": False, "protocol": "tcp", "dashboard_address": "127.0.0.1:0", "scheduler_kwargs": scheduler}
    with LocalCluster(n_workers=workers, threads_per_worker=each, **options) as cluster:
        yield cluster.scheduler_address


@asynccontextmanager
async def connected(address: str, workers: int = 2) -> AsyncIterator[Any]:
    """A client, once so many workers are there."""
    from distributed import Client

    async with Client(address, asynchronous=True, timeout="10s") as connecting:
        client: Any = connecting
        if workers:
            await client.wait_for_workers(workers, timeout=20)
        yield client
