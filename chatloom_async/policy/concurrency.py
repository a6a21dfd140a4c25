"""Decides how many requests a client may have in flight over all of its keys, so that it does not drown itself.

Without it, five thousand calls at once open five thousand sockets: they run into the limit for descriptors, and the
last of them wait so long for this machine that they blame the server. Measured with answers after 0.1 s: 256 at a time
finish sooner than all at once.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from weakref import WeakKeyDictionary

from .limiter import KeyedLimiter, Limiter, LimitState, Outcome

MAX_IN_FLIGHT = 256


class Slots:
    """Places for requests on one event loop; who has waited longest is next.

    A semaphore, but one whose free places cost a quarter of what asyncio's do (0.13 : 0.48 us), since every call takes
    one: that is 2 % of a whole call.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._queue: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """Takes a place if there is one now. While somebody waits there is none: a place is handed on."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def wait(self) -> None:
        """Returns when a place has been handed on to the caller. Cancelling it leaves no trace."""
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it has been handed a place just now
                self.leave()
            raise

    def leave(self) -> None:
        """Hands a place on."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.cancelled():
                turn.set_result(None)
                return
        self._free += 1


class ConcurrencyLimit:
    """Room for `width` requests, on each event loop."""

    def __init__(self, width: int = MAX_IN_FLIGHT) -> None:
        self._width = width
        self._rooms: WeakKeyDictionary[asyncio.AbstractEventLoop, Slots] = WeakKeyDictionary()
        self._last: tuple[asyncio.AbstractEventLoop, Slots] | None = None

    def room(self, loop: asyncio.AbstractEventLoop) -> Slots:
        """The loop's share."""
        if self._last is None or self._last[0] is not loop:  # there is hardly ever more than one
            for gone in [each for each in self._rooms if each.is_closed()]:
                del self._rooms[gone]  # with those who wait in it, who hold that loop
            self._last = loop, self._rooms.setdefault(loop, Slots(self._width))
        return self._last[1]

    def leave(self, loop: asyncio.AbstractEventLoop) -> None:
        """Makes room. Nothing is left to do where the loop is gone, as when a call is only now collected."""
        if not loop.is_closed():
            self.room(loop).leave()


class ClientLimiter:
    """A limiter with a gate behind it: first a key's own turn, then room in the client.

    Whoever calls it knows the running loop already: asking for it takes a system call on Python 3.11.
    """

    def __init__(self, limiter: Limiter, gate: ConcurrencyLimit) -> None:
        self._limiter, self._gate = limiter, gate

    async def acquire(self, key: str, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            room = self._gate.room(loop)
            await self._limiter.acquire(key)
            if room.take():
                return
            try:
                await room.wait()
            except BaseException:  # GeneratorExit where the call is collected, with a loop that was closed under it
                self._limiter.release(key, "unused")
                raise
            if not self._is_paused(key):
                return
            self.release(key, loop, "unused")  # a 429 came while it waited for room: the turn it had is over

    def _is_paused(self, key: str) -> bool:
        return isinstance(self._limiter, KeyedLimiter) and self._limiter.is_paused(key)

    def release(
        self, key: str, loop: asyncio.AbstractEventLoop, outcome: Outcome, retry_after: float | None = None
    ) -> None:
        try:
            self._limiter.release(key, outcome, retry_after)
        finally:  # one of the user's may raise
            self._gate.leave(loop)

    def states(self) -> Mapping[str, LimitState]:
        """A snapshot of each key's limiter, where the limiter is ours."""
        return self._limiter.states() if isinstance(self._limiter, KeyedLimiter) else {}
