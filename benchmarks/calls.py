"""Turns one arm into microseconds of this process's CPU per call, for several numbers of concurrent calls.

Raw aiohttp is measured in turns with it in the same process: on a busy machine that ratio is good to a few percent,
where the numbers of two processes differ by more than ten.
"""

import asyncio
import gc
from collections.abc import Callable
from statistics import median
from time import process_time

from .arms import ARMS, RAW, agents_in, opened, paired
from .arms.interface import Call
from .timing import Samples, ratio

WARM_UP = 100
MOST = 50_000
BATCHES = 15
"""Short ones, so that most are not disturbed, and a disturbance hits few pairs. With 5 of the same length in all, the
ratios of eight processes spread by 4 to 13 % (standard deviation), with 15 by 2 to 7 %."""

LOOPS = ("asyncio", "uvloop")


def runner(loop: str) -> asyncio.Runner:
    """An asyncio.Runner with the event loop of this name."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if loop == "uvloop":
        from uvloop import new_event_loop as factory
    return asyncio.Runner(loop_factory=factory)


async def together(call: Call, concurrency: int, number: int) -> None:
    """Makes `number` calls, `concurrency` at a time."""
    todo = iter(range(number))

    async def work() -> None:
        for _ in todo:
            await call()

    await asyncio.gather(*(work() for _ in range(concurrency)))


async def cpu(call: Call, concurrency: int, number: int) -> float:
    """Microseconds of CPU, user and system, all threads, per call."""
    gc.collect()
    began = process_time()
    await together(call, concurrency, number)
    return (process_time() - began) / number * 1e6


async def arm_cpu(name: str, url: str, levels: list[int], seconds: float) -> dict[str, float]:
    """CPU per call at each level of concurrency, and how many times that of raw aiohttp it is."""
    async with opened(ARMS[name], url) as call, opened(ARMS[RAW], url) as raw:
        seen = agents_in(await call())
        if seen != 10:
            raise ValueError(f"the answer holds {seen} agents instead of 10")
        numbers: dict[str, float] = {}
        for concurrency in levels:
            samples = await _level(call, raw, concurrency, seconds)
            numbers[str(concurrency)] = median(samples["arm"])
            numbers[paired(str(concurrency))] = ratio(samples, "arm", "raw")
        return numbers


async def _level(call: Call, raw: Call, concurrency: int, seconds: float) -> Samples:
    """`BATCHES` samples of both, in turns, from about `seconds` of the arm's CPU; after a warm-up."""
    few = max(WARM_UP, 2 * concurrency)
    await together(raw, concurrency, few)
    await together(call, concurrency, few)
    number = min(MOST, max(few, int(seconds * 1e6 / BATCHES / await cpu(call, concurrency, few))))
    samples: Samples = {"arm": [], "raw": []}
    for _ in range(BATCHES):
        samples["raw"].append(await cpu(raw, concurrency, number))
        samples["arm"].append(await cpu(call, concurrency, number))
    return samples


def measure(name: str, url: str, loop: str, levels: list[int], seconds: float) -> dict[str, float]:
    """What one fresh process measures."""
    with runner(loop) as run:
        return run.run(arm_cpu(name, url, levels, seconds))
