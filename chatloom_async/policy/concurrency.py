"""Limits how many requests a client has in flight over all of its keys, so that it does not exhaust its descriptors.

Without this limit, five thousand calls at once open five thousand sockets: they run out of descriptors, and the last
ones wait so long for this machine that they blame the server. Measured with answers after 0.1 s: 256 at a time finish
sooner than all at once.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from inspect import isawaitable, iscoroutine
from weakref import WeakKeyDictionary

from ..wire.errors import UsageError
from . import forks
from .limiter import KeyedLimiter, Limiter, LimitState, PermitOutcome

MAX_IN_FLIGHT = 256
FAILED: tuple[PermitOutcome, None] = ("failed", None)


class Slots:
    """Slots for requests on one event loop. The longest waiter gets the next one.

    A semaphore whose uncontended path costs a quarter of asyncio's (0.13 : 0.48 us). Every call takes a slot, so that
    is 2 % of a whole call.
    """

    def __init__(self, free: int) -> None:
        self.free: int = free
        self._queue: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """Takes a slot if one is free. None is free while others wait: they get it first."""
        if not self.free:
            return False
        self.free -= 1
        return True

    async def wait(self) -> None:
        """Returns when the caller has been given a slot. Cancelling it gives nothing away."""
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was given a slot at the same moment
                self.leave()
            raise

    def leave(self) -> None:
        """Gives the slot to the longest waiter, or frees it. Nobody waits in a loop that is closed."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.cancelled() and not turn.get_loop().is_closed():
                turn.set_result(None)
                return
        self.free += 1


class ConcurrencyLimit:
    """At most `max_in_flight` requests on each event loop."""

    def __init__(self, max_in_flight: int = MAX_IN_FLIGHT) -> None:
        self._max_in_flight = max_in_flight
        self._slots: WeakKeyDictionary[asyncio.AbstractEventLoop, Slots] = WeakKeyDictionary()
        self._last: tuple[asyncio.AbstractEventLoop, Slots] | None = None
        forks.register(self)

    def after_fork(self) -> None:
        self._slots.clear()
        self._last = None

    def slots(self, loop: asyncio.AbstractEventLoop) -> Slots:
        """The slots of this event loop."""
        if self._last is None or self._last[0] is not loop:  # there is hardly ever more than one
            for closed in [known for known in self._slots if known.is_closed()]:
                del self._slots[closed]  # its waiters hold the loop, so it would not be collected
            self._last = loop, self._slots.setdefault(loop, Slots(self._max_in_flight))
        return self._last[1]


class Permit:
    """A request's turn, for a `with` block. At its end the turn is given back, with the outcome that was set: what
    became of the request, and the Retry-After of a 429."""

    __slots__ = ("_forks", "_key", "_limiter", "_slots", "outcome")
    outcome: tuple[PermitOutcome, float | None]

    def __init__(self, limiter: Limiter, key: str, slots: Slots) -> None:
        self._limiter, self._key, self._slots = limiter, key, slots
        self._forks, self.outcome = forks.count, FAILED

    def __enter__(self) -> "Permit":
        return self

    def __exit__(self, *_: object) -> None:
        self.release(*self.outcome)

    def release(self, outcome: PermitOutcome, retry_after: float | None = None) -> None:
        if self._forks != forks.count:
            return  # it is the parent process's permit
        try:
            result: object = self._limiter.release(self._key, outcome, retry_after)  # type: ignore[func-returns-value]
        finally:  # a user's limiter may raise
            self._slots.leave()
        if result is not None and iscoroutine(result):
            result.close()
            raise UsageError("release() of the Limiter in rate_limit returned a coroutine: it must not be async")


class KeyPausedError(Exception):
    """The API asked to pause the key for more seconds than the caller may wait. Ends the attempt; see client.py."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds: float = seconds


class ClientLimiter:
    """A client's limiter: a request waits for its key's turn first, then for a slot of the client.

    The caller passes the running loop: asking for it takes a system call on Python 3.11.
    """

    def __init__(self, limiter: Limiter, concurrency: ConcurrencyLimit) -> None:
        self._limiter, self._concurrency = limiter, concurrency
        self._acquire_now = limiter.acquire_now if isinstance(limiter, KeyedLimiter) else None

    def acquire_now(self, key: str, loop: asyncio.AbstractEventLoop) -> Permit | None:
        """A permit, if a request may be sent at once. Saves nearly every call the coroutines of `acquire`."""
        slots = self._concurrency.slots(loop)
        if slots.free and self._acquire_now and self._acquire_now(key):
            slots.take()
            return Permit(self._limiter, key, slots)
        return None

    async def acquire(self, key: str, loop: asyncio.AbstractEventLoop, seconds: float | None = None) -> Permit:
        """Returns when a request may be sent. Cancelling it gives up the place in the queue. Raises
        KeyPausedError if the key is paused for longer than `seconds`."""
        if seconds is not None and (pause := self._pause(key)) > seconds:
            raise KeyPausedError(pause)
        while True:
            turn = self._limiter.acquire(key)
            if not isawaitable(turn):
                raise UsageError("acquire() of the Limiter in rate_limit must be async")
            await turn
            slots = self._concurrency.slots(loop)
            permit = Permit(self._limiter, key, slots)
            if slots.take():
                return permit
            try:
                await slots.wait()
            except BaseException:  # GeneratorExit if the call is collected after its loop was closed
                self._limiter.release(key, "unused")
                raise
            if self._pause(key) <= 0:
                return permit
            permit.release("unused")  # a 429 came while it waited for a slot, so it waits for its turn again

    def _pause(self, key: str) -> float:
        return self._limiter.pause(key) if isinstance(self._limiter, KeyedLimiter) else 0.0

    def states(self) -> Mapping[str, LimitState]:
        """A snapshot of each key's limiter; empty for a user's own limiter."""
        return self._limiter.states() if isinstance(self._limiter, KeyedLimiter) else {}
