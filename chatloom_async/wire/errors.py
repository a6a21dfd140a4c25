"""The exceptions of this package. They are values: they pickle, compare, and have a hint about what to do next.

    ChatloomError
      ConfigurationError      InvalidApiKeyError  InvalidBaseUrlError  InvalidAgentIdError  MissingExtraError
      UsageError              ClientClosedError
      TransportError          ConnectError  TLSError  AttemptTimeoutError  ConnectionLostError  PayloadError
                              ProtocolError  ResponseTooLargeError  RedirectRefusedError
      DecodeError             NotJSONError  SchemaMismatchError
      DeadlineExceededError
      APIStatusError          in status.py, with one class for each documented status

Code that finds an error returns it as data. The client adds the attempts made and the reason why it stopped, and
raises it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
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
STOPPED_WRITE = "not retried because {method} is not idempotent (set idempotent = True if it is safe)"


@frozen(kw_only=True, slots=False)  # every call makes one: without slots that takes 0.8 of the time
class Attempt:
    """One finished attempt of a call; times are in seconds.

    `started` counts from the start of the call, `waited` is the time in the rate limiter, `elapsed` the time from
    there to the end. `status` is None if no answer came, `error` None if it succeeded.
    `method` is the HTTP method, `path` the endpoint's path template, `host` the host of the base URL, with a port if it
    names one. `key` is the fingerprint of the key, as in `client.limits` (empty if the attempt ended before it had a
    key), and `label` what `with_key(key, label=...)` was given.

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
    method: str = "GET"
    path: str = ""
    host: str = ""
    key: str = ""
    label: str | None = None


@frozen(slots=False, eq=False, repr=False, str=False)
class ChatloomError(Exception):
    """The base class of all errors of this package.

        try:
            domains = await chatloom.get_allowed_domains("agt_abc123")
        except ChatloomError as error:
            print(error, error.stop_reason, len(error.attempts))

    `attempts` are the finished attempts, `stop_reason` is why there was no further one (None: there was no attempt),
    `retryable` is whether the same call may succeed later, and `hint` is what to do next.
    """

    kind: ClassVar[Kind] = "permanent"
    hint: ClassVar[str] = "See help(chatloom_async)."

    message: str = field(converter=clean)
    attempts: tuple[Attempt, ...] = field(default=(), kw_only=True)
    stop_reason: StopReason | None = field(default=None, kw_only=True)

    @property
    def retryable(self) -> bool:
        return self.kind != "permanent"

    def __str__(self) -> str:
        text = self.message if self.message.endswith((".", "!", "?")) else f"{self.message}."
        if self.stop_reason:
            text += f" Gave up after attempt {max(1, len(self.attempts))}: {self._reason(self.stop_reason)}."
        return f"{text} {self.hint}"

    def _reason(self, stop_reason: StopReason) -> str:
        if stop_reason == "not_retryable" and self.retryable and self.attempts:
            return STOPPED_WRITE.format(method=self.attempts[-1].method)
        return STOPPED[stop_reason]

    def _values(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in attrs.fields(type(self))}

    def __repr__(self) -> str:
        fields = [field for field in attrs.fields(type(self)) if field.name not in ("message", "attempts")]
        details = [(field.name, value) for field in fields if (value := getattr(self, field.name)) != field.default]
        return f"{type(self).__name__}({self.message!r}{''.join(f', {name}={value!r}' for name, value in details)})"

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
    """An invalid argument or option. Raised before anything is sent.

    It is a ValueError too:

        try:
            CachingTransport(AiohttpTransport(), ttl=-1.0)
        except ValueError as error:
            print(type(error).__name__)  # ConfigurationError
    """

    hint = "Correct what the message names; help(AsyncChatloom) explains the options, help(Endpoint) endpoints."


class InvalidApiKeyError(ConfigurationError):
    """No API key, or one that cannot be valid. The key itself is never part of the message.

    The message states the problem without quoting the key:

        try:
            ApiKey("sk_of_another_service")
        except InvalidApiKeyError as error:
            print(error.message)  # The API key does not start with the prefix clf_ of all keys
    """

    hint = (
        "Pass the whole key and nothing around it. If you have none, generate one in the dashboard under Settings > "
        "API Keys; an older one then stops working."
    )


