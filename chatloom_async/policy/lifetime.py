"""Time limits of calls, and the end of a client: no call begins after it, and those under way are ended.

All time limits of a client share one timer of the event loop. Nearly every limit is lifted long before it expires, so a
timer for each, set and cancelled, would dominate this package's share in the cost of a call.
"""

import asyncio
from math import inf
from operator import attrgetter

from ..wire.errors import ClientClosedError
from . import forks

MIN_INTERVAL = 0.01  # seconds between two rounds, so that many limits that expire in a row cost little


class Lifetime:
    """Open, then closing for good. Shared by a client and its clones. Holds every running time limit."""

    def __init__(self) -> None:
        self.closing: bool = False
        self._limits: set[TimeLimit] = set()
        self._empty: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._rings = inf
        forks.register(self)

    def after_fork(self) -> None:
        self._limits.clear()
        self._empty = self._loop = self._timer = None
        self._rings = inf

    def check(self) -> None:
        """Raises ClientClosedError once closing has begun."""
        if self.closing:
            raise ClientClosedError("The client is closed; nothing was sent")

    def limit(self, seconds: float | None) -> "TimeLimit":
        """A time limit for something that a call waits for. None: only closing ends it."""
        return TimeLimit(self, seconds)

    async def end(self, drain: float) -> None:
        """Refuses new calls, gives the others `drain` seconds, then ends their time limits."""
        self.closing = True
        try:
            await self._until_empty(drain)
        finally:  # also if the wait is cancelled
            for limit in self._alive():
                limit.expire()
        await self._until_empty(1.0)

    async def _until_empty(self, seconds: float) -> None:
        if self._alive():
            loop = asyncio.get_running_loop()
            if self._empty is None or self._empty.done() or self._empty.get_loop() is not loop:
                self._empty = loop.create_future()  # shared by all who wait at the same time
            await asyncio.wait([self._empty], timeout=seconds)

    def _alive(self) -> "list[TimeLimit]":
        """The running limits. Those of a loop that was closed during its calls are dropped."""
        for limit in list(self._limits):  # a copy, since another thread's loop may add to them meanwhile
            if limit.loop.is_closed():
                self._limits.discard(limit)
        return list(self._limits)

    def begin(self, limit: "TimeLimit") -> None:
        if limit.loop is not self._loop:
            self._enter(limit.loop)
        self._limits.add(limit)

    def finish(self, limit: "TimeLimit") -> None:
        self._limits.discard(limit)
        if self._empty is not None and not self._limits and not self._empty.done():
            self._empty.set_result(None)

    def _enter(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._timer, self._rings = loop, None, inf  # the timer of a closed loop never fires
        self._alive()  # forgets the limits of closed loops, which would keep their permits

    def ring_by(self, due: float, loop: asyncio.AbstractEventLoop) -> None:
        """Makes sure the timer fires no later than `due`, a moment of this event loop's clock."""
        if loop is not self._loop:
            self._enter(loop)
        if due < self._rings:
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._rings = loop.call_at(due, self._ring, loop), due

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        now, self._timer, self._rings = loop.time(), None, inf
        here = sorted((limit for limit in self._alive() if limit.loop is loop), key=attrgetter("due"))
        for limit in here:
            if limit.due <= now:
                limit.expire()
        nearest = min((limit.due for limit in here), default=inf)
        if nearest < inf:
            self.ring_by(max(nearest, now + MIN_INTERVAL), loop)


class TimeLimit:
    """`with limit:` ends what its task waits for: with TimeoutError, or ClientClosedError when the client closes.

    Like `asyncio.timeout`, it cancels the task and takes the cancellation back on the way out.
    """

    __slots__ = ("_cancelling", "_lifetime", "_task", "due", "expired", "loop", "seconds")
    due: float
    expired: bool
    loop: asyncio.AbstractEventLoop
    seconds: float | None
    _task: "asyncio.Task[object]"

    def __init__(self, lifetime: Lifetime, seconds: float | None) -> None:
        self._lifetime, self.seconds = lifetime, seconds
        self.due, self.expired = inf, False

    def __enter__(self) -> "TimeLimit":
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A call needs a task to run in")
        self._task, self._cancelling, self.loop = task, task.cancelling(), task.get_loop()
        self._lifetime.begin(self)
        self.restart(self.seconds)
        return self

    def restart(self, seconds: float | None) -> None:
        """Starts again from now, unless it has expired, as it has when the client is closing."""
        if self.expired:
            return
        self.seconds = seconds
        if seconds is None:
            self.due = inf
            return
        self.due = self.loop.time() + seconds
        self._lifetime.ring_by(self.due, self.loop)

    def expire(self) -> None:
        """Ends it now. A second time does nothing."""
        if not self.expired:
            self.expired, self.due = True, inf
            self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._lifetime.finish(self)
        if not self.expired or self._task.uncancel() > self._cancelling or kind is not asyncio.CancelledError:
            return
        if self._lifetime.closing:
            raise ClientClosedError("The client was closed while this call was under way") from None
        raise TimeoutError from None
