"""A virtual clock for tests: an hour of back-off takes no real time.

asyncio is imported when a clock is used: every pytest run imports this file, and most do not need it.
"""

import heapq
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import asyncio

ITERATIONS = 10  # iterations of the event loop: an answer from an in-memory sandbox takes three or four


class Timer:
    """A wait in seconds, and the function to call after it."""

    __slots__ = ("callback", "cancelled", "seconds")

    def __init__(self, seconds: float, callback: Callable[[], object]) -> None:
        self.seconds: float = seconds
        self.callback: Callable[[], object] = callback
        self.cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class VirtualClock:
    """A clock for `AsyncChatloom(clock=...)`. Waits take no real time; they advance the clock.

    `now` is the time in seconds, from 0; `slept` lists the finished waits, in seconds, in order. Waits can overlap:
    tasks wake up in the order of their times, and each wake-up lets the other tasks run first. Pass `clock.time` where
    a function is expected: `CachingTransport(inner, clock=clock.time)`. One clock works in several event loops.
    """

    def __init__(self) -> None:
        self.now: float = 0.0
        self.slept: list[float] = []
        self._numbers = count()
        self._timers: WeakKeyDictionary[asyncio.AbstractEventLoop, list[tuple[float, int, Timer]]] = WeakKeyDictionary()

    def time(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Advances the time without a wait, e.g. between two page loads."""
        self.now += seconds

    async def sleep(self, seconds: float) -> None:
        from asyncio import get_running_loop

        passed: asyncio.Future[None] = get_running_loop().create_future()
        timer = self.call_later(seconds, lambda: None if passed.done() else passed.set_result(None))
        try:
            await passed
        finally:
            timer.cancel()

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        from asyncio import get_running_loop

        loop, timer = get_running_loop(), Timer(seconds, callback)
        timers = self._timers.setdefault(loop, [])
        heapq.heappush(timers, (self.now + seconds, next(self._numbers), timer))
        if len(timers) == 1:
            loop.call_soon(self._turn, loop, ITERATIONS)
        return timer

    def _turn(self, loop: "asyncio.AbstractEventLoop", iterations: int) -> None:
        """Fires the next timer after the tasks had enough iterations, and repeats while there are timers."""
        timers = self._timers[loop]
        due = None if iterations else self._next(timers)
        if timers:
            loop.call_soon(self._turn, loop, iterations - 1 if iterations else ITERATIONS)
        if due:
            due.callback()  # last, because it may set another timer

    def _next(self, timers: list[tuple[float, int, Timer]]) -> Timer | None:
        while timers:
            moment, _, timer = heapq.heappop(timers)
            if not timer.cancelled:
                self.now = max(self.now, moment)
                self.slept.append(timer.seconds)
                return timer
        return None
