"""The machine's clock. The virtual one is tested in tests/testing."""

import time

from chatloom_async.policy.clock import Clock, SystemClock


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
