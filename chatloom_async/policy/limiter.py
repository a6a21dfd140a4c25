"""Limits how fast each key is used: a token bucket that slows down when the API answers 429.

The rules, per key:
- `burst` requests at once, then `per_second`, never more than `concurrency` in flight, first in, first out.
- A 429 multiplies the rate by 0.7, at most once a second and never below 0.2/s. Each success adds 0.02/s until the
  rate is back at `per_second`.
- A 429 pauses the key until Retry-After, but for a day at most: a wrong clock, here or at the server, can make any
  date of it. Without that header the pause is 1 s, doubled by each further 429 in a row, at most 20 s; 429s
  within one second count as one. Requests in flight finish; other keys are not affected. A call whose deadline is
  before the end of the pause fails at once.
- A permit whose caller was cancelled in the queue goes back.

The documentation: "A few hundred requests per minute per API key is comfortably within fair use."
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Literal, Protocol, runtime_checkable

from attrs import field, frozen

from ..wire.auth import ApiKey
from ..wire.errors import ChatloomError
from ..wire.message import Response
from ..wire.status import RateLimitError
from ..wire.validation import COUNT, RATE
from . import forks
from .clock import Clock, Timer

RATE_CUT, RATE_STEP, MIN_RATE = 0.7, 0.02, 0.2
FIRST_PAUSE, MAX_PAUSE, MAX_RETRY_AFTER = 1.0, 20.0, 86_400.0
ROUNDING = 1e-9  # of a token: tolerance for float rounding when a waiter is woken


@frozen(kw_only=True)
class RateLimit:
    """How fast one key may be used. Raises ConfigurationError.

    `per_second` on average, `burst` at once, `concurrency` in flight:

        chatloom = AsyncChatloom(rate_limit=RateLimit(per_second=10.0, burst=20))
    """

    per_second: float = field(default=4.0, validator=RATE)
    burst: int = field(default=8, validator=COUNT)
    concurrency: int = field(default=8, validator=COUNT)


@frozen(kw_only=True)
class LimitState:
    """A snapshot of one key's limiter: requests per second now, calls in the queue and in flight, and the end of a
    pause that the API asked for (aware), or None.

        await chatloom.list_agents()
        print([(state.rate, state.queued, state.in_flight) for state in chatloom.limits.values()])  # [(4.0, 0, 0)]
    """

    rate: float
    queued: int
    in_flight: int
    paused_until: datetime | None


class KeyLimiter:
    """The state machine of one key. It is not for several event loops at the same time."""

    def __init__(self, limit: RateLimit, clock: Clock) -> None:
        self._limit, self._clock = limit, clock
        self._tokens, self._rate = float(limit.burst), limit.per_second
        self._stamp = self._paused_until = clock.time()
        self._cut_at = -math.inf
        self._in_flight = self._throttles = 0
        self._queue: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._timer: Timer | None = None

    async def acquire(self) -> None:
        """Returns when a request may be sent. Cancelling it gives up the place in the queue, or the permit."""
        if self.acquire_now():
            return
        await self._turn(first=False)
        while self.is_paused:  # a 429 came between its turn and now
            self.give_back()
            await self._turn(first=True)

    def acquire_now(self) -> bool:
        """Takes a permit if there is one now and nobody waits."""
        return not self._queue and self._take()

    async def _turn(self, *, first: bool) -> None:
        """Waits in the queue, at one of its ends."""
        turn = asyncio.get_running_loop().create_future()
        self._queue[turn] = None
        self._queue.move_to_end(turn, last=not first)
        self._serve()
        try:
            await turn
        except BaseException:  # GeneratorExit if the call is collected after its loop was closed
            if self._queue.pop(turn, self) is None:
                self._serve()
            elif turn.done() and not turn.cancelled():
                self.give_back()
            raise

    def give_back(self) -> None:
        """Returns a permit that was not used."""
        self._tokens = min(1.0 if self.is_paused else self._limit.burst, self._tokens + 1)
        self._leave()

    def succeeded(self) -> None:
        self._throttles = 0
        if self._rate < self._limit.per_second:
            self._refill()
            self._rate = min(self._limit.per_second, self._rate + RATE_STEP)
        self._leave()

    def failed(self) -> None:
        self._leave()

    def throttled(self, retry_after: float | None) -> None:
        now = self._clock.time()
        self._refill()
        if now - self._cut_at >= 1.0:
            self._cut_at, self._rate = now, min(self._rate, max(MIN_RATE, self._rate * RATE_CUT))
            self._throttles += 1
        doubled = min(max(self._throttles - 1, 0), 10)  # none may be counted yet, right after a success
        pause = min(MAX_PAUSE, FIRST_PAUSE * 2.0**doubled) if retry_after is None else retry_after
        self._paused_until = max(self._paused_until, now + min(pause, MAX_RETRY_AFTER))
        self._tokens, self._stamp = min(self._tokens, 1.0), max(self._stamp, self._paused_until)
        self._leave()

    def after_fork(self) -> None:
        """Forgets the parent's calls; its rate and its pause hold for the child as well."""
        self._in_flight, self._timer = 0, None
        self._queue.clear()

    @property
    def is_paused(self) -> bool:
        return self.pause > 0

    @property
    def pause(self) -> float:
        """Seconds until the end of a pause that the API asked for; 0 or less if there is none."""
        return self._paused_until - self._clock.time()

    @property
    def idle(self) -> bool:
        """Whether a new limiter would behave exactly like this one, so that this one can be dropped."""
        self._refill()
        full = self._tokens >= self._limit.burst and self._rate >= self._limit.per_second
        return full and not self._in_flight and not self._queue and not self.is_paused

    def state(self) -> LimitState:
        until = datetime.now(UTC) + timedelta(seconds=self.pause) if self.is_paused else None
        return LimitState(rate=self._rate, queued=len(self._queue), in_flight=self._in_flight, paused_until=until)

    def _refill(self) -> float:
        now = self._clock.time()
        if now > self._stamp:
            self._tokens = min(self._limit.burst, self._tokens + (now - self._stamp) * self._rate)
            self._stamp = now
        return now

    def _take(self) -> bool:
        now = self._refill()
        if self._in_flight >= self._limit.concurrency or self._tokens < 1 - ROUNDING or now < self._paused_until:
            return False
        self._tokens -= 1
        self._in_flight += 1
        return True

    def _delay(self) -> float:
        """Seconds until a whole token is there, counted from now."""
        return max(self.pause, 0.0) + max(1 - self._tokens, 0.0) / self._rate

    def _leave(self) -> None:
        self._in_flight -= 1
        if self._queue:
            self._serve()

    def _serve(self) -> None:
        """Wakes the waiters that may go now, and sets one timer for the next."""
        while self._queue:
            turn = next(iter(self._queue))
            waits = not turn.done() and not turn.get_loop().is_closed()  # nobody waits in a closed loop
            if waits and not self._take():
                break
            del self._queue[turn]
            if waits:
                turn.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._queue and self._in_flight < self._limit.concurrency:
            self._timer = self._clock.call_later(self._delay(), self._serve)


