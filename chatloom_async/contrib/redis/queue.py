"""The permits of one event loop: from Redis, or, while that is away, from a limiter of this process alone.

A key's callers queue in a `Line`, and one task asks for all of them, so that Redis sees one. A line knows neither Redis
nor what to do without it: `ask` carries a step, and says where that failed. That is for the `Session` of all lines.
"""

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import count
from logging import Logger, getLogger
from time import monotonic

from ...policy.limit import LONGEST_RETRY_AFTER, PAUSE
from ...policy.limiter import KeyedLimiter, Outcome
from .script import Answer, Courier, Ending, RedisUnavailableError, Step

log: Logger = getLogger("chatloom_async")
PAUSES = 1024  # how many pauses are remembered before those that are over are forgotten
JITTER = 0.01  # seconds at most, and a tenth of the wait: who waits for the same moment need not come at the same
Ask = Callable[[Step], Awaitable[Answer | RedisUnavailableError]]


class Line:
    """The queue of one key, first come, first served, and what its callers have: `held`, oldest first.

    A permit that they have is a lease from Redis, or of the limiter that gave it without Redis. `names` names steps,
    `burst` bounds what one step asks for.
    """

    def __init__(self, key: str, names: Iterator[str], burst: int, ask: Ask, changed: Callable[["Line"], None]) -> None:
        self.key: str = key
        self.held: deque[str | KeyedLimiter] = deque()
        self._names, self._burst, self._ask, self._changed = names, burst, ask, changed
        self._queue: OrderedDict[asyncio.Future[str], None] = OrderedDict()
        self._endings: list[Ending] = []
        self._in_line = False
        self._woken = asyncio.Event()
        self.asking: asyncio.Task[None] | None = None

    async def acquire(self) -> str:
        """The lease of a permit. Raises RedisUnavailableError. Cancelling it gives up the place, or the permit."""
        turn: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._queue[turn] = None
        self.go_on()
        try:
            return await turn
        except asyncio.CancelledError:
            if self._queue.pop(turn, self) is None:
                self.go_on(now=not self._queue)  # a place in Redis's line that nobody needs holds up the others
            elif not turn.cancelled() and not turn.exception():
                self.end(Ending(turn.result(), "unused"))
            raise

    def end(self, ending: Ending) -> None:
        """Reports it soon, in the background."""
        self._endings.append(ending)
        self.go_on(now=True)

    @property
    def queued(self) -> int:
        return len(self._queue)

    @property
    def idle(self) -> bool:
        """Whether there is nothing left to know about this key."""
        return not (self._queue or self._endings or self.held or self.asking)

    def go_on(self, *, now: bool = False) -> None:
        """Sees to it that somebody asks: after the wait that Redis has named, or now."""
        if now:
            self._woken.set()
        if self.asking is None:
            self.asking = asyncio.create_task(self._keep_asking())

    async def _keep_asking(self) -> None:
        while self._queue or self._endings or self._in_line:
            self._woken.clear()
            answer = await self._step()
            if isinstance(answer, RedisUnavailableError):
                break
            if self._queue and answer.wait:
                with suppress(TimeoutError):
                    async with asyncio.timeout(answer.wait + random.uniform(0.001, min(JITTER, answer.wait / 10))):
                        await self._woken.wait()
        self.asking = None
        self._changed(self)

    async def _step(self) -> Answer | RedisUnavailableError:
        endings, self._endings = self._endings, []
        name, want = next(self._names), min(len(self._queue), self._burst)
        leases = [f"{name}{number}" for number in range(1, want + 1)]
        answer = await self._ask(Step(self.key, name, want, len(self._queue), endings))
        if isinstance(answer, RedisUnavailableError):  # whether the step was taken, nobody knows: report all again
            self._endings = [*endings, *(Ending(lease, "unused") for lease in leases), *self._endings]
            self._fail(answer)
        else:
            self._in_line = answer.wait > 0
            self._hand_out(leases[: answer.granted])
        return answer

    def _hand_out(self, leases: list[str]) -> None:
        for lease in leases:
            if turn := self._first():
                turn.set_result(lease)
            else:
                self._endings.append(Ending(lease, "unused"))

    def _fail(self, problem: RedisUnavailableError) -> None:
        self._in_line = False
        while turn := self._first():
            turn.set_exception(RedisUnavailableError(problem.message, sent=False))

    def _first(self) -> asyncio.Future[str] | None:
        """Takes out who is to be served next; not those that were cancelled a moment ago."""
        while self._queue:
            turn, _ = self._queue.popitem(last=False)
            if not turn.done():
                return turn
        return None


