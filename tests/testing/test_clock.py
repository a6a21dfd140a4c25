"""The virtual clock that users' tests get."""

import asyncio
from typing import Any

import pytest

from chatloom_async import AsyncChatloom, MockTransport, RateLimit
from chatloom_async.testing import VirtualClock
from chatloom_async.testing.clock import ITERATIONS
from tests.samples import KEY, api


async def test_now_is_what_time_tells() -> None:
    """It begins at 0, and passes with waits or by `advance`."""
    clock = VirtualClock()
    assert (clock.now, clock.time()) == (0.0, 0.0)
    await clock.sleep(2.5)
    assert (clock.now, clock.time()) == (2.5, 2.5)
    clock.advance(1.0)
    assert (clock.now, clock.slept) == (3.5, [2.5])


async def test_waits_at_the_same_time_pass_at_the_same_time() -> None:
    """Who wakes up goes on before the next one does: an hour of many takes an hour, in the right order."""
    clock, seen = VirtualClock(), list[tuple[str, float]]()

    async def twice(name: str, seconds: float) -> None:
        for _ in range(2):
            await clock.sleep(seconds)
            for _ in range(ITERATIONS - 3):
                await asyncio.sleep(0)
            seen.append((name, clock.now))

    await asyncio.gather(twice("slow", 1000.0), twice("quick", 600.0))
    assert seen == [("quick", 600.0), ("slow", 1000.0), ("quick", 1200.0), ("slow", 2000.0)]
    assert clock.slept == [600.0, 1000.0, 600.0, 1000.0]


async def test_a_timer_that_was_called_off_does_not_pass() -> None:
    """Neither it nor its wait; those after it do."""
    clock, fired = VirtualClock(), list[str]()
    clock.call_later(1.0, lambda: fired.append("first")).cancel()
    last = clock.call_later(3.0, lambda: fired.append("last"))
    await clock.sleep(2.0)
    last.cancel()
    for _ in range(2 * ITERATIONS):
        await asyncio.sleep(0)
    assert (fired, clock.now, clock.slept) == ([], 2.0, [2.0])


async def test_a_timer_may_set_another() -> None:
    """As the rate limiter does for the next in its queue."""
    clock, done = VirtualClock(), asyncio.Event()
    clock.call_later(1.0, lambda: clock.call_later(1.0, done.set))
    await done.wait()
    assert (clock.now, clock.slept) == (2.0, [1.0, 1.0])


async def test_a_sleep_can_be_cancelled_at_any_time() -> None:
    """Also in the very moment in which it ends; nothing is reported to the event loop."""
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    for turns in range(ITERATIONS + 5):
        sleeper = asyncio.create_task(VirtualClock().sleep(1.0))
        for _ in range(turns):
            await asyncio.sleep(0)
        sleeper.cancel()
        await asyncio.wait([sleeper])
    assert reported == []


def test_one_clock_works_in_several_event_loops() -> None:
    """A wait that was left behind in one does not hold up another."""
    clock = VirtualClock()
    loop = asyncio.new_event_loop()
    left = loop.create_task(clock.sleep(1.0))
    loop.run_until_complete(asyncio.sleep(0))
    asyncio.run(clock.sleep(5.0))
    assert (clock.now, left.done()) == (5.0, False)
    loop.run_until_complete(left)
    loop.close()
    assert (clock.now, clock.slept) == (5.0, [5.0, 1.0])


async def test_the_rate_limit_of_a_client_passes_on_it() -> None:
    """A hundred calls of a key that may make four in a second."""
    clock = VirtualClock()
    limit = RateLimit(per_second=4.0, burst=8, concurrency=8)
    client = AsyncChatloom(KEY, transport=MockTransport(api), clock=clock, rate_limit=limit)
    await asyncio.gather(*(client.list_agents() for _ in range(100)))
    assert clock.now == pytest.approx(92 / 4)
