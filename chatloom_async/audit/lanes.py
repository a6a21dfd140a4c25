"""Reads the items of one workspace in one lane, and in several as soon as one lane would be too slow.

A lane is one call after the other, and so one connection. A connection costs as much CPU as several calls, over TLS as
nine. One lane is enough while answers come faster than the API's limit for the key lets calls leave.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from time import monotonic, process_time
from typing import Generic, TypeVar

from ..policy.clock import Clock
from ..policy.limiter import RateLimit

Item = TypeVar("Item")

SLOW_ANSWER = 0.15
"""Seconds. Far above what calls of other workspaces add on a busy event loop; with 0.02 s, load alone opened lanes."""

STUCK_AFTER = 1.0
"""Seconds after which a call opens the other lanes, so that e.g. a retry does not hold up the rest."""

CPU_SAMPLE = 0.02
"""Seconds that a sample of the CPU time is good for. A fresh one for each call took a tenth of an audit's CPU."""


class CpuTime:
    """The CPU time of this process so far, sampled now and then."""

    def __init__(self) -> None:
        self._sampled, self._seconds = float("-inf"), 0.0

    def recent(self) -> float:
        """Seconds of CPU, as of at most CPU_SAMPLE seconds ago."""
        now = monotonic()
        if now - self._sampled > CPU_SAMPLE:
            self._sampled, self._seconds = now, process_time()
        return self._seconds


class Lanes(Generic[Item]):
    """Calls `read` for each of the items. `most` is how many lanes there may be.

    `read` returns whether its answer was slow, and handles its own errors. `wide` opens all lanes from the start.
    """

    def __init__(
        self, items: Iterable[Item], read: Callable[[Item], Awaitable[bool]], most: int, clock: Clock, *, wide: bool
    ) -> None:
        self._items = iter(items)
        self._read, self._most, self._clock, self._wide = read, most, clock, wide
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    async def run(self) -> None:
        """Returns when all items were read, or `stop` was called."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._open()
            if self._wide:
                self._widen()

    def stop(self) -> None:
        """Begins no further item and cancels the other lanes. Call it in `read`."""
        self._stopped = True
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()

    def _open(self) -> None:
        self._tasks.add(self._group.create_task(self._lane()))

    def _widen(self) -> None:
        while len(self._tasks) < self._most:
            self._open()

    async def _lane(self) -> None:
        for item in self._items:
            slow = await (self._read_alone(item) if len(self._tasks) == 1 else self._read(item))
            if self._stopped:
                break
            if slow:
                self._widen()

    async def _read_alone(self, item: Item) -> bool:
        timer = self._clock.call_later(STUCK_AFTER, self._widen)
        try:
            return await self._read(item)
        finally:
            timer.cancel()


def one_lane_suffices(limit: object) -> bool:
    """Whether calls in series, each faster than SLOW_ANSWER, are as fast as the rate limit allows.

    None is no limit. A user's own limiter is assumed to be like the default, because its rate is unknown.
    """
    if limit is None:
        return False
    return not isinstance(limit, RateLimit) or limit.per_second * SLOW_ANSWER <= 1
