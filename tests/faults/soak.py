"""Endurance: calls over connections that are mistreated, and an outage: `python -m tests.faults.soak --calls 25000`.

The server is a process of its own (mixed.py), so what is counted here is the client's. After a warm-up, a quarter of
the way, neither resident memory nor open descriptors nor tasks may grow; closed, the client holds none. Then every
answer is a 500, and there must be less than 1.3 requests for each call. Prints figures; the exit status tells whether
all of it held.
"""

import argparse
import asyncio
import gc
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from chatloom_async import AllowedDomains, AsyncChatloom, ChatloomError, Ok, RetryPolicy, ServerError, Timeouts, fan_out
from tests.descriptors import back_to, open_descriptors
from tests.faults.mixed import Mix
from tests.raw_server import RawServer

KEYS, CONCURRENCY, ROUNDS, WARM_UP = 100, 48, 20, 5
GROWTH_MB, GROWTH_DESCRIPTORS = 2.0, 16  # idle connections come and go with the keys that are in use
OUTAGE_CALLS, OUTAGE_LIMIT = 500, 1.3
OPTIONS = {
    "rate_limit": None,
    "retry": RetryPolicy(base=0.001, throttle_base=0.001),
    "timeouts": Timeouts(connect=2.0, read=0.2, attempt=3.0),
    "deadline": 10.0,
}


@frozen
class Figures:
    """What the process holds between two rounds, when nothing is under way."""

    calls: int
    megabytes: float
    descriptors: int
    tasks: int
    outcomes: Counter[str]

    @classmethod
    def now(cls, calls: int, outcomes: Counter[str]) -> "Figures":
        """Counts them, garbage collected."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        megabytes = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        return cls(calls, megabytes, open_descriptors(), len(asyncio.all_tasks()), Counter(outcomes))

    def __str__(self) -> str:
        return f"{self.calls:7,} calls  {self.megabytes:6.1f} MB  {self.descriptors:4} descriptors  {self.tasks} tasks"


@contextmanager
def mistreating() -> Iterator[str]:
    """The URL of the server that does everything that can be done wrong."""
    with subprocess.Popen([sys.executable, "-m", "tests.faults.mixed"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        yield server.stdout.readline().strip()
        server.kill()


async def calls(client: AsyncChatloom, begin: int, count: int) -> Counter[str]:
    """Makes them, with all keys, some of them given up on the way, and counts what came of them."""

    async def call(number: int) -> AllowedDomains:
        own = client.with_key(f"clf_soak{number % KEYS}")
        async with asyncio.timeout(0.003 if number % 50 == 0 else None):
            return await own.get_allowed_domains(f"agt_{number}")

    outcomes: Counter[str] = Counter()
    async for result in fan_out(range(begin, begin + count), call, concurrency=CONCURRENCY):
        if isinstance(result, Ok):
            outcomes["answered" if result.value.domains[0] == f"clf_soak{result.item % KEYS}" else "MIXED UP"] += 1
        else:
            known = isinstance(result.error, ChatloomError) or type(result.error) is TimeoutError
            outcomes[type(result.error).__name__ if known else f"UNKNOWN {result.error!r}"] += 1
    return outcomes


async def soaked(total: int) -> list[Figures]:
    """Round after round; the figures in between."""
    outcomes: Counter[str] = Counter()
    figures = []
    with mistreating() as url:
        before = open_descriptors()
        async with AsyncChatloom("clf_soak0", base_url=url, **OPTIONS) as client:  # type: ignore[arg-type]
            for number in range(ROUNDS):
                outcomes += await calls(client, number * total // ROUNDS, total // ROUNDS)
                figures.append(Figures.now(sum(outcomes.values()), outcomes))
                print(figures[-1], flush=True)
        left = await back_to(before) - before
        print(f"closed: {left} descriptors left")
        assert left == 0
    return figures


async def outage() -> float:
    """Requests for each call, when every answer is a 500."""
    async with (
        RawServer(Mix(["500"])) as server,
        AsyncChatloom("clf_soak", base_url=server.url, **OPTIONS) as client,  # type: ignore[arg-type]
    ):
        results = [each async for each in fan_out(range(OUTAGE_CALLS), lambda _: client.list_agents(), concurrency=32)]
        assert all(not isinstance(each, Ok) and isinstance(each.error, ServerError) for each in results)
        return len(server.requests) / len(results)


def problems(figures: list[Figures], total: int) -> list[str]:
    """What did not hold."""
    warm, rest, last = figures[:WARM_UP], figures[WARM_UP:], figures[-1]
    found = [each for each in last.outcomes if each.startswith(("MIXED", "UNKNOWN"))]
    if max(each.megabytes for each in rest) > warm[-1].megabytes + GROWTH_MB:
        found.append(f"memory grew by more than {GROWTH_MB} MB")
    if max(each.descriptors for each in rest) > max(each.descriptors for each in warm) + GROWTH_DESCRIPTORS:
        found.append(f"descriptors grew by more than {GROWTH_DESCRIPTORS}")
    if {each.tasks for each in figures} != {1}:
        found.append("tasks were left behind")
    if last.calls < total:
        found.append(f"only {last.calls} of {total} calls ended")
    return found


def main() -> int:
    """Soaks, then plays the outage."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--calls", type=int, default=25_000)
    total, began = parser.parse_args().calls, time.perf_counter()
    figures = asyncio.run(soaked(total))
    for outcome, times in figures[-1].outcomes.most_common():
        print(f"{times:7,} {outcome}")
    found = problems(figures, total)
    ratio = asyncio.run(outage())
    print(f"{total:,} calls in {time.perf_counter() - began:.0f} s; outage: {ratio:.2f} requests for each call")
    if ratio >= OUTAGE_LIMIT:
        found.append(f"an outage multiplied the traffic by {ratio:.2f}")
    print(*(found or ["All of it held."]), sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