class InvalidBaseUrlError(ConfigurationError):
    """The base URL is not https (or http to a loopback host), or has more than scheme, host, port and path.

    Nothing is sent:

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


@frozen(slots=False, eq=False, repr=False, str=False)
class MissingExtraError(ConfigurationError, ModuleNotFoundError):
    """A part of this package needs a module that is not installed. `extra` is the extra that installs it, if any.

    The hint is the command to install it. It is an ImportError too, and `name` is the module's name:

        missing = MissingExtraError("RedisLimiter needs redis, which is not installed", extra="redis", module="redis")
        print(missing.name, isinstance(missing, ImportError))  # redis True
        print(missing.hint)  # Install it: pip install '.[redis]' in a clone of chatloom_async.
    """

    extra: str = field(default="", kw_only=True)
    module: str = field(default="", kw_only=True)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "name", self.module)  # where Python's own error has it

    @property
    def hint(self) -> str:  # type: ignore[override]
        wanted = f"'.[{self.extra}]' in a clone of chatloom_async" if self.extra else self.module
        return f"Install it: pip install {wanted}."


@contextmanager
def needed_by(what: str, *modules: str, extra: str = "") -> Iterator[None]:
    """Raises MissingExtraError if an import in the block fails because one of the modules is missing.

        with needed_by("RedisLimiter", "redis", extra="redis"):
            import redis

    `extra` is the extra that installs the modules. Other import errors are raised unchanged.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        name = str(missing.name)
        if name.partition(".")[0] not in modules:
            raise
        text = f"{what} needs {name}, which is not installed"
        raise MissingExtraError(text, extra=extra, module=name) from None


