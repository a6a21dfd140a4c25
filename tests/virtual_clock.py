"""A clock for tests: an hour of waiting passes as soon as nobody has anything else to do."""

import asyncio
import heapq
from collections.abc import Callable
from itertools import count
from typing import Any


class VirtualTimer:
    """A callback that is due at a moment of the virtual clock; can be called off."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class VirtualClock:
    """A `policy.clock.Clock` without real waiting.

    Time stands still while any task or callback of the event loop can run. When none can, it jumps to the next
    timer. `slept` holds the seconds of every `sleep`, in order; `scheduled` counts the timers that were ever set.
    One clock works in several event loops, one after the other; timers end with their loop.
    """

    def __init__(self, start: float = 1000.0) -> None:
        self.slept: list[float] = []
        self.scheduled = 0
        self._now = start
        self._timers: list[tuple[float, int, VirtualTimer]] = []
        self._numbers = count()
        self._loop: Any = None
        self._driving = False

    def time(self) -> float:
        return self._now

    @property
    def pending(self) -> int:
        """How many timers are set and not called off."""
        return sum(not timer.cancelled for _, _, timer in self._timers)

    def advance(self, seconds: float) -> None:
        """Lets time pass at once, without firing what falls due: as a loop does that is busy."""
        self._now += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        done = asyncio.get_running_loop().create_future()
        timer = self.call_later(seconds, lambda: done.done() or done.set_result(None))  # type: ignore[arg-type, return-value]
        try:
            await done
        finally:
            timer.cancel()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> VirtualTimer:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._driving, self._timers = loop, False, []
        timer = VirtualTimer(callback)
        self.scheduled += 1
        heapq.heappush(self._timers, (self._now + max(0.0, seconds), next(self._numbers), timer))
        if not self._driving:
            self._driving = True
            loop.call_soon(self._drive)
        return timer

    def _drive(self) -> None:
        """Fires the next timer if the loop has nothing else to run, and comes back as long as there are timers."""
        if not self._loop._ready:
            self._fire_next()
        self._driving = bool(self._timers)
        if self._driving:
            self._loop.call_soon(self._drive)

    def _fire_next(self) -> None:
        while self._timers:
            due, _, timer = heapq.heappop(self._timers)
            if not timer.cancelled:
                self._now = max(self._now, due)
                timer.callback()
                return
