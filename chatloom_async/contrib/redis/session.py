"""The permits of one event loop: from Redis, or, while that is away, from a limiter of this process alone."""

import asyncio
from collections.abc import Iterator
from itertools import count
from logging import Logger, getLogger
from time import monotonic

from ...policy.limit import LONGEST_RETRY_AFTER, PAUSE
from ...policy.limiter import KeyedLimiter, Outcome
from .courier import Courier, RedisUnavailableError
from .line import Line
from .script import Answer, Ending, Step

log: Logger = getLogger("chatloom_async")
PAUSES = 1024  # how many pauses are remembered before those that are over are forgotten


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
