"""The permits of one event loop: from Redis, or, while that is away, from a limiter of this process alone.

The callers of one key wait in a `KeyQueue`, and one task asks Redis for all of them. `KeyQueues` holds the queues of
all keys, and decides what happens while Redis does not answer.
"""

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import count
from logging import Logger, getLogger
from time import monotonic

from ...policy.limiter import FIRST_PAUSE, MAX_RETRY_AFTER, KeyedLimiter, Outcome
from .script import Connection, RedisUnavailableError, Release, Reply, Step

log: Logger = getLogger("chatloom_async")
PAUSES = 1024  # how many pauses are remembered before those that are over are forgotten
JITTER = 0.01  # seconds at most, and a tenth of the wait: who waits for the same moment need not come at the same
Ask = Callable[[Step], Awaitable[Reply | RedisUnavailableError]]


class KeyQueue:
    """The queue of one key, first come, first served, and what its callers have: `held`, oldest first.

    A permit that they have is a lease from Redis, or of the limiter that gave it without Redis. `names` names steps,
    `burst` bounds what one step asks for.
    """

    def __init__(
        self, key: str, names: Iterator[str], burst: int, ask: Ask, changed: Callable[["KeyQueue"], None]
    ) -> None:
        self.key: str = key
        self.held: deque[str | KeyedLimiter] = deque()
        self._names, self._burst, self._ask, self._changed = names, burst, ask, changed
        self._queue: OrderedDict[asyncio.Future[str], None] = OrderedDict()
        self._releases: list[Release] = []
        self._in_line = False
        self._woken = asyncio.Event()
        self.asking: asyncio.Task[None] | None = None

    async def acquire(self) -> str:
        """The lease of a permit. Raises RedisUnavailableError. Cancelling it gives up the place, or the permit."""
        waiter: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._queue[waiter] = None
        self.go_on()
        try:
            return await waiter
        except asyncio.CancelledError:
            if self._queue.pop(waiter, self) is None:
                self.go_on(now=not self._queue)  # a place in Redis's line that nobody needs holds up the others
            elif not waiter.cancelled() and not waiter.exception():
                self.end(Release(waiter.result(), "unused"))
            raise

    def end(self, release: Release) -> None:
        """Reports it soon, in the background."""
        self._releases.append(release)
        self.go_on(now=True)

    @property
    def queued(self) -> int:
        return len(self._queue)

    @property
    def idle(self) -> bool:
        """Whether there is nothing left to know about this key."""
        return not (self._queue or self._releases or self.held or self.asking)

    def go_on(self, *, now: bool = False) -> None:
        """Sees to it that somebody asks: after the wait that Redis has named, or now."""
        if now:
            self._woken.set()
        if self.asking is None:
            self.asking = asyncio.create_task(self._keep_asking())

    async def _keep_asking(self) -> None:
        while self._queue or self._releases or self._in_line:
            self._woken.clear()
            reply = await self._step()
            if isinstance(reply, RedisUnavailableError):
                break
            if self._queue and reply.wait:
                with suppress(TimeoutError):
                    async with asyncio.timeout(reply.wait + random.uniform(0.001, min(JITTER, reply.wait / 10))):
                        await self._woken.wait()
        self.asking = None
        self._changed(self)

    async def _step(self) -> Reply | RedisUnavailableError:
        releases, self._releases = self._releases, []
        name, want = next(self._names), min(len(self._queue), self._burst)
        leases = [f"{name}{number}" for number in range(1, want + 1)]
        reply = await self._ask(Step(self.key, name, want, len(self._queue), releases))
        if isinstance(reply, RedisUnavailableError):  # whether the step was taken, nobody knows: report all again
            self._releases = [*releases, *(Release(lease, "unused") for lease in leases), *self._releases]
            self._fail(reply)
        else:
            self._in_line = reply.wait > 0
            self._hand_out(leases[: reply.granted])
        return reply

    def _hand_out(self, leases: list[str]) -> None:
        for lease in leases:
            if waiter := self._first():
                waiter.set_result(lease)
            else:
                self._releases.append(Release(lease, "unused"))

    def _fail(self, problem: RedisUnavailableError) -> None:
        self._in_line = False
        while waiter := self._first():
            waiter.set_exception(RedisUnavailableError(problem.message, sent=False))

    def _first(self) -> asyncio.Future[str] | None:
        """Takes out who is to be served next; not those that were cancelled a moment ago."""
        while self._queue:
            waiter, _ = self._queue.popitem(last=False)
            if not waiter.done():
                return waiter
        return None


