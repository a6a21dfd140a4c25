"""Turns waits into jumps of a virtual clock, so that an hour of back-off takes a test no time."""

import asyncio
import heapq
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

PATIENCE = 10  # turns of the event loop: an answer from a sandbox in memory takes three or four


class Moment(float):
    """The time of a `VirtualClock` as a number of seconds. Called, it tells what the clock shows by then."""

    __slots__ = ("_clock",)
    _clock: "VirtualClock"

    def __call__(self) -> float:
        return self._clock()


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

    `now` is in seconds and begins at 0; `slept` lists the waits that have passed, in seconds, in their order. Waits
    that overlap do so here too: who waits at the same time wakes up in the order of the moments, each after the
    others had a chance to go on. Can be called as well, as in `CachingTransport(inner, clock=clock)`, and works in
    several event loops.
    """

    if TYPE_CHECKING:
        now: Moment  # as an attribute, because type checkers take no property for a method
    else:

        @property
        def now(self):
            """A number for tests, and a method for the client: `clock.now - 5.0` and `clock.now()`."""
            moment = Moment(self._time)
            moment._clock = self
            return moment

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._time = 0.0
        self._numbers = count()
        self._timers: WeakKeyDictionary[asyncio.AbstractEventLoop, list[tuple[float, int, Timer]]] = WeakKeyDictionary()

    def __call__(self) -> float:
        return self._time

    def advance(self, seconds: float) -> None:
        """Lets time pass without a wait, such as between two page loads."""
        self._time += seconds

    async def sleep(self, seconds: float) -> None:
        passed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_later(seconds, lambda: None if passed.done() else passed.set_result(None))
        try:
            await passed
        finally:
            timer.cancel()

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        loop, timer = asyncio.get_running_loop(), Timer(seconds, callback)
        timers = self._timers.setdefault(loop, [])
        heapq.heappush(timers, (self._time + seconds, next(self._numbers), timer))
        if len(timers) == 1:
            loop.call_soon(self._turn, loop, PATIENCE)
        return timer

    def _turn(self, loop: asyncio.AbstractEventLoop, patience: int) -> None:
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
                self._time = max(self._time, moment)
                self.slept.append(timer.seconds)
                return timer
        return None
