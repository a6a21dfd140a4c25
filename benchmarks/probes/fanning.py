"""Many calls at once: throughput and memory of fan_out() beside a bare pool of workers on raw aiohttp.

A workspace is a key; one call is made for each. `one key` is what can be compared with the pool, which has no keys.
"""

import asyncio
import resource
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import perf_counter, process_time

from chatloom_async import AiohttpTransport, AsyncChatloom, Ok, fan_out

from ..answers import KEY
from ..arms.bare_aiohttp import bytes_only
from ..arms.chatloom import client
from ..calls import together

WORKERS = 64

Run = Callable[[int], Awaitable[None]]


@asynccontextmanager
async def pool(url: str) -> AsyncIterator[Run]:
    """Workers on raw aiohttp, nothing else."""
    async with bytes_only(url) as call:

        async def run(number: int) -> None:
            await together(call, WORKERS, number)

        yield run


async def _drain(chatloom: AsyncChatloom, number: int, *, keyed: bool) -> None:
    async for result in fan_out(
        range(number),
        lambda index: (chatloom.with_key(f"{KEY}{index}") if keyed else chatloom).list_agents(),
        concurrency=WORKERS,
    ):
        if not isinstance(result, Ok):
            raise result.error


@asynccontextmanager
async def one_key(url: str) -> AsyncIterator[Run]:
    """One client for all."""
    async with client(url) as chatloom:
        yield lambda number: _drain(chatloom, number, keyed=False)


@asynccontextmanager
async def key_each(url: str) -> AsyncIterator[Run]:
    """A key, so a connection, for each call."""
    async with client(url) as chatloom:
        yield lambda number: _drain(chatloom, number, keyed=True)


@asynccontextmanager
async def key_each_shared(url: str) -> AsyncIterator[Run]:
    """A key for each call, and connections for all."""
    transport = AiohttpTransport(share_connections=True)
    async with client(url, transport) as chatloom:
        yield lambda number: _drain(chatloom, number, keyed=True)
    await transport.aclose()


WAYS: dict[str, Callable[[str], AbstractAsyncContextManager[Run]]] = {
    "bare pool": pool,
    "fan_out, one key": one_key,
    "fan_out, a key each": key_each,
    "fan_out, a key each, shared": key_each_shared,
}


def throughput(url: str, way: str, number: int) -> dict[str, float]:
    """Requests per second, and CPU per request."""
    return asyncio.run(_throughput(url, way, number))


async def _throughput(url: str, way: str, number: int) -> dict[str, float]:
    async with WAYS[way](url) as run:
        await run(4 * WORKERS)
        wall, cpu = perf_counter(), process_time()
        await run(number)
        wall, cpu = perf_counter() - wall, process_time() - cpu
    return {"requests/s": number / wall, "CPU, us": cpu / number * 1e6}


def memory(url: str, way: str, sizes: list[int]) -> dict[str, float]:
    """By how much the process's highest memory use grows from the first size to each other one, in one process."""
    return asyncio.run(_memory(url, way, sizes))


async def _memory(url: str, way: str, sizes: list[int]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    async with WAYS[way](url) as run:
        await run(sizes[0])
        first = highest_memory()
        for size in sizes[1:]:
            await run(size)
            numbers[f"growth {sizes[0]} to {size:,}, MB"] = highest_memory() - first
    return numbers


def highest_memory() -> float:
    """The highest resident memory of this process so far, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def scaling(url: str, number: int) -> dict[str, float]:
    """One fan-out of so many calls with one key."""
    numbers = throughput(url, "fan_out, one key", number)
    return numbers | {"highest memory, MB": highest_memory()}