PermitOutcome = Literal["succeeded", "throttled", "failed", "unused"]
TIDY_UP_AT = 1024


@runtime_checkable
class Limiter(Protocol):
    """Limits how fast requests are sent. `key` is a fingerprint, never the key itself. Every key has its own budget.

    Each `acquire` that returns is followed by exactly one `release`, when the attempt is over. A cancelled `acquire`
    must leave no trace. `acquire` is async, `release` is not.

        class Unlimited:
            async def acquire(self, key): ...
            def release(self, key, outcome, retry_after=None): ...

        chatloom = AsyncChatloom(rate_limit=Unlimited())
    """

    async def acquire(self, key: str) -> None: ...

    def release(self, key: str, outcome: PermitOutcome, retry_after: float | None = None) -> None: ...


@runtime_checkable
class SharedLimiter(Limiter, Protocol):
    """A limiter whose state is shared with other processes. It names keys itself, because `ApiKey.fingerprint` has a
    new salt in each process. The name must not reveal the key: use a keyed hash.

        import hmac

        class Counted:
            async def acquire(self, key): ...
            def release(self, key, outcome, retry_after=None): ...
            def fingerprint(self, key):
                return hmac.digest(b"shared by all processes", key.reveal().encode(), "sha256").hex()

        print(isinstance(Counted(), SharedLimiter))  # True
    """

    def fingerprint(self, key: ApiKey) -> str: ...


def fingerprint_of(limiter: object) -> Callable[[ApiKey], str]:
    """The function that names a key for this limiter, or for one made from a `RateLimit` or None."""
    return limiter.fingerprint if isinstance(limiter, SharedLimiter) else attrgetter("fingerprint")


class KeyedLimiter:
    """A `KeyLimiter` for each key, made when it is first used and dropped when it has recovered completely."""

    def __init__(self, limit: RateLimit, clock: Clock) -> None:
        self._limit, self._clock = limit, clock
        self._limiters: dict[str, KeyLimiter] = {}
        self._tidy_up_at = TIDY_UP_AT
        forks.register(self)

    def after_fork(self) -> None:
        for limiter in self._limiters.values():
            limiter.after_fork()

    async def acquire(self, key: str) -> None:
        await (self._limiters.get(key) or self._add(key)).acquire()

    def acquire_now(self, key: str) -> bool:
        """Takes a permit if there is one now and nobody waits for the key."""
        return (self._limiters.get(key) or self._add(key)).acquire_now()

    def release(self, key: str, outcome: PermitOutcome, retry_after: float | None = None) -> None:
        limiter = self._limiters[key]
        if outcome == "succeeded":
            limiter.succeeded()
        elif outcome == "throttled":
            limiter.throttled(retry_after)
        elif outcome == "unused":
            limiter.give_back()
        else:
            limiter.failed()

    def pause(self, key: str) -> float:
        """Seconds until the end of the key's pause; 0 or less if it is not paused."""
        limiter = self._limiters.get(key)
        return 0.0 if limiter is None else limiter.pause

    def states(self) -> Mapping[str, LimitState]:
        return {key: limiter.state() for key, limiter in self._limiters.items()}

    def _add(self, key: str) -> KeyLimiter:
        if len(self._limiters) >= self._tidy_up_at:
            self._limiters = {key: limiter for key, limiter in self._limiters.items() if not limiter.idle}
            self._tidy_up_at = max(TIDY_UP_AT, 2 * len(self._limiters))
        limiter = self._limiters[key] = KeyLimiter(self._limit, self._clock)
        return limiter


class Unlimited:
    """The limiter of `rate_limit=None`: every request may leave at once."""

    async def acquire(self, key: str) -> None:
        return

    def release(self, key: str, outcome: PermitOutcome, retry_after: float | None = None) -> None:
        return


def outcome_of(answer: object, error: ChatloomError | None) -> tuple[PermitOutcome, float | None]:
    """The outcome of an attempt for the limiter. Any status below 500 other than 429 shows that the rate is fine."""
    if isinstance(error, RateLimitError):
        return "throttled", error.retry_after
    return ("succeeded" if isinstance(answer, Response) and answer.status < 500 else "failed"), None
