"""One limiter for many keys: what the client talks to, and what may be put in its place."""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Literal, Protocol, runtime_checkable

from ..wire.auth import ApiKey
from ..wire.errors import ChatloomError
from ..wire.message import Response
from ..wire.status import RateLimitError
from .clock import Clock
from .limit import KeyLimiter, LimitState, RateLimit

Outcome = Literal["succeeded", "throttled", "failed", "unused"]
TIDY_UP_AT = 1024


@runtime_checkable
class Limiter(Protocol):
    """Paces requests. `key` is a fingerprint, never the key itself; give every key a budget of its own.

    Each `acquire` that returns is followed by exactly one `release`, when the attempt is over. An `acquire`
    that is cancelled must leave no trace.

        class Unlimited:
            async def acquire(self, key): ...
            def release(self, key, outcome, retry_after=None): ...

        chatloom = AsyncChatloom(rate_limit=Unlimited())
    """

    async def acquire(self, key: str) -> None: ...

    def release(self, key: str, outcome: Outcome, retry_after: float | None = None) -> None: ...


@runtime_checkable
class SharedLimiter(Limiter, Protocol):
    """A limiter whose state other processes see, too. It names keys itself, since `ApiKey.fingerprint`, which others
    get, is salted anew in each process. The name must not tell the key: a keyed hash does not.

        import hmac

        class Counted:
            async def acquire(self, key): ...
            def release(self, key, outcome, retry_after=None): ...
            def fingerprint(self, key):
                return hmac.digest(b"shared by all processes", key.reveal().encode(), "sha256").hex()

        print(isinstance(Counted(), SharedLimiter))  # True
    """

    def fingerprint(self, key: ApiKey) -> str: ...


def naming(limiter: object) -> Callable[[ApiKey], str]:
    """What names a key for this limiter, or for one that is made by a `RateLimit` or None."""
    return limiter.fingerprint if isinstance(limiter, SharedLimiter) else attrgetter("fingerprint")


class KeyedLimiter:
    """A `KeyLimiter` for each key, made when it is first used and forgotten when it has recovered completely."""

    def __init__(self, limit: RateLimit, clock: Clock) -> None:
        self._limit, self._clock = limit, clock
        self._limiters: dict[str, KeyLimiter] = {}
        self._tidy_up_at = TIDY_UP_AT

    async def acquire(self, key: str) -> None:
        await (self._limiters.get(key) or self._add(key)).acquire()

    def release(self, key: str, outcome: Outcome, retry_after: float | None = None) -> None:
        limiter = self._limiters[key]
        if outcome == "succeeded":
            limiter.succeeded()
        elif outcome == "throttled":
            limiter.throttled(retry_after)
        elif outcome == "unused":
            limiter.give_back()
        else:
            limiter.failed()

    def is_paused(self, key: str) -> bool:
        """Whether a 429 keeps this key's requests back now; only for a key that has a permit."""
        return self._limiters[key].is_paused

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

    def release(self, key: str, outcome: Outcome, retry_after: float | None = None) -> None:
        return


def outcome_of(answer: object, error: ChatloomError | None) -> tuple[Outcome, float | None]:
    """What an attempt tells the limiter. Any answer below 500, a 404 as well, shows that the rate is fine."""
    if isinstance(error, RateLimitError):
        return "throttled", error.retry_after
    return ("succeeded" if isinstance(answer, Response) and answer.status < 500 else "failed"), None
