"""The options of a client, checked, and the state that a client shares with its clones."""

import sys
from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from types import FrameType
from typing import TYPE_CHECKING, Any, Never, TypedDict

from attrs import Factory, define, field, frozen

from .policy.clock import Clock
from .policy.concurrency import MAX_IN_FLIGHT, ClientLimiter, ConcurrencyLimit
from .policy.lifetime import Lifetime
from .policy.limiter import KeyedLimiter, Limiter, RateLimit, Unlimited
from .policy.retrier import PolicyRetrier, Retrier, SingleAttempt, TenacityRetrier
from .policy.retry import Budgets, RetryBudget, RetryPolicy
from .transports.interface import TRANSPORT, Transport
from .transports.network import descriptor_share
from .wire.auth import Auth
from .wire.base_url import normalize_base_url, origin
from .wire.errors import Attempt
from .wire.message import Timeouts
from .wire.validation import COUNT, FUNCTION, LIMIT, Requirement, has_methods, is_async, none_if_infinite

if TYPE_CHECKING:
    from tenacity import AsyncRetrying


OnAttempt = Callable[[Attempt], object]


def is_tenacity(value: Any) -> bool:
    """Whether it is a tenacity.AsyncRetrying."""
    tenacity = sys.modules.get("tenacity")
    return tenacity is not None and isinstance(value, tenacity.AsyncRetrying)


AUTH = Requirement('"bearer" or "x-api-key"', lambda value: value in ("bearer", "x-api-key"))
TIMEOUTS = Requirement("a Timeouts", lambda value: isinstance(value, Timeouts))
RETRY = Requirement(
    "a RetryPolicy, a tenacity.AsyncRetrying, or None",
    lambda value: value is None or isinstance(value, RetryPolicy) or is_tenacity(value),
)
RATE_LIMIT = Requirement(
    "a RateLimit, a Limiter with acquire() and release(), or None",
    lambda value: value is None or isinstance(value, RateLimit) or has_methods(value, "acquire", "release"),
)
PLAIN_METHODS = Requirement(
    "a Limiter whose release() and fingerprint() are not async: only acquire() is",
    lambda value: not any(is_async(getattr(value, name, None)) for name in ("release", "fingerprint")),
)
ON_ATTEMPT = Requirement(f"{FUNCTION.what}, or None", lambda value: value is None or FUNCTION.fits(value))
OWN_TRANSPORT = Requirement(f"{TRANSPORT.what}, or None", lambda value: value is None or TRANSPORT.fits(value))
LABEL = Requirement("a str, or None", lambda value: value is None or isinstance(value, str))
MAX_LABEL = 80  # bytes: it is in every log line of the key
CLOCK = Requirement(
    "a Clock with time(), sleep() and call_later(), or None",
    lambda value: value is None or has_methods(value, "time", "sleep", "call_later"),
)
MOST_IN_FLIGHT = Requirement(f"{COUNT.what}, or None", lambda value: value is None or COUNT.fits(value))
MEANT = {
    "timeout": "timeouts=Timeouts(...) limits an attempt, deadline= the whole call",
    "max_retries": "retry=RetryPolicy(attempts=...) says how often",
    "retries": "retry=RetryPolicy(attempts=...) says how often",
    "key": "the key is the first argument, or api_key=",
    "token": "the key is the first argument, or api_key=",
    "url": "base_url= is the API's address",
    "proxy": "transport=AiohttpTransport(proxy=...) goes through a proxy",
    "ssl": "transport=AiohttpTransport(ssl=...) takes an SSL context",
    "session": "transport= carries the requests",
    "http_client": "transport= carries the requests",
    "max_connections": "max_in_flight= limits all requests, rate_limit=RateLimit(concurrency=...) those of a key",
    "concurrency": "max_in_flight= limits all requests, rate_limit=RateLimit(concurrency=...) those of a key",
}
"""Options of other clients, by what is meant here."""


def refuse_unknown(options: dict[str, Never], *, of_a_clone: bool = False) -> None:
    """Raises TypeError, like Python for an unknown argument, and suggests a similar option."""
    names = [*options]
    options.clear()  # a traceback that shows local variables must not show a key among them
    for name in names:
        if of_a_clone and name == "api_key":
            raise TypeError("with_options() does not change the key: with_key() does")
        if of_a_clone and name in ClientOptions.__annotations__:
            raise TypeError(f"with_options() does not change {name}=, which clones share: construct another client")
        close = get_close_matches(name, [*ClientOptions.__annotations__, "api_key"], 1)
        hint = MEANT.get(name) or (
            f"did you mean {close[0]}=?" if close else "help(AsyncChatloom) explains the options"
        )
        raise TypeError(f"AsyncChatloom has no option {name!r}: {hint}")


