"""The client. One call is one walk, from values to bytes and back:

    exchange       endpoint.request()   wire/endpoint.py        the endpoint becomes an unsigned request
      _attempt     keys.current()       policy/keys.py          the key, and another one after a 401
        _send_once limiter.acquire()    policy/concurrency.py   the key's turn (policy/limiter.py), then a slot
                   key.sign()           wire/auth.py            the key goes into one header
                   transport.send()     transports/aiohttp/     the request goes out, the response comes back
                   status_error()       wire/status.py          an unsuccessful status becomes an error
    exchange       retrier.retry()      policy/retrier.py       after a failure: further attempts
    exchange       decode()             wire/decode.py          the body becomes the value

`exchange`, `_attempt` and `_send_once` follow in this order. Failures are passed as values and raised once, by
`exchange`. `keys.fixed` and `limiter.acquire_now()` are for calls that do not have to wait. The rest of the file is
construction, cloning and closing. wire/ handles bytes and values, policy/ handles time; neither does I/O.
"""

import inspect
import os
import re
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from inspect import iscoroutine
from logging import DEBUG, Logger, getLogger
from math import inf
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Final, Never, NoReturn, ParamSpec, Protocol, Self, TypeVar, Unpack

import attrs

from .endpoints.agents import AgentList, GetAllowedDomains, ListAgents
from .options import (
    CLOCK,
    LABEL,
    MAX_LABEL,
    MOST_IN_FLIGHT,
    OWN_TRANSPORT,
    ClientOptions,
    OnAttempt,
    Options,
    SharedState,
    creation_place,
    refuse_unknown,
)
from .policy.call import Call, Outcome
from .policy.clock import Clock, SystemClock
from .policy.concurrency import KeyPausedError
from .policy.keys import KeyProvider, key_source, no_key
from .policy.lifetime import TimeLimit
from .policy.limiter import Limiter, LimitState, RateLimit, fingerprint_of, outcome_of
from .policy.retry import RetryPolicy
from .transports.interface import Transport, checked, start_send
from .wire.auth import ApiKey, Auth
from .wire.base_url import BASE_URL
from .wire.cleaning import clean
from .wire.decode import decode, error_without_key
from .wire.endpoint import Endpoint
from .wire.errors import (
    ChatloomError,
    ClientClosedError,
    DecodeError,
    InvalidApiKeyError,
    TransportError,
    UsageError,
)
from .wire.message import Exchange, Request, Response, Timeouts
from .wire.status import AuthenticationError, status_error

if TYPE_CHECKING:
    from tenacity import AsyncRetrying


T = TypeVar("T")
P = ParamSpec("P")


class Sender(Protocol):
    """An object that calls endpoints."""

    async def send(self, endpoint: Endpoint[T]) -> T: ...