class KeyQueues:
    """The queues of all keys in use, and the outage of Redis, if there is one.

    `fallback` is None where nobody may go without Redis: then RedisUnavailableError is raised.
    """

    def __init__(
        self, connection: Connection, name: str, burst: int, fallback: KeyedLimiter | None, retry_every: float
    ) -> None:
        self._connection, self._burst, self._fallback, self._retry_every = connection, burst, fallback, retry_every
        self._names: Iterator[str] = (f"{name}:{number}:" for number in count())
        self._queues: dict[str, KeyQueue] = {}
        self._pauses: dict[str, float] = {}  # until when, by monotonic()
        self._outage: RedisUnavailableError | None = None
        self._return: asyncio.Task[None] | None = None

    async def acquire(self, key: str) -> None:
        try:
            permit: str | KeyedLimiter = await self._queue_of(key).acquire()
        except RedisUnavailableError:
            if self._fallback is None:
                raise
            await self._acquire_fallback(key, self._fallback)
            permit = self._fallback
        self._queue_of(key).held.append(permit)

    def release(self, key: str, outcome: Outcome, retry_after: float | None) -> None:
        queue = self._queues.get(key)
        if queue is None or not queue.held:
            return  # the permit is of an event loop that is over: its lease ends by itself
        permit = queue.held.popleft()
        if outcome == "throttled":
            self._remember(key, FIRST_PAUSE if retry_after is None else min(retry_after, MAX_RETRY_AFTER))
        if isinstance(permit, str):
            queue.end(Release(permit, outcome, retry_after))
        else:
            permit.release(key, outcome, retry_after)
            self._forget(queue)

    async def ask(self, step: Step) -> Reply | RedisUnavailableError:
        """What Redis answers. Once it has not, it is asked again only by `_reconnect`."""
        reply = self._outage or await self._connection.ask(step)
        if isinstance(reply, RedisUnavailableError):
            self._lose(reply)
        elif reply.pause:
            self._remember(step.key, reply.pause)
        return reply

    def queued(self, key: str) -> int:
        return self._queues[key].queued if key in self._queues else 0

    async def aclose(self, seconds: float) -> None:
        """Gives what is still to be reported so many seconds."""
        if self._return is not None:
            self._return.cancel()
        if reporting := [queue.asking for queue in self._queues.values() if queue.asking and not queue.queued]:
            await asyncio.wait(reporting, timeout=seconds)

    def _queue_of(self, key: str) -> KeyQueue:
        if key not in self._queues:
            self._queues[key] = KeyQueue(key, self._names, self._burst, self.ask, self._forget)
        return self._queues[key]

    def _forget(self, queue: KeyQueue) -> None:
        if queue.idle:
            self._queues.pop(queue.key, None)

    def _remember(self, key: str, pause: float) -> None:
        now = monotonic()
        if len(self._pauses) >= PAUSES:
            self._pauses = {other: until for other, until in self._pauses.items() if until > now}
        self._pauses[key] = max(self._pauses.get(key, 0.0), now + pause)

    async def _acquire_fallback(self, key: str, fallback: KeyedLimiter) -> None:
        """A pause that Redis or the API asked for holds also while Redis is away: as if it was asked for here."""
        await fallback.acquire(key)
        left = self._pauses.pop(key, 0.0) - monotonic()
        if left > 0:
            fallback.release(key, "throttled", left)
            await fallback.acquire(key)

    def _lose(self, problem: RedisUnavailableError) -> None:
        if self._outage is None:
            self._outage = problem
            then = "calls fail" if self._fallback is None else "each process keeps to its own share of the limit"
            log.warning("%s; until it does, %s", problem.message, then)
            self._return = asyncio.create_task(self._reconnect())

    async def _reconnect(self) -> None:
        reply: object = self._outage
        while isinstance(reply, RedisUnavailableError):
            await asyncio.sleep(self._retry_every)  # there is nobody who could tell
            reply = await self._connection.ask(Step("probe"))
        self._outage = None
        log.info("The shared rate limiter's Redis answers again")
        for queue in self._queues.values():
            queue.go_on()
