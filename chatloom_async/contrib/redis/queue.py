"""The permits of one event loop: from Redis, or from a limiter of this process while Redis is unavailable.

The callers of one key wait in a `KeyQueue`, and one task asks Redis for all of them. `KeyQueues` holds the queues of
all keys, and handles outages of Redis.

However a task ends, by an error or a cancellation, its done callback raises RedisUnavailableError in all waiters. That
counts as an outage of Redis: no caller waits for ever, and Redis is tried again.
"""

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import count
from logging import Logger, getLogger
from time import monotonic

from ...policy.limiter import FIRST_PAUSE, MAX_RETRY_AFTER, KeyedLimiter, PermitOutcome
from .script import Connection, RedisUnavailableError, Release, Reply, Step

log: Logger = getLogger("chatloom_async")
MAX_PAUSES = 1024  # expired pauses are removed if there are more pauses than this
MAX_RELEASES = 500  # releases that one step reports
MAX_WAIT = 60.0  # at most this many seconds until Redis is asked again
JITTER = 0.01  # seconds at most, and a tenth of the wait: spreads the wake-ups of processes


class KeyQueue:
    """The callers that wait for one key, in order of arrival, and the permits in use.

    `held` are these permits, oldest first: a lease from Redis, or the limiter that granted one without Redis. `names`
    names steps; `burst` limits what one step asks for. `ask` raises RedisUnavailableError; `ended` is called when the
    asking task has ended.
    """

    def __init__(
        self,
        key: str,
        names: Iterator[str],
        burst: int,
        ask: Callable[[Step], Awaitable[Reply]],
        ended: Callable[["KeyQueue"], None],
    ) -> None:
        self.key: str = key
        self.held: deque[str | KeyedLimiter] = deque()
        self.asking: asyncio.Task[None] | None = None
        self._names, self._burst, self._ask, self._on_end = names, burst, ask, ended
        self._callers: OrderedDict[asyncio.Future[str], None] = OrderedDict()
        self._releases: list[Release] = []
        self._unsure: list[Release] = []  # reported if the current step gets no reply: Redis may have executed it
        self._in_line = False
        self._woken = asyncio.Event()

    async def acquire(self) -> str:
        """The lease of a permit. Raises RedisUnavailableError. Cancelling gives up the place in line or the permit."""
        caller: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._callers[caller] = None
        self.go_on()
        try:
            return await caller
        except asyncio.CancelledError:
            if self._callers.pop(caller, self) is None:
                self.go_on(now=not self._callers)  # an unused place in Redis's line delays the others
            elif not caller.cancelled() and not caller.exception():
                self.end(Release(caller.result(), "unused"))
            raise

    def end(self, release: Release) -> None:
        """Reports the end of a lease soon, in the background."""
        self._releases.append(release)
        self.go_on(now=True)

    @property
    def queued(self) -> int:
        return len(self._callers)

    @property
    def idle(self) -> bool:
        """Whether this queue can be dropped."""
        return not (self._callers or self._releases or self.held or self.asking)

    def go_on(self, *, now: bool = False) -> None:
        """Makes sure that a task asks Redis, now or after the wait that Redis requested."""
        if now:
            self._woken.set()
        if self.asking is None:
            # A plain Task, whatever the loop's task factory makes: an eager one might end before it is known here.
            self.asking = asyncio.Task(self._keep_asking(), loop=asyncio.get_running_loop())
            self.asking.add_done_callback(self._ended)

    @property
    def _busy(self) -> bool:
        return bool(self._callers or self._releases or self._in_line)

    async def _keep_asking(self) -> None:
        while self._busy:
            self._woken.clear()
            wait = await self._step()
            if self._callers and wait:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait + random.uniform(0.001, min(JITTER, wait / 10))):
                        await self._woken.wait()

    async def _step(self) -> float:
        """Asks once, and returns the wait that Redis requests."""
        name, want = next(self._names), min(len(self._callers), self._burst)
        leases = [f"{name}{number}" for number in range(1, want + 1)]
        releases, self._releases = self._releases[:MAX_RELEASES], self._releases[MAX_RELEASES:]
        self._unsure = [*releases, *(Release(lease, "unused") for lease in leases)]
        reply = await self._ask(Step(self.key, name, want, len(self._callers), releases))
        self._unsure = []
        self._in_line = reply.wait > 0
        for lease in leases[: reply.granted]:
            if caller := self._first():
                caller.set_result(lease)
            else:
                self._releases.append(Release(lease, "unused"))
        return min(reply.wait, MAX_WAIT)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.asking = None
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            away = error if isinstance(error, RedisUnavailableError) else RedisUnavailableError.because(error)
            self._releases, self._unsure = self._unsure + self._releases, []
            self._in_line = False
            while caller := self._first():
                caller.set_exception(RedisUnavailableError(away.message, sent=False))
        elif self._busy:  # a caller arrived between the task's last check and its end
            self.go_on()
        self._on_end(self)

    def _first(self) -> asyncio.Future[str] | None:
        """Removes and returns the next waiter, skipping cancelled ones."""
        while self._callers:
            caller, _ = self._callers.popitem(last=False)
            if not caller.done():
                return caller
        return None


