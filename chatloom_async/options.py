"""What a client is told at construction, checked, and the policies that follow from it."""

from collections.abc import Callable
from typing import Any

from attrs import field, frozen
from tenacity import AsyncRetrying

from .policy.clock import Clock
from .policy.gate import GatedLimiter
from .policy.limit import RateLimit
from .policy.limiter import KeyedLimiter, Limiter, Unlimited
from .policy.retrier import Budgets, PolicyRetrier, Retrier, SingleAttempt, TenacityRetrier
from .policy.retry import RetryPolicy
from .resources import Resources
from .wire.auth import Auth
from .wire.base_url import normalize_base_url, origin
from .wire.errors import Attempt, ConfigurationError
from .wire.message import Timeouts

OnAttempt = Callable[[Attempt], object]


def _one_of(*accepted: Any) -> Callable[[object, Any, Any], None]:
    """A validator for values, types and None, with an error that says what would do."""

    def check(_: object, attribute: Any, value: Any) -> None:
        if not any(isinstance(value, each) if isinstance(each, type) else value == each for each in accepted):
            names = ", ".join(each.__name__ if isinstance(each, type) else repr(each) for each in accepted)
            raise ConfigurationError(f"{attribute.name} must be one of: {names}; not {type(value).__name__}")

    return check


def _callable(_: object, attribute: Any, value: Any) -> None:
    if value is not None and not callable(value):
        raise ConfigurationError(
            f"{attribute.name} must be something to call with an Attempt, not {type(value).__name__}"
        )


def _seconds(_: object, attribute: Any, value: Any) -> None:
    if value is not None and not (isinstance(value, (int, float)) and value > 0):
        raise ConfigurationError(f"{attribute.name} must be a number of seconds above 0, or None")


@frozen(kw_only=True, repr=False)
class Options:
    """The options of one client, as AsyncChatloom documents them. Raises ConfigurationError for what cannot work."""

    base_url: str = field(converter=normalize_base_url)
    auth: Auth = field(validator=_one_of("bearer", "x-api-key"))
    timeouts: Timeouts = field(validator=_one_of(Timeouts))
    deadline: float | None = field(validator=_seconds)
    retry: RetryPolicy | AsyncRetrying | None = field(validator=_one_of(RetryPolicy, AsyncRetrying, None))
    rate_limit: RateLimit | Limiter | None = field(validator=_one_of(RateLimit, Limiter, None))
    on_attempt: OnAttempt | None = field(default=None, validator=_callable)

    def limiter(self, clock: Clock, resources: Resources) -> GatedLimiter:
        given = Unlimited() if self.rate_limit is None else self.rate_limit
        limiter = KeyedLimiter(given, clock) if isinstance(given, RateLimit) else given
        return GatedLimiter(limiter, resources.gate)

    def retrier(self, clock: Clock, resources: Resources) -> Retrier:
        if self.retry is None:
            return SingleAttempt()
        if isinstance(self.retry, AsyncRetrying):
            return TenacityRetrier(self.retry, clock, resources.lifetime)
        budgets = Budgets(origin(self.base_url), resources.transient, resources.throttle)
        return PolicyRetrier(self.retry, clock, budgets, resources.lifetime)