class UsageError(ChatloomError, RuntimeError):
    """The client was used incorrectly.

    It is a RuntimeError too:

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
    """The call's deadline passed. `last` is the last failure before that, or None if there was none.

    `last` explains why the time ran out:

        print(DeadlineExceededError("60 s are over", last=ServerError("Down", status=503)).last.status)  # 503
    """

    hint: ClassVar[str] = "Raise the deadline, or make fewer calls per key at once if they wait for the rate limit."

    last: ChatloomError | None = field(default=None, kw_only=True)


@frozen(slots=False, eq=False, repr=False, str=False)
class DecodeError(ChatloomError):
    """The answer is not what the API documents. `path` is the JSON path of the mismatch, `excerpt` the beginning of the
    body.

        error = SchemaMismatchError("Not a string", path="$.agents[0].name")
        print(isinstance(error, DecodeError), error.path)  # True $.agents[0].name
    """

    hint: ClassVar[str] = "If it persists, send request and response to Chatloom's support, or update this package."

    path: str = field(default="$", kw_only=True, converter=clean)
    excerpt: str = field(default="", kw_only=True, converter=clean)


@frozen(slots=False, eq=False, repr=False, str=False)
class NotJSONError(DecodeError):
    """The body is not JSON. `reason` is one of empty, content_type, possible_truncation, syntax.

    For example, a captive portal's login page:

        transport = MockTransport(lambda _: Response(200, {"Content-Type": "text/html"}, b"<html>Please log in</html>"))
        try:
            await AsyncChatloom(transport=transport).list_agents()
        except NotJSONError as error:
            print(error.reason)  # content_type
    """

    hint: ClassVar[str] = "Check that the base URL points at the API and that no proxy or portal answers in its place."

    reason: str = field(default="syntax", kw_only=True)


@frozen(slots=False, eq=False, repr=False, str=False)
class SchemaMismatchError(DecodeError):
    """The body is JSON of an unexpected shape. `path` is the first place that differs. `documented` is False for your
    own endpoints, which the API's documentation does not describe.

    Values are never guessed or converted:

        transport = MockTransport(lambda _: Response(200, body=b'{"agents": [], "count": "none"}'))
        try:
            await AsyncChatloom(transport=transport).list_agents()
        except SchemaMismatchError as error:
            print(error.path)  # $.count
    """

    documented: bool = field(default=True, kw_only=True)

    @property
    def hint(self) -> str:  # type: ignore[override]
        own = "Compare the fields of your endpoint's type with the answer: a field may need another type or a default."
        return super().hint if self.documented else own


@frozen(slots=False, eq=False, repr=False, str=False)
class TransportError(ChatloomError):
    """No usable answer. `reason` is the cause in one word. `sent` is False if the server cannot have seen the request.

    A request that was not sent is safe to repeat:

        error = ConnectError("Nobody listens", reason="refused", sent=False)
        print(isinstance(error, TransportError), error.sent)  # True False
    """

    usual_kind: ClassVar[Kind] = "transient"
    kinds: ClassVar[dict[str, Kind]] = {}  # of reasons that differ from the usual
    hint: ClassVar[str] = "Check the network between this machine and the API."

    reason: str = field(default="", kw_only=True)
    sent: bool = field(default=True, kw_only=True)

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        return self.kinds.get(self.reason, self.usual_kind)


class ConnectError(TransportError):
    """No connection. `reason`: refused, dns, unreachable, handshake, proxy, proxy_auth, local (no descriptors left).

    All of them are retried, except proxy_auth:

        print(ConnectError("Who are you?", reason="proxy_auth").retryable)  # False
    """

    kinds: ClassVar[dict[str, Kind]] = {"proxy_auth": "permanent"}
    hint = "Check the base URL, name resolution, the proxy and the firewall."


class TLSError(TransportError):
    """The server's certificate or TLS configuration was refused. Never retried.

    The next attempt would meet the same certificate:

        print(TLSError("The certificate has expired", sent=False).retryable)  # False
    """

    usual_kind: ClassVar[Kind] = "permanent"
    hint = "Check the base URL, the clock and the CA certificates; name a private CA by SSL_CERT_FILE or ssl=."


class AttemptTimeoutError(TransportError, TimeoutError):
    """An attempt took too long. `reason` is the limit of `Timeouts` that ran out: connect, read or total.

    It is a TimeoutError too:

        print(isinstance(AttemptTimeoutError("No byte for 10 s", reason="read"), TimeoutError))  # True
    """

    hint = "Raise the timeouts if the API is slow from here."


@frozen(slots=False, eq=False, repr=False, str=False)
class ConnectionLostError(TransportError):
    """The connection ended before the answer's head was complete. `received` is False if no byte had arrived.

    A server may close an idle connection at any time, so it is retried:

        print(ConnectionLostError("The server hung up").retryable)  # True
    """

    hint: ClassVar[str] = "The server or something between closed the connection; a repeat usually succeeds."

    received: bool = field(default=False, kw_only=True)


@frozen(slots=False, eq=False, repr=False, str=False)
class PayloadError(TransportError):
    """The body was truncated or could not be decompressed. Partial data is never returned.

    `reason`: cut; checksum (altered on the way); encoding (does not match Content-Encoding; retried once); unasked
    (a compression that was not requested; never retried).

        print(PayloadError("Cut off", reason="cut", received=100, expected=2048).retryable)  # True
    """

    kinds: ClassVar[dict[str, Kind]] = {"encoding": "once", "unasked": "permanent"}
    hint: ClassVar[str] = "A repeat usually succeeds; if it does not, look for a proxy that alters answers."

    received: int = field(default=0, kw_only=True)
    expected: int | None = field(default=None, kw_only=True)


class ProtocolError(TransportError):
    """The answer is not valid HTTP. `reason`: invalid (retried once), or head_too_large (never retried).

    A head that is too long would be so again:

        print(ProtocolError("The head is too long", reason="head_too_large").retryable)  # False
    """

    usual_kind: ClassVar[Kind] = "once"
    kinds: ClassVar[dict[str, Kind]] = {"head_too_large": "permanent"}
    hint = "Check that the base URL points at an HTTP server and that no proxy alters the answers."


class ResponseTooLargeError(TransportError):
    """The body is larger than the transport accepts, after decompression. Never retried.

    The next answer would be as large:

        print(ResponseTooLargeError("More than 8 MiB").retryable)  # False
    """

    usual_kind: ClassVar[Kind] = "permanent"
    hint = "Raise max_body= of the transport if answers of this size are expected."


@frozen(slots=False, eq=False, repr=False, str=False)
class RedirectRefusedError(TransportError):
    """The server redirects. Redirects are not followed, because the key would be sent to the target.

    `location` is the target's origin, without path and query:

        transport = MockTransport(lambda _: Response(301, {"Location": "https://www.chatloom.app/api"}))
        try:
            await AsyncChatloom(transport=transport).list_agents()
        except RedirectRefusedError as error:
            print(error.location)  # https://www.chatloom.app
    """

    usual_kind: ClassVar[Kind] = "permanent"
    hint: ClassVar[str] = "Set the base URL to the final https origin."

    location: str = field(default="", kw_only=True, converter=clean)