class KeyQueues:
    """The queues of all keys in use, and the current outage of Redis, if any.

    `fallback` is None if calls must not continue without Redis: then RedisUnavailableError is raised.
    """

    def __init__(
        self, connection: Connection, name: str, burst: int, fallback: KeyedLimiter | None, retry_every: float
    ) -> None:
        self._connection, self._burst, self._fallback, self._retry_every = connection, burst, fallback, retry_every
        self._names: Iterator[str] = (f"{name}:{number}:" for number in count())
        self._queues: dict[str, KeyQueue] = {}
        self._pauses: dict[str, float] = {}  # until when, by monotonic()
        self._outage: RedisUnavailableError | None = None
        self._reconnecting: asyncio.Task[None] | None = None
        self._closed = False

    async def acquire(self, key: str) -> None:
        permit: str | KeyedLimiter
        try:
            self._check(key)
            permit = await self._queue_of(key).acquire()
        except RedisUnavailableError as error:
            self._lose(key, error)
            if self._fallback is None:
                raise
            await self._acquire_fallback(key, self._fallback)
            permit = self._fallback
        self._queue_of(key).held.append(permit)

    def release(self, key: str, outcome: PermitOutcome, retry_after: float | None) -> None:
        queue = self._queues.get(key)
        if queue is None or not queue.held:
            return  # the permit belongs to a closed event loop: its lease expires
        permit = queue.held.popleft()
        if outcome == "throttled":
            self._remember(key, FIRST_PAUSE if retry_after is None else min(retry_after, MAX_RETRY_AFTER))
        if isinstance(permit, str):
            queue.end(Release(permit, outcome, retry_after))
        else:
            permit.release(key, outcome, retry_after)
            self._forget(queue)

    async def ask(self, step: Step) -> Reply:
        """Sends a step. Raises RedisUnavailableError; during an outage, without asking Redis."""
        self._check(step.key)
        try:
            reply = await self._connection.ask(step)
        except RedisUnavailableError as error:
            self._lose(step.key, error)
            raise
        if reply.pause:
            self._remember(step.key, reply.pause)
        return reply

    def queued(self, key: str) -> int:
        return self._queues[key].queued if key in self._queues else 0

    async def aclose(self, seconds: float) -> None:
        """Reports the remaining releases, for at most this many seconds."""
        self._closed = True
        if self._reconnecting is not None:
            self._reconnecting.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while reporting := [
                    queue.asking for queue in self._queues.values() if queue.asking and not queue.queued
                ]:
                    await asyncio.wait(reporting)

    def _queue_of(self, key: str) -> KeyQueue:
        if key not in self._queues:
            self._queues[key] = KeyQueue(key, self._names, self._burst, self.ask, self._forget)
        return self._queues[key]

    def _forget(self, queue: KeyQueue) -> None:
        if queue.idle:
            self._queues.pop(queue.key, None)

    def _remember(self, key: str, pause: float) -> None:
        now = monotonic()
        if len(self._pauses) >= MAX_PAUSES:
            self._pauses = {other: until for other, until in self._pauses.items() if until > now}
        self._pauses[key] = max(self._pauses.get(key, 0.0), now + pause)

    async def _acquire_fallback(self, key: str, fallback: KeyedLimiter) -> None:
        """Acquires from the fallback. Pauses requested by Redis or the API still apply."""
        await fallback.acquire(key)
        left = self._pauses.pop(key, 0.0) - monotonic()
        if left > 0:
            fallback.release(key, "throttled", left)
            await fallback.acquire(key)

    def _check(self, key: str) -> None:
        """Raises RedisUnavailableError during an outage."""
        if self._outage is not None:
            self._lose(key, self._outage)  # the reconnecting task may have been cancelled
            raise RedisUnavailableError(self._outage.message, sent=False)

    def _lose(self, key: str, error: RedisUnavailableError) -> None:
        """Starts an outage. Called only by running tasks: when a task ends, its event loop may be closing."""
        if self._outage is None:
            self._outage = error
            then = "calls fail" if self._fallback is None else "each process keeps to its own share of the limit"
            log.warning("%s; until it does, %s", error.message, then)
        if not self._closed and (self._reconnecting is None or self._reconnecting.done()):
            self._reconnecting = asyncio.Task(self._reconnect(key), loop=asyncio.get_running_loop())
            self._reconnecting.add_done_callback(_retrieve)

    async def _reconnect(self, key: str) -> None:
        """Retries the key that hit the outage, because Redis may work for others."""
        while self._outage is not None:
            await asyncio.sleep(self._retry_every)
            with suppress(RedisUnavailableError):
                await self._connection.ask_anew(Step(key))
                self._outage = None
        log.info("The shared rate limiter's Redis answers again")
        for queue in self._queues.values():
            queue.go_on()


def _retrieve(task: asyncio.Task[None]) -> None:
    """Retrieves the task's exception, so that asyncio does not log it. The next call tries again."""
    if not task.cancelled():
        task.exception()