class Session:
    """Lines of callers, one for each key in use, and the outage of Redis, if there is one.

    `alone` is None where nobody may go without Redis: then RedisUnavailableError is raised.
    """

    def __init__(self, courier: Courier, name: str, burst: int, alone: KeyedLimiter | None, retry_every: float) -> None:
        self._courier, self._burst, self._alone, self._retry_every = courier, burst, alone, retry_every
        self._names: Iterator[str] = (f"{name}:{number}:" for number in count())
        self._lines: dict[str, Line] = {}
        self._pauses: dict[str, float] = {}  # until when, by monotonic()
        self._outage: RedisUnavailableError | None = None
        self._return: asyncio.Task[None] | None = None

    async def acquire(self, key: str) -> None:
        try:
            permit: str | KeyedLimiter = await self._line(key).acquire()
        except RedisUnavailableError:
            if self._alone is None:
                raise
            await self._acquire_alone(key, self._alone)
            permit = self._alone
        self._line(key).held.append(permit)

    def release(self, key: str, outcome: Outcome, retry_after: float | None) -> None:
        line = self._lines.get(key)
        if line is None or not line.held:
            return  # the permit is of an event loop that is over: its lease ends by itself
        permit = line.held.popleft()
        if outcome == "throttled":
            self._remember(key, PAUSE if retry_after is None else min(retry_after, LONGEST_RETRY_AFTER))
        if isinstance(permit, str):
            line.end(Ending(permit, outcome, retry_after))
        else:
            permit.release(key, outcome, retry_after)
            self._forget(line)

    async def ask(self, step: Step) -> Answer | RedisUnavailableError:
        """What Redis answers. Once it has not, it is asked again only by `_come_back`."""
        answer = self._outage or await self._courier.ask(step)
        if isinstance(answer, RedisUnavailableError):
            self._lose(answer)
        elif answer.pause:
            self._remember(step.key, answer.pause)
        return answer

    def queued(self, key: str) -> int:
        return self._lines[key].queued if key in self._lines else 0

    async def aclose(self, seconds: float) -> None:
        """Gives what is still to be reported so many seconds."""
        if self._return is not None:
            self._return.cancel()
        if reporting := [line.asking for line in self._lines.values() if line.asking and not line.queued]:
            await asyncio.wait(reporting, timeout=seconds)

    def _line(self, key: str) -> Line:
        if key not in self._lines:
            self._lines[key] = Line(key, self._names, self._burst, self.ask, self._forget)
        return self._lines[key]

    def _forget(self, line: Line) -> None:
        if line.idle:
            self._lines.pop(line.key, None)

    def _remember(self, key: str, pause: float) -> None:
        now = monotonic()
        if len(self._pauses) >= PAUSES:
            self._pauses = {other: until for other, until in self._pauses.items() if until > now}
        self._pauses[key] = max(self._pauses.get(key, 0.0), now + pause)

    async def _acquire_alone(self, key: str, alone: KeyedLimiter) -> None:
        """A pause that Redis or the API asked for holds also while Redis is away: as if it was asked for here."""
        await alone.acquire(key)
        left = self._pauses.pop(key, 0.0) - monotonic()
        if left > 0:
            alone.release(key, "throttled", left)
            await alone.acquire(key)

    def _lose(self, problem: RedisUnavailableError) -> None:
        if self._outage is None:
            self._outage = problem
            then = "calls fail" if self._alone is None else "each process keeps to its own share of the limit"
            log.warning("%s; until it does, %s", problem.message, then)
            self._return = asyncio.create_task(self._come_back())

    async def _come_back(self) -> None:
        answer: object = self._outage
        while isinstance(answer, RedisUnavailableError):
            await asyncio.sleep(self._retry_every)  # there is nobody who could tell
            answer = await self._courier.ask(Step("probe"))
        self._outage = None
        log.info("The shared rate limiter's Redis answers again")
        for line in self._lines.values():
            line.go_on()