def creation_place(client: object) -> str:
    """`file:line` of the code that constructs the client, outside of the constructors of its classes."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - inspect.stack() reads source files
    while frame is not None and frame.f_back is not None:
        first = frame.f_code.co_varnames[:1]
        if frame.f_code.co_name not in ("__init__", "for_many") or (
            frame.f_code.co_name == "__init__" and frame.f_locals.get(first[0] if first else "") is not client
        ):
            break
        frame = frame.f_back
    return "an unknown place" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


class ClientOptions(TypedDict, total=False):
    """The options of `AsyncChatloom` other than the key. All have defaults."""

    base_url: str | None
    auth: Auth
    timeouts: Timeouts
    deadline: float | None
    retry: "RetryPolicy | AsyncRetrying | None"
    rate_limit: RateLimit | Limiter | None
    max_in_flight: int | None
    transport: Transport | None
    on_attempt: OnAttempt | None
    clock: Clock | None


@cache
def import_what_answers_need() -> None:
    """Imports the modules for decoding and retries before the first request: later there may be no descriptor to open
    a module with. Importing the package does not, because that would take twice as long."""
    import tenacity  # noqa: F401

    from .wire import fast_decode, structure  # noqa: F401


@define(eq=False)
class SharedState:
    """What a client shares with its clones. It closes the transport only if it has made it."""

    name: str
    wrap: Callable[[Transport], Transport]
    transport: Transport | None
    borrowed: bool
    concurrency: ConcurrencyLimit
    lifetime: Lifetime = field(factory=Lifetime)
    transient: RetryBudget = field(factory=RetryBudget)
    throttle: RetryBudget = field(factory=RetryBudget)

    @staticmethod
    def concurrency_limit(max_in_flight: int | None) -> ConcurrencyLimit:
        """The limit that was given, or 256, or fewer if the process may not open so many files."""
        return ConcurrencyLimit(min(MAX_IN_FLIGHT, descriptor_share()) if max_in_flight is None else max_in_flight)

    def open_transport(self) -> Transport:
        """The transport. The default one is made when it is first needed, because importing aiohttp takes time."""
        import_what_answers_need()
        if self.transport is None:
            from .transports.aiohttp.transport import AiohttpTransport

            self.transport = self.wrap(AiohttpTransport(name=self.name))
        return self.transport

    async def aclose(self, drain: float) -> None:
        try:
            await self.lifetime.end(drain)
        finally:
            if self.transport is not None and not self.borrowed:
                await self.transport.aclose()


@frozen(kw_only=True, repr=False)
class Options:
    """The options of one client, documented at AsyncChatloom. Raises ConfigurationError for invalid values."""

    base_url: str = field(converter=normalize_base_url)
    auth: Auth = field(validator=AUTH)
    timeouts: Timeouts = field(validator=TIMEOUTS)
    deadline: float | None = field(converter=none_if_infinite, validator=LIMIT)
    retry: "RetryPolicy | AsyncRetrying | None" = field(validator=RETRY)
    rate_limit: RateLimit | Limiter | None = field(validator=[RATE_LIMIT, PLAIN_METHODS])
    on_attempt: OnAttempt | None = field(default=None, validator=ON_ATTEMPT)
    host: str = field(
        init=False, default=Factory(lambda self: origin(self.base_url).partition("://")[2], takes_self=True)
    )

    def limiter(self, clock: Clock, shared: SharedState) -> ClientLimiter:
        given = Unlimited() if self.rate_limit is None else self.rate_limit
        limiter = KeyedLimiter(given, clock) if isinstance(given, RateLimit) else given
        return ClientLimiter(limiter, shared.concurrency)

    def retrier(self, clock: Clock, shared: SharedState) -> Retrier:
        if self.retry is None:
            return SingleAttempt()
        if isinstance(self.retry, RetryPolicy):
            budgets = Budgets(origin(self.base_url), shared.transient, shared.throttle)
            return PolicyRetrier(self.retry, clock, budgets, shared.lifetime)
        return TenacityRetrier(self.retry, clock, shared.lifetime)