def method_of(endpoint: Callable[P, Endpoint[T]]) -> Callable[Concatenate[Sender, P], Coroutine[Any, Any, T]]:
    """A method that sends this endpoint, with the endpoint's parameters and docstring."""

    async def method(self: Sender, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.send(endpoint(*args, **kwargs))

    cls: Any = endpoint
    parameters = inspect.signature(cls.__init__).replace(return_annotation=cls.returns)
    method.__name__ = re.sub(r"(?<!^)([A-Z])", r"_\1", cls.__name__).lower()
    method.__qualname__ = f"AsyncChatloom.{method.__name__}"
    method.__doc__ = cls.__doc__
    method.__signature__ = parameters  # type: ignore[attr-defined]
    return method


log: Logger = getLogger("chatloom_async")
UNCHANGED: Any = type("Unchanged", (), {"__repr__": lambda self: "<unchanged>"})()


class AsyncChatloom:
    """A client of the Chatloom API for the workspace of its API key.

        async with AsyncChatloom() as chatloom:
            for agent in await chatloom.list_agents():
                print(agent.name, list(await chatloom.get_allowed_domains(agent.id)))

    The constructor does no I/O and needs no event loop. Many tasks may share a client, and it works in several
    `asyncio.run()` calls one after the other; concurrent threads need one client each. Every failed call raises a
    ChatloomError; exceptions from your own key provider or limiter are not wrapped.

    api_key: the key, or a callable that provides it, or None to read CHATLOOM_API_KEY. A provider is called as
        `provider(force_refresh=False)` before every attempt, and with True after a 401; it may be async. For a
        service whose customers each have a key, see `AsyncChatloom.for_many()`.
    base_url: None reads CHATLOOM_BASE_URL, and if that is not set, uses https://chatloom.app.
    auth: "bearer" or "x-api-key", the header that carries the key.
    timeouts: limits for one attempt, in seconds.
    deadline: the limit for one call, in seconds, everything included: queueing, attempts, waits. None: no limit.
    retry: a RetryPolicy, your own tenacity.AsyncRetrying (copied for each call), or None for a single attempt.
    rate_limit: the rate limit of each key, or your own Limiter, or None. A 429 pauses the key until Retry-After; calls
        with an earlier deadline fail at once.
    max_in_flight: the maximum number of requests in flight over all keys, for the client and its clones. None: 256, or
        fewer if the process may not open so many files.
    transport: sends the requests. You close it; the client does not. None: aiohttp.
    on_attempt: called with each finished Attempt, including those of successful calls. Its exceptions are logged.
    clock: the clock for waits and the deadline; for tests.
    """

    def __init__(
        self,
        api_key: str | ApiKey | KeyProvider | None = None,
        *,
        base_url: str | None = None,
        auth: Auth = "bearer",
        timeouts: Timeouts = Timeouts(),
        deadline: float | None = 60.0,
        retry: "RetryPolicy | AsyncRetrying | None" = RetryPolicy(),
        rate_limit: RateLimit | Limiter | None = RateLimit(),
        transport: Transport | None = None,
        max_in_flight: int | None = None,
        on_attempt: OnAttempt | None = None,
        clock: Clock | None = None,
        **unknown: Never,
    ) -> None:
        keys = key_source(api_key)
        del api_key  # a traceback that shows local variables must not show it
        refuse_unknown(unknown)
        if isinstance(keys, InvalidApiKeyError):
            raise keys
        options = Options(
            base_url=os.environ.get("CHATLOOM_BASE_URL", BASE_URL) if base_url is None else base_url,
            auth=auth,
            timeouts=timeouts,
            deadline=deadline,
            retry=retry,
            rate_limit=rate_limit,
            on_attempt=on_attempt,
        )
        OWN_TRANSPORT.check("transport", transport)
        CLOCK.check("clock", clock)
        MOST_IN_FLIGHT.check("max_in_flight", max_in_flight)
        self._owner = True
        self._label: str | None = None
        self._keys = keys
        self._clock: Clock = clock or SystemClock()
        self._shared = SharedState(
            name=f"{type(self).__name__} (created at {creation_place(self)})",
            wrap=self.wrap_transport,
            transport=None if transport is None else self.wrap_transport(transport),
            borrowed=transport is not None,
            concurrency=SharedState.concurrency_limit(max_in_flight),
        )
        self._options = options
        self._limiter = options.limiter(self._clock, self._shared)
        self._fingerprint_of = fingerprint_of(options.rate_limit)
        self._retrier = options.retrier(self._clock, self._shared)

    @classmethod
    def for_many(cls, **options: Unpack[ClientOptions]) -> Self:
        """A client without a key, for services whose customers have one key each. Takes the same options.

            async with AsyncChatloom.for_many() as chatloom:
                acme = chatloom.with_key(key, label="acme")
                agents = await acme.list_agents()

        A call without `with_key()` raises UsageError, and nothing is sent.
        """
        given: dict[str, Any] = {**options}
        return cls(no_key, **given)

    list_agents: Final = method_of(ListAgents)
    get_allowed_domains: Final = method_of(GetAllowedDomains)

    async def send(self, endpoint: Endpoint[T]) -> T:
        """Calls any endpoint, including your own, and returns its answer."""
        return (await self.exchange(endpoint)).value

    async def exchange(self, endpoint: Endpoint[T]) -> Exchange[T]:
        """Like `send`, but returns the value with its response, every attempt and the elapsed seconds."""
        if not isinstance(endpoint, Endpoint):
            raise UsageError(f"send() takes an endpoint, such as ListAgents(), not {endpoint!r}")
        self._shared.lifetime.check()
        options = self._options
        started = self._clock.time()
        deadline = inf if options.deadline is None else started + options.deadline
        call = Call(endpoint, started, deadline, options.timeouts.attempt, options.host, self._label)
        request = endpoint.request(options.base_url, options.timeouts)
        outcome = await self._attempt(request, call)
        if isinstance(outcome, Response):
            self._retrier.succeeded(call)
        else:
            outcome = await self._retrier.retry(outcome, partial(self._attempt, request, call), call)
        if isinstance(outcome, ChatloomError):
            raise call.finish(outcome)
        value = decode(outcome, endpoint.returns, call.warn)
        if isinstance(value, DecodeError):
            value = error_without_key(value, outcome, endpoint.returns, call.api_key)  # a traceback shows locals, too
            raise call.finish(value)
        if endpoint.returns is AgentList and not value.complete:
            call.warn("the answer says that it is not complete; do not take it for the whole")
        return Exchange(value, outcome, tuple(call.attempts), self._clock.time() - call.started)

    async def _attempt(self, request: Request, call: Call) -> Outcome:
        """Sends the request once. After the call's first 401, sends it again if the key provider has another key.
        Failures are returned."""
        limit = self._shared.lifetime.limit(call.begin_attempt(self._clock.time()))
        try:
            with limit:
                key = self._keys.fixed or await self._keys.current()
                outcome = await self._send_once(request, key, call, limit)
                if isinstance(outcome, AuthenticationError) and not call.refreshed:
                    call.refreshed = True
                    limit.restart(call.begin_attempt(self._clock.time()))
                    if other_key := await self._keys.renewed(key):
                        outcome = await self._send_once(request, other_key, call, limit)
                return outcome
        except (TransportError, ClientClosedError) as failure:
            error: ChatloomError = failure.with_traceback(None)
        except KeyPausedError as paused:
            error = call.paused(paused.seconds)
        except TimeoutError:
            if not limit.expired:
                raise
            error = call.timed_out()
        self._record(call, None, error)
        return error

    async def _send_once(self, request: Request, key: ApiKey, call: Call, limit: TimeLimit) -> Outcome:
        """Waits for the limiter, signs the request, sends it, and reads the status of the response."""
        call.api_key, call.key = key, self._fingerprint_of(key)
        limiter, loop = self._limiter, limit.loop
        with limiter.acquire_now(call.key, loop) or await limiter.acquire(call.key, loop, limit.seconds) as permit:
            limit.restart(call.begin_sending(self._clock.time()))
            transport = self._shared.open_transport()
            answer = checked(await start_send(transport, key.sign(request, self._options.auth)))
            error = status_error(answer, call.endpoint.success, key) if isinstance(answer, Response) else answer
            permit.outcome = outcome_of(answer, error)
        self._record(call, answer, error)
        return error or answer

    def _record(self, call: Call, answer: Outcome | None, error: ChatloomError | None) -> None:
        """Adds the finished attempt to the call's history, logs it, and passes it to `on_attempt`."""
        status = answer.status if isinstance(answer, Response) else None
        attempt = call.record_attempt(status, error, self._clock.time())
        if log.isEnabledFor(DEBUG):
            name = attempt.status or type(attempt.error).__name__
            log.debug("%s attempt %d: %s %s", attempt.operation, attempt.number, name, call.origin)
        if self._options.on_attempt:
            try:
                result = self._options.on_attempt(attempt)
            except Exception:
                log.exception("on_attempt raised an exception; the call continues")
            else:
                if iscoroutine(result):
                    result.close()  # otherwise Python warns that it was never awaited, without naming on_attempt
                    log.error("on_attempt returned a coroutine, which is not awaited: start a task in it instead")

    def with_key(self, api_key: str | ApiKey | KeyProvider, *, label: str | None = None) -> Self:
        """A client for another key, created in microseconds. It shares the rest with this one; closing it does nothing.

        `label` names the owner of the key, such as a customer: it appears in attempts, log lines and spans.
        """
        LABEL.check("label", label)
        keys = key_source(api_key)
        del api_key
        if isinstance(keys, InvalidApiKeyError):
            raise keys
        return self._clone(_keys=keys, _label=None if label is None else clean(label, MAX_LABEL))

    def with_options(
        self,
        *,
        base_url: str = UNCHANGED,
        auth: Auth = UNCHANGED,
        timeouts: Timeouts = UNCHANGED,
        deadline: float | None = UNCHANGED,
        retry: "RetryPolicy | AsyncRetrying | None" = UNCHANGED,
        rate_limit: RateLimit | Limiter | None = UNCHANGED,
        on_attempt: OnAttempt | None = UNCHANGED,
        **unknown: Never,
    ) -> Self:
        """A client with other options. It shares the rest with this one; closing it does nothing. A new `rate_limit`
        has its own counters."""
        arguments = {name: value for name, value in locals().items() if name not in ("self", "unknown")}
        refuse_unknown(unknown, of_a_clone=True)
        options = attrs.evolve(
            self._options, **{name: value for name, value in arguments.items() if value is not UNCHANGED}
        )
        return self._clone(
            _options=options,
            _limiter=self._limiter if rate_limit is UNCHANGED else options.limiter(self._clock, self._shared),
            _fingerprint_of=fingerprint_of(options.rate_limit),
            _retrier=options.retrier(self._clock, self._shared),
        )

    @staticmethod
    def wrap_transport(transport: Transport) -> Transport:
        """Called once with the transport before its first use. A subclass may return a transport that wraps it."""
        return transport

    @property
    def clock(self) -> Clock:
        """The clock for waits and deadlines: the constructor's `clock`, or the system's."""
        return self._clock

    @property
    def on_attempt(self) -> OnAttempt | None:
        """The `on_attempt` of the constructor or of `with_options`."""
        return self._options.on_attempt

    @property
    def timeouts(self) -> Timeouts:
        """The `timeouts` of the constructor or of `with_options`."""
        return self._options.timeouts

    @property
    def rate_limit(self) -> RateLimit | Limiter | None:
        """The `rate_limit` of the constructor or of `with_options`."""
        return self._options.rate_limit

    @property
    def limits(self) -> Mapping[str, LimitState]:
        """A snapshot of the rate limiter for each key in use, by the key's `fingerprint`. Empty if you passed your own
        limiter."""
        return self._limiter.states()

    async def release_key(self) -> None:
        """Closes the idle connections of this client's key and forgets its signed headers. Use it after the last call
        for a key if many other keys follow. Connections stay open if the transport has no `close_idle`."""
        headers = (await self._keys.current()).forget_signed(self._options.auth)
        close_idle = getattr(self._shared.transport, "close_idle", None)
        if headers is not None and close_idle is not None:
            close_idle(headers)

    async def aclose(self, drain: float = 5.0) -> None:
        """Closes the client and its clones. Calls under way have `drain` seconds to finish, then fail with
        ClientClosedError. On a clone, and on a client that is closed already, it does nothing."""
        if self._owner:
            await self._shared.aclose(drain)

    def __enter__(self) -> NoReturn:
        raise UsageError("Use `async with` for a client, not `with`: closing it is asynchronous")

    def __exit__(self, *_: object) -> None:
        """Never called. Python looks for it before it calls `__enter__`, which says what to write instead."""

    async def __aenter__(self) -> Self:
        self._shared.lifetime.check()
        self._shared.open_transport()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        if "_options" not in self.__dict__:  # a traceback through __init__ may show it half made
            return f"<{type(self).__name__}>"
        label = f" ({self._label})" if self._label else ""
        return (
            f"<{type(self).__name__} {self._options.base_url}, {self._keys}{label}{'' if self._owner else ', a clone'}>"
        )

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("An AsyncChatloom cannot be pickled or copied: use with_key(), or make one in each process.")

    def _clone(self, **changes: object) -> Self:
        clone = object.__new__(type(self))
        clone.__dict__.update(self.__dict__, _owner=False, **changes)
        return clone
