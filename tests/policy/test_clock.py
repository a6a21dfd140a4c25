"""The two clocks: the machine's, and the one that the tests use instead."""

import asyncio
import time

from chatloom_async.policy.clock import Clock, SystemClock
from tests.virtual_clock import VirtualClock


async def test_the_system_clock_is_monotonic_and_waits_in_the_event_loop() -> None:
    """SystemClock tells time.monotonic(), sleeps, and calls back; a cancelled timer does not."""
    clock: Clock = SystemClock()
    before, now, after = time.monotonic(), clock.time(), time.monotonic()
    assert before <= now <= after
    called: list[str] = []
    clock.call_later(0, lambda: called.append("due"))
    clock.call_later(0, lambda: called.append("cancelled")).cancel()
    await clock.sleep(0.001)
    assert called == ["due"]


async def test_the_virtual_clock_fires_in_order_of_time_without_waiting() -> None:
    """Timers fire by their moment, then by their order; an hour takes no time."""
    clock: Clock = VirtualClock(start=0.0)
    fired: list[tuple[str, float]] = []
    for name, seconds in [("late", 3600.0), ("early", 1.0), ("early too", 1.0), ("cancelled", 2.0)]:
        timer = clock.call_later(seconds, lambda name=name: fired.append((name, clock.time())))  # type: ignore[misc]
        if name == "cancelled":
            timer.cancel()
    began = time.monotonic()
    await clock.sleep(7200.0)
    assert fired == [("early", 1.0), ("early too", 1.0), ("late", 3600.0)]
    assert (clock.time(), time.monotonic() - began < 5) == (7200.0, True)


async def test_the_virtual_clock_stands_still_while_a_task_can_run() -> None:
    """However long tasks are busy, no virtual time passes before they wait."""
    clock = VirtualClock(start=0.0)
    seen: list[float] = []

    async def busy() -> None:
        for _ in range(1000):
            await asyncio.sleep(0)
            seen.append(clock.time())

    await asyncio.gather(busy(), clock.sleep(1.0))
    assert (set(seen), clock.slept, clock.time()) == ({0.0}, [1.0], 1.0)


def test_the_virtual_clock_outlives_an_event_loop() -> None:
    """What was due in a loop that has ended does not fire in the next one."""
    clock = VirtualClock(start=0.0)
    fired: list[float] = []

    async def leave_a_timer() -> None:
        clock.call_later(5.0, lambda: fired.append(clock.time()))

    asyncio.run(leave_a_timer())
    asyncio.run(clock.sleep(10.0))
    assert (fired, clock.time()) == ([], 10.0)
