"""Turns waits into jumps of a virtual clock, so that an hour of back-off takes a test no time.

asyncio is imported when a clock is used: every pytest run imports this file, and most do not need it.
"""

import heapq
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import asyncio

PATIENCE = 10  # turns of the event loop: an answer from a sandbox in memory takes three or four


class Timer:
    """A wait of so many seconds, and what happens then."""

    __slots__ = ("callback", "cancelled", "seconds")

    def __init__(self, seconds: float, callback: Callable[[], object]) -> None:
        self.seconds: float = seconds
        self.callback: Callable[[], object] = callback
        self.cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class VirtualClock:
    """A clock for `AsyncChatloom(clock=...)`: nothing waits for real, and time passes only by what was waited for.

    `now` is the time in seconds, from 0; `slept` lists the waits that have passed, in seconds, in their order. Waits
    that overlap do so here too: tasks wake up in the order of their moments, each after the others had a chance to go
    on. Whatever asks a function for the time takes `clock.time`, as in `CachingTransport(inner, clock=clock.time)`.
    One clock works in several event loops.
    """

    def __init__(self) -> None:
        self.now: float = 0.0
        self.slept: list[float] = []
        self._numbers = count()
        self._timers: WeakKeyDictionary[asyncio.AbstractEventLoop, list[tuple[float, int, Timer]]] = WeakKeyDictionary()

    def time(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Lets time pass without a wait, such as between two page loads."""
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
            loop.call_soon(self._turn, loop, PATIENCE)
        return timer

    def _turn(self, loop: "asyncio.AbstractEventLoop", patience: int) -> None:
        """Lets the next timer fire when tasks have had enough turns, and comes back while there are timers."""
        timers = self._timers[loop]
        due = None if patience else self._next(timers)
        if timers:
            loop.call_soon(self._turn, loop, patience - 1 if patience else PATIENCE)
        if due:
            due.callback()  # last, since it may set another timer

    def _next(self, timers: list[tuple[float, int, Timer]]) -> Timer | None:
        while timers:
            moment, _, timer = heapq.heappop(timers)
            if not timer.cancelled:
                self.now = max(self.now, moment)
                self.slept.append(timer.seconds)
                return timer
        return None
