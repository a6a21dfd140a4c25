"""What exceptions of this package have in common: values that pickle, compare and explain themselves; and those that
the caller causes.

An error is built where it is found and travels as data; the client adds the attempts made and the
reason it stopped, and raises it. What can go wrong on the way, in an answer's status and in its body: see
transport_errors.py, status.py and decode_errors.py.
"""

from typing import Any, ClassVar, Literal

import attrs
from attrs import field, frozen

from .cleaning import clean

StopReason = Literal["not_retryable", "attempts", "deadline", "budget", "retry_after_too_long", "disabled"]
Kind = Literal["permanent", "once", "transient", "throttle"]

STOPPED: dict[str, str] = {
    "not_retryable": "not retried, since the same request would fail again",
    "attempts": "no attempts left",
    "deadline": "the deadline leaves no time for another",
    "budget": "the retry budget is used up, since too many calls fail at the moment",
    "retry_after_too_long": "the server asks for a longer wait than this client may make",
    "disabled": "retries are switched off",
}


@frozen(kw_only=True)
class Attempt:
    """One finished attempt of a call; times are in seconds.

    `started` counts from the start of the call, `waited` is the time in the rate limiter, `elapsed` the
    time from there to the end. `status` is None where no answer came, `error` None where it succeeded.

        exchange = await chatloom.exchange(ListAgents())
        print([(each.operation, each.number, each.status) for each in exchange.attempts])  # [('ListAgents', 1, 200)]
    """

    operation: str
    number: int
    started: float
    waited: float
    elapsed: float
    status: int | None = None
    error: Exception | None = None


@frozen(slots=False, eq=False, repr=False, str=False)
class ChatloomError(Exception):
    """Anything that this package raises. Catch it to catch everything.

        try:
            domains = await chatloom.get_allowed_domains("agt_abc123")
        except ChatloomError as error:
            print(error, error.stop_reason, len(error.attempts))

    `attempts` is what was tried, `stop_reason` why no further attempt was made (None: it never came to one),
    `retryable` whether the same call may succeed later, `hint` what to do next.
    """

    kind: ClassVar[Kind] = "permanent"
    hint: ClassVar[str] = "help(chatloom_async) is where to begin."

    message: str = field(converter=clean)
    attempts: tuple[Attempt, ...] = field(default=(), kw_only=True)
    stop_reason: StopReason | None = field(default=None, kw_only=True)

    @property
    def retryable(self) -> bool:
        return self.kind != "permanent"

    def __str__(self) -> str:
        text = self.message if self.message.endswith((".", "!", "?")) else f"{self.message}."
        if self.stop_reason:
            text += f" Gave up after attempt {max(1, len(self.attempts))}: {STOPPED[self.stop_reason]}."
        return f"{text} {self.hint}"

    def _values(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in attrs.fields(type(self))}

    def __repr__(self) -> str:
        fields = [each for each in attrs.fields(type(self)) if each.name not in ("message", "attempts")]
        told = [(each.name, value) for each in fields if (value := getattr(self, each.name)) != each.default]
        return f"{type(self).__name__}({self.message!r}{''.join(f', {name}={value!r}' for name, value in told)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ChatloomError):
            return NotImplemented
        return type(other) is type(self) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self.message))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self._values())


def _restore(cls: type[ChatloomError], values: dict[str, Any]) -> ChatloomError:
    return cls(**values)


class ConfigurationError(ChatloomError, ValueError):
    """Something given to the client cannot be used. Raised before anything is sent.

    It is caught as Python's own error, too:

        try:
            CachingTransport(AiohttpTransport(), ttl=-1.0)
        except ValueError as error:
            print(type(error).__name__)  # ConfigurationError
    """

    hint = "Correct what the message names; help(AsyncChatloom) explains the options, help(Endpoint) endpoints."


class InvalidApiKeyError(ConfigurationError):
    """No API key, or one that cannot be valid. The key itself is never part of the message.

    It says what is wrong without quoting it:

        try:
            ApiKey("sk_of_another_service")
        except InvalidApiKeyError as error:
            print(error.message)  # The API key does not start with the prefix clf_ of all keys
    """

    hint = (
        "Pass the whole key and nothing around it, as api_key or in CHATLOOM_API_KEY. Where there is none, generate "
        "one in the dashboard under Settings > API Keys; an older one stops working then."
    )


class InvalidBaseUrlError(ConfigurationError):
    """The base URL is not https (or http to a loopback host), or holds more than scheme, host, port and path.

    Nothing is sent, so nothing can be read on the way:

        try:
            AsyncChatloom(base_url="http://chatloom.app")
        except InvalidBaseUrlError as error:
            print(error.message.partition(",")[0])  # The base URL uses plain http
    """

    hint = "Pass the final https address, such as https://chatloom.app, without credentials, query or fragment."


class InvalidAgentIdError(ConfigurationError):
    """An agent id with characters that could change the request's path. Nothing was sent.

    An id from outside cannot lead to another path:

        try:
            await chatloom.get_allowed_domains("../../admin")
        except InvalidAgentIdError as error:
            print(error.message.partition(":")[0])  # agent_id cannot be part of a path
    """

    hint = "Use an id from list_agents(): 1 to 256 letters, digits, '_', '-', '~' or '.'."


class UsageError(ChatloomError, RuntimeError):
    """The client was used in a way that its documentation rules out.

    It is Python's error for a wrong order of calls, too:

        print(issubclass(ClientClosedError, UsageError), issubclass(UsageError, RuntimeError))  # True True
    """


class ClientClosedError(UsageError):
    """The client was closed before or during this call.

    Nothing was sent:

        client = AsyncChatloom()
        await client.aclose()
        try:
            await client.list_agents()
        except ClientClosedError as error:
            print(error.message)  # The client is closed; nothing was sent
    """

    hint = "Make the call inside `async with`, before aclose(), or construct a new client."


@frozen(slots=False, eq=False, repr=False, str=False)
class DeadlineExceededError(ChatloomError, TimeoutError):
    """The call's deadline passed. `last` is the last failure before that, or None where there was none.

    So it tells why the time ran out:

        print(DeadlineExceededError("60 s are over", last=ServerError("Down", status=503)).last.status)  # 503
    """

    hint: ClassVar[str] = "Raise deadline=, or make fewer calls per key at once if they wait for the rate limit."

    last: ChatloomError | None = field(default=None, kw_only=True)
