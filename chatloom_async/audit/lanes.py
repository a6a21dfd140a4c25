"""Reads the items of one workspace in one lane, and in several as soon as one lane would be too slow.

A lane is one call after the other, and so one connection. A connection costs as much CPU as several calls, over TLS as
nine. One lane is enough while answers come faster than the API's limit for the key lets calls leave.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar, cast

from ..policy.clock import Clock
from ..policy.limiter import RateLimit

Item = TypeVar("Item")

SLOW_ANSWER = 0.15
"""Seconds. Far above what calls of other workspaces add on a busy event loop; with 0.02 s, load alone opened lanes."""

STUCK_AFTER = 1.0
"""Seconds after which a call opens the other lanes, so that e.g. a retry does not hold up the rest."""

TICK = 0.01
"""Seconds between two looks at the event loop: 100 looks a second take a thousandth of its time."""

LOOKS = 3
"""Steps of the event loop from the arrival of an answer to the task that waits for it, at most."""

WINDOW = 0.5
"""Seconds back that a Pace looks."""

EASY, BUSY = 0.3, 0.7
"""Shares of the time for which the event loop is late: up to the first, a workspace may have all lanes, and from the
second on only one. Over TLS, 1,000 workspaces at 200 ms, 256 at once, thus take 7 s instead of 11 s with all lanes."""


class Pace:
    """What all workspaces of an audit have in common: whether answers are slow, and how late the event loop is.

    Use it as a context for as long as a workspace is read. `slow` says whether the last answer about an agent was slow;
    None: there was none yet.
    """

    def __init__(self) -> None:
        self.slow: bool | None = None
        self._late, self._readers = 0.0, 0
        self._looks = deque[float](maxlen=LOOKS)
        self._timer: asyncio.TimerHandle | None = None

    def lanes(self, most: int) -> int:
        """How many lanes a workspace with slow answers may have now. More connections would make a busy loop later."""
        spare = (BUSY - self._late) / (BUSY - EASY)
        return round(1 + (most - 1) * min(1.0, max(0.0, spare)))

    @property
    def lag(self) -> float:
        """Seconds for which an answer that is told of now may have been there."""
        return asyncio.get_running_loop().time() - self._looks[0]

    def __enter__(self) -> None:
        self._readers += 1
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._looks.append(loop.time())
            self._look_again(loop)

    def __exit__(self, *_: object) -> None:
        self._readers -= 1
        if self._timer is not None and not self._readers:
            self._timer.cancel()
            self._timer = None
            self._looks.clear()

    def _look_again(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_at(self._looks[-1] + TICK, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        passed = max(TICK, loop.time() - self._looks[-1])  # a coarse clock may not have moved
        self._looks.append(loop.time())
        self._late += min(1.0, passed / WINDOW) * (max(0.0, 1.0 - TICK / passed) - self._late)
        self._look_again(loop)


class Lanes(Generic[Item]):
    """Calls `read` for each of the items, in `first` lanes at the start and in `most` lanes once a call is stuck.

    `read` returns how many lanes there should be from now on: more are opened, but none is closed. After 0, no further
    item begins, and the other lanes are cancelled. `read` handles its own errors. The first lane runs in the current
    task: a task of its own would take 9 us.
    """

    def __init__(
        self, items: Iterable[Item], read: Callable[[Item], Awaitable[int]], most: int, clock: Clock, *, first: int
    ) -> None:
        self._items = iter(items)
        self._read, self._most, self._clock, self._lanes_at_first = read, most, clock, first
        self._others: list[asyncio.Task[None]] = []
        self._first: asyncio.Task[object] | None = None  # while it runs
        self._cancelling = 0  # requests to cancel it that its calls have left behind
        self._first_is_cancelled = self._stopped = False

    async def run(self) -> None:
        """Returns when all items were read, or `read` has stopped it."""
        self._began = self._clock.time()
        self._watch(STUCK_AFTER)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._widen(self._lanes_at_first)
                await self._first_lane()
        finally:
            self._timer.cancel()
        if not self._stopped and any(lane.cancelled() for lane in self._others):
            raise asyncio.CancelledError("a call has cancelled the task that it ran in")

    async def _first_lane(self) -> None:
        task = self._first = cast("asyncio.Task[object]", asyncio.current_task())
        try:
            await self._lane(task)
        except asyncio.CancelledError:
            if not self._first_is_cancelled or task.cancelling() > self._cancelling + 1:
                raise
        finally:
            self._first = None
            if self._first_is_cancelled:
                task.uncancel()

    async def _lane(self, first: "asyncio.Task[object] | None" = None) -> None:
        for item in self._items:
            if self._stopped:
                break
            if first is not None:
                self._cancelling = first.cancelling()
            self._began = self._clock.time()
            if lanes := await self._read(item):
                self._widen(lanes)
            else:
                self._stop()

    def _widen(self, lanes: int) -> None:
        for _ in range(lanes - 1 - len(self._others)):
            lane = self._lane()
            try:
                self._others.append(self._group.create_task(lane))
            except RuntimeError:  # the group is being cancelled
                lane.close()

    def _stop(self) -> None:
        self._stopped = True
        current = asyncio.current_task()
        for task in self._others:
            if task is not current:
                task.cancel()
        if self._first is not None and self._first is not current and not self._first_is_cancelled:
            self._first_is_cancelled = True
            self._first.cancel()

    def _watch(self, seconds: float) -> None:
        """Looks after so many seconds whether the only lane is stuck. A timer for each call would cost more."""
        self._timer = self._clock.call_later(seconds, self._look)

    def _look(self) -> None:
        waited = self._clock.time() - self._began
        if waited >= STUCK_AFTER:
            self._widen(self._most)
        elif not self._others:
            self._watch(STUCK_AFTER - waited)


def one_lane_suffices(limit: object) -> bool:
    """Whether calls in series, each faster than SLOW_ANSWER, are as fast as the rate limit allows.

    None is no limit. A user's own limiter is assumed to be like the default, because its rate is unknown.
    """
    if limit is None:
        return False
    return not isinstance(limit, RateLimit) or limit.per_second * SLOW_ANSWER <= 1
