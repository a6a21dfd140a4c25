"""What a client is told at construction, checked, and the policies that follow from it."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from .policy.clock import Clock
from .policy.concurrency import GatedLimiter
from .policy.limiter import KeyedLimiter, Limiter, RateLimit, Unlimited
from .policy.retrier import PolicyRetrier, Retrier, SingleAttempt
from .policy.retry import Budgets, RetryPolicy
from .resources import Resources
from .wire.auth import Auth
from .wire.base_url import normalize_base_url, origin
from .wire.errors import Attempt
from .wire.message import Timeouts
from .wire.validation import FUNCTION, LIMIT, Wanted, has, unlimited

if TYPE_CHECKING:  # importing tenacity takes its time; who hands in one of its objects has imported it
    from tenacity import AsyncRetrying

OnAttempt = Callable[[Attempt], object]


def is_tenacity(value: Any) -> bool:
    """Whether it is a tenacity.AsyncRetrying."""
    tenacity = sys.modules.get("tenacity")
    return tenacity is not None and isinstance(value, tenacity.AsyncRetrying)


AUTH = Wanted('"bearer" or "x-api-key"', lambda value: value in ("bearer", "x-api-key"))
TIMEOUTS = Wanted("a Timeouts", lambda value: isinstance(value, Timeouts))
RETRY = Wanted(
    "a RetryPolicy, a tenacity.AsyncRetrying, or None",
    lambda value: value is None or isinstance(value, RetryPolicy) or is_tenacity(value),
)
RATE_LIMIT = Wanted(
    "a RateLimit, a Limiter with acquire() and release(), or None",
    lambda value: value is None or isinstance(value, RateLimit) or has(value, "acquire", "release"),
)
ON_ATTEMPT = Wanted(f"{FUNCTION.what}, or None", lambda value: value is None or FUNCTION.fits(value))
TRANSPORT = Wanted("a Transport with send(), or None", lambda value: value is None or has(value, "send"))
CLOCK = Wanted(
    "a Clock with now(), sleep() and call_later(), or None",
    lambda value: value is None or has(value, "now", "sleep", "call_later"),
)


@frozen(kw_only=True, repr=False)
class Options:
    """The options of one client, as AsyncChatloom documents them. Raises ConfigurationError for what cannot work."""

    base_url: str = field(converter=normalize_base_url)
    auth: Auth = field(validator=AUTH)
    timeouts: Timeouts = field(validator=TIMEOUTS)
    deadline: float | None = field(converter=unlimited, validator=LIMIT)
    retry: "RetryPolicy | AsyncRetrying | None" = field(validator=RETRY)
    rate_limit: RateLimit | Limiter | None = field(validator=RATE_LIMIT)
    on_attempt: OnAttempt | None = field(default=None, validator=ON_ATTEMPT)

    def limiter(self, clock: Clock, resources: Resources) -> GatedLimiter:
        given = Unlimited() if self.rate_limit is None else self.rate_limit
        limiter = KeyedLimiter(given, clock) if isinstance(given, RateLimit) else given
        return GatedLimiter(limiter, resources.gate)

    def retrier(self, clock: Clock, resources: Resources) -> Retrier:
        if self.retry is None:
            return SingleAttempt()
        if isinstance(self.retry, RetryPolicy):
            budgets = Budgets(origin(self.base_url), resources.transient, resources.throttle)
            return PolicyRetrier(self.retry, clock, budgets, resources.lifetime)
        from .policy.tenacity_retries import TenacityRetrier

        return TenacityRetrier(self.retry, clock, resources.lifetime)
