"""Who waits for whom: calls that wait in the rate limiter's queue, and tasks that wait while an answer is decoded."""

import asyncio
from collections.abc import Awaitable, Callable
from statistics import median
from time import perf_counter, process_time
from typing import Any

from chatloom_async import AsyncChatloom

from ..answers import AGENTS, KEY, TEN_THOUSAND, THOUSAND
from ..arms.bare_aiohttp import session
from ..arms.chatloom import client
from .null import NullTransport

TICK = 0.0005


def queue(calls: int, seconds: float) -> dict[str, float]:
    """So many calls of one key at the default rate limit: CPU to queue one, and per second while they wait."""
    return asyncio.run(_queue(calls, seconds))


async def _queue(calls: int, seconds: float) -> dict[str, float]:
    async with AsyncChatloom(KEY, transport=NullTransport(), deadline=86_400.0) as chatloom:
        began = process_time()
        tasks = [asyncio.create_task(chatloom.list_agents()) for _ in range(calls)]
        await asyncio.sleep(1.0)
        queued = process_time()
        await asyncio.sleep(seconds)
        idle = process_time() - queued
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    each, while_waiting = (queued - began) / calls * 1e6, idle / seconds * 1e3
    return {"CPU to queue one call, us": each, "CPU while waiting, ms/s": while_waiting}


def stall(url: str) -> dict[str, float]:
    """The longest time in which no other task got its turn while one large answer was read and decoded."""
    return asyncio.run(_stall(url))


async def _stall(url: str) -> dict[str, float]:
    numbers: dict[str, float] = {}
    async with session() as http:
        for count, prefix in (("1,000", THOUSAND), ("10,000", TEN_THOUSAND)):

            async def raw(address: str = url + prefix + AGENTS) -> object:
                async with http.get(address) as response:
                    return await response.json()

            async with client(url + prefix) as chatloom:
                numbers[f"{count} agents, ms"] = await _longest_gap(chatloom.list_agents)
            numbers[f"{count} agents by aiohttp + json(), ms"] = await _longest_gap(raw)
    return numbers


async def _longest_gap(call: Callable[[], Awaitable[Any]]) -> float:
    gaps = [0.0]

    async def tick() -> None:
        last = perf_counter()
        while True:
            await asyncio.sleep(TICK)
            now = perf_counter()
            gaps[-1] = max(gaps[-1], now - last - TICK)
            last = now

    await call()
    ticking = asyncio.create_task(tick())
    for _ in range(7):
        gaps.append(0.0)
        await asyncio.sleep(4 * TICK)
        await call()
    ticking.cancel()
    return median(gaps[1:]) * 1e3
