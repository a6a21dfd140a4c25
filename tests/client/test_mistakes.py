"""What a caller gives by mistake is refused at the earliest moment, by an error that says what would do."""

from collections.abc import Callable
from functools import partial
from math import inf, nan
from typing import Any

import pytest
from attrs import frozen

from chatloom_async import (
    AiohttpTransport,
    AsyncChatloom,
    CachingTransport,
    ChatloomError,
    ConfigurationError,
    Endpoint,
    InvalidBaseUrlError,
    ListAgents,
    MockTransport,
    RateLimit,
    RecordingTransport,
    Response,
    RetryPolicy,
    Timeouts,
    UsageError,
    fan_out,
)
from tests.samples import KEY, api


async def nothing(*_: object) -> None:
    """What an async callback looks like."""


def client(**options: Any) -> Callable[[], object]:
    """Constructing a client with these options."""
    return lambda: AsyncChatloom(KEY, **options)


def fanned(**options: Any) -> Callable[[], object]:
    """Asking for a fan-out, without looking at a result."""
    return lambda: fan_out(**{"items": [1], "operation": nothing, **options})


class AsyncCall:
    async def __call__(self, attempt: object) -> None: ...


class AsyncRelease:
    async def acquire(self, key: str) -> None: ...

    async def release(self, key: str, outcome: str, retry_after: float | None = None) -> None: ...


LIMIT = "must be a number of seconds above 0 and below 1e9, or None for no limit, not"
WAIT = "must be a number of seconds from 0 to 1e9, not"
LONGEST = "must be a number of seconds, 0 or more, not"
COUNT = "must be a whole number, 1 or more, not"
RATE = "must be a number above 0 and below 1e9, not"
RETRY = "retry must be a RetryPolicy, a tenacity.AsyncRetrying, or None, not"
PACE = "rate_limit must be a RateLimit, a Limiter with acquire() and release(), or None, not"
FUNCTION = "must be a function that is not async"
A_STR, AN_INT = "a value of the type str", "a value of the type int"
HUGE = 10**400

REFUSED: list[tuple[Callable[[], object], str]] = [
    *((client(deadline=each), f"deadline {LIMIT} {each}") for each in (0, -1.5, nan, -inf, True, False)),
    (client(deadline=HUGE), f"deadline {LIMIT} a number that large"),
    (client(deadline=1e9), f"deadline {LIMIT} 1000000000.0"),
    (client(deadline="60"), f"deadline {LIMIT} {A_STR}"),
    (client(timeouts=5.0), "timeouts must be a Timeouts, not 5.0"),
    (client(timeouts=Timeouts), "timeouts must be a Timeouts, not the class Timeouts itself"),
    (client(timeouts=None), "timeouts must be a Timeouts, not None"),
    (client(auth="basic"), f'auth must be "bearer" or "x-api-key", not {A_STR}'),
    (client(retry=3), f"{RETRY} 3"),
    (client(retry=RetryPolicy), f"{RETRY} the class RetryPolicy itself"),
    (client(rate_limit=4), f"{PACE} 4"),
    (client(rate_limit=RateLimit), f"{PACE} the class RateLimit itself"),
    (client(transport=5), "transport must be a Transport with send(), or None, not 5"),
    (client(transport=AiohttpTransport), "transport must be a Transport with send(), or None, not the class Aiohttp"),
    (client(transport=KEY), f"transport must be a Transport with send(), or None, not {A_STR}"),
    (client(clock=5), "clock must be a Clock with time(), sleep() and call_later(), or None, not 5"),
    (client(on_attempt=5), f"on_attempt {FUNCTION}, or None, not 5"),
    (client(on_attempt=nothing), f"on_attempt {FUNCTION}, or None, not a value of the type function"),
    (client(base_url=5), "The base URL cannot be read as a URL"),
    (client(base_url=""), "The base URL is empty"),
    (client(base_url=" "), "The base URL is empty"),
    *((client(max_in_flight=each), f"max_in_flight {COUNT[:-5]}, or None, not {each}") for each in (0, -1, 2.5, True)),
    (client(on_attempt=AsyncCall()), f"on_attempt {FUNCTION}, or None, not a value of the type AsyncCall"),
    (client(on_attempt=partial(nothing, 1)), f"on_attempt {FUNCTION}, or None, not a value of the type partial"),
    (client(rate_limit=AsyncRelease()), "rate_limit must be a Limiter whose release() and fingerprint() are not async"),
    (lambda: AsyncChatloom(KEY).with_options(deadline=nan), f"deadline {LIMIT} nan"),
    (lambda: AsyncChatloom(KEY).with_options(retry="no"), f"{RETRY} {A_STR}"),  # type: ignore[arg-type]
    *(
        (lambda name=each: Timeouts(**{name: "5"}), f"{each} {LIMIT} {A_STR}")
        for each in ("connect", "read", "attempt")
    ),
    *((lambda bad=each: Timeouts(read=bad), f"read {LIMIT} {each}") for each in (0, -1, nan, True)),
    (lambda: Timeouts(attempt=HUGE), f"attempt {LIMIT} a number that large"),
    *((lambda bad=each: RetryPolicy(attempts=bad), f"attempts {COUNT} {each}") for each in (0, 2.5, True, None, inf)),
    (lambda: RetryPolicy(attempts="3"), f"attempts {COUNT} {A_STR}"),  # type: ignore[arg-type]
    (lambda: RetryPolicy(throttle_attempts=HUGE), f"throttle_attempts {COUNT} a number that large"),
    *((lambda bad=each: RetryPolicy(base=bad), f"base {WAIT} {each}") for each in (-1, nan, inf, True)),
    (lambda: RetryPolicy(throttle_base="1"), f"throttle_base {WAIT} {A_STR}"),  # type: ignore[arg-type]
    (lambda: RetryPolicy(cap=-1.0), f"cap {LONGEST} -1.0"),
    (lambda: RetryPolicy(max_retry_after=nan), f"max_retry_after {LONGEST} nan"),
    (lambda: RetryPolicy(random=0.5), f"random {FUNCTION}, not 0.5"),  # type: ignore[arg-type]
    *((lambda bad=each: RateLimit(per_second=bad), f"per_second {RATE} {each}") for each in (0, -1, nan, inf, True)),
    (lambda: RateLimit(per_second="4"), f"per_second {RATE} {A_STR}"),  # type: ignore[arg-type]
    (lambda: RateLimit(burst=1.5), f"burst {COUNT} 1.5"),  # type: ignore[arg-type]
    (lambda: RateLimit(concurrency=0), f"concurrency {COUNT} 0"),
    (fanned(concurrency="4"), f"concurrency {COUNT} {A_STR}"),
    *((fanned(concurrency=each), f"concurrency {COUNT} {each}") for each in (0, -1, True, 1.0, None)),
    (fanned(items=5), "items must be an iterable, sync or async, not 5"),
    (fanned(operation=None), "operation must be an async function of one item, not None"),
]


@pytest.mark.parametrize(("made", "problem"), REFUSED, ids=[problem[:60] for _, problem in REFUSED])
def test_what_cannot_work_is_refused_at_once(made: Callable[[], object], problem: str) -> None:
    """Before any I/O. A number is shown, of anything else the type only: it may be a key in the wrong place."""
    with pytest.raises(ConfigurationError) as caught:
        made()
    assert caught.value.message.startswith(problem)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("made", "same"),
    [
        (lambda: Timeouts(connect=inf, read=inf, attempt=inf), Timeouts(connect=None, read=None, attempt=None)),
        (lambda: AsyncChatloom(KEY, deadline=inf)._options.deadline, None),
        (lambda: Timeouts(connect=1), Timeouts(connect=1.0)),
        (lambda: RetryPolicy(cap=inf, max_retry_after=inf, base=0).cap, inf),
    ],
)
def test_an_endless_limit_is_none(made: Callable[[], object], same: object) -> None:
    """Infinity is accepted where it means something, and whole numbers of seconds are numbers."""
    assert made() == same


SUCH_HEADERS = """write {} for none, or names and values such as {"Retry-After": "7"}"""
ANSWERS: list[tuple[Callable[[], Any], str]] = [
    (lambda: Response(200, {}, "str body"), "A Response has a body of bytes, not of the type str: write text.encode()"),  # type: ignore[arg-type]
    (
        lambda: Response(200, body=None),  # type: ignore[arg-type]
        'A Response has a body of bytes, not of the type NoneType: write b"" for none, or orjson.dumps(value)',
    ),
    (lambda: Response("200"), "A Response has a status such as 200, not of the type str: write a number"),  # type: ignore[arg-type]
    (
        lambda: Response(429, {"Retry-After": 30}),  # type: ignore[dict-item]
        "Headers have names and values of text, not of the type int: write them as strings",
    ),
    (lambda: Response(200, None, b"{}"), f"Headers cannot be made of this NoneType: {SUCH_HEADERS}"),  # type: ignore[arg-type]
    (lambda: Response(200, b"{}"), f"Headers cannot be made of this bytes: {SUCH_HEADERS}"),  # type: ignore[arg-type]
    (lambda: Response(200, ["Retry-After: 7"]), f"Headers cannot be made of this list: {SUCH_HEADERS}"),  # type: ignore[arg-type]
    (lambda: None, "The handler of a MockTransport returned NoneType, not a Response"),
    (lambda: {"agents": []}, "The handler of a MockTransport returned dict, not a Response"),
]


@pytest.mark.parametrize(("answer", "problem"), ANSWERS, ids=[problem for _, problem in ANSWERS])
async def test_a_test_double_that_answers_nonsense_is_told_so(answer: Callable[[], Any], problem: str) -> None:
    """By the call that it was to answer, and not as a failure of the network, which would be tried again."""
    transport = MockTransport(lambda _: answer())
    with pytest.raises(UsageError) as caught:
        await AsyncChatloom(KEY, transport=transport).list_agents()
    assert (caught.value.message, len(transport.requests)) == (problem, 1)


async def test_what_is_called_with_a_class_is_told_so() -> None:
    """An endpoint is an object, not the class of it."""
    with pytest.raises(ChatloomError, match=r"^send\(\) takes an endpoint, such as ListAgents\(\)"):
        await AsyncChatloom(KEY, transport=MockTransport(api)).send(ListAgents)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("timeout", "timeouts=Timeouts(...) limits an attempt, deadline= the whole call"),
        ("max_retries", "retry=RetryPolicy(attempts=...) says how often"),
        ("time_outs", "did you mean timeouts=?"),
        ("apikey", "did you mean api_key=?"),
        ("zzz", "help(AsyncChatloom) explains the options"),
    ],
)
def test_an_option_that_does_not_exist_says_which_is_meant(option: str, hint: str) -> None:
    """Wherever options go."""
    options: Any = {option: 5}
    for made in (AsyncChatloom, AsyncChatloom.for_many, AsyncChatloom(KEY).with_options):
        with pytest.raises(TypeError) as caught:
            made(**options)
        assert str(caught.value) == f"AsyncChatloom has no option {option!r}: {hint}"


def test_what_clones_share_is_not_an_option_of_a_clone() -> None:
    """The message says where it belongs."""
    client = AsyncChatloom(KEY)
    with pytest.raises(TypeError, match=r"^with_options\(\) does not change the key: with_key\(\) does$"):
        client.with_options(api_key=KEY)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^with_options\(\) does not change transport=, which clones share: construct"):
        client.with_options(transport=None)  # type: ignore[call-arg]


def test_with_without_async_says_so() -> None:
    """Python would only say that it cannot."""
    with pytest.raises(UsageError, match=r"^Use `async with` for a client"), AsyncChatloom(KEY):
        pass


def test_an_empty_base_url_in_the_environment_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that was meant to be set must not mean production."""
    monkeypatch.setenv("CHATLOOM_BASE_URL", "")
    with pytest.raises(InvalidBaseUrlError, match=r"^The base URL is empty: leave it out, also as CHATLOOM_BASE_URL"):
        AsyncChatloom(KEY)


@frozen
class Write(Endpoint[None]):
    """Not GET, so a cache passes it on."""

    method = "POST"
    path = "/x"


@pytest.mark.parametrize(("answer", "name"), [(None, "NoneType"), (b"{}", "bytes"), (404, "int")])
async def test_a_transport_that_returns_something_else_is_told_so(answer: object, name: str) -> None:
    """And the permit is given back."""

    class Odd:
        async def send(self, request: object) -> object:
            return answer

        async def aclose(self) -> None: ...

    client = AsyncChatloom(KEY, transport=Odd())  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=rf"^The transport returned {name}, not a Response or a TransportError"):
        await client.list_agents()
    assert [state.in_flight for state in client.limits.values()] == [0]


class NotAsync:
    """A transport as somebody writes it who comes from synchronous libraries."""

    def send(self, request: object) -> Response:
        return Response(200, body=b"{}")

    async def aclose(self) -> None: ...


@pytest.mark.parametrize(
    "wrapped", [lambda inner: inner, CachingTransport, lambda t: RecordingTransport(t, "none.json")]
)
async def test_a_transport_that_is_not_async_is_told_what_to_write(wrapped: Callable[[Any], Any]) -> None:
    """Also if another transport wraps it. Python would say that a Response cannot be awaited."""
    client = AsyncChatloom(KEY, transport=wrapped(NotAsync()))
    text = "send() of NotAsync is not async, it returned Response: write `async def send(self, request)`"
    for endpoint in (ListAgents(), Write()):
        with pytest.raises(UsageError) as caught:
            await client.send(endpoint)
        assert caught.value.message == text
    assert [state.in_flight for state in client.limits.values()] == [0]


@pytest.mark.parametrize("wrapped", [CachingTransport, lambda inner: RecordingTransport(inner, "none.json")])
def test_only_a_transport_can_be_wrapped(wrapped: Callable[[Any], object]) -> None:
    """The class of one is none."""
    with pytest.raises(
        ConfigurationError, match=r"^inner must be a Transport with send\(\), not the class MockTransport"
    ):
        wrapped(MockTransport)


def hidden(attempt: object) -> object:
    """A function that is not async, but returns what one would."""
    return nothing(attempt)


async def test_an_on_attempt_that_returns_a_coroutine_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing awaits it: it would be dropped, and only Python would say so, later."""
    client = AsyncChatloom(KEY, transport=MockTransport(api), on_attempt=hidden)
    await client.list_agents()
    assert caplog.messages == ["on_attempt returned a coroutine, which is not awaited: start a task in it instead"]


class NoAcquire:
    """A limiter that is asynchronous in the wrong place."""

    def acquire(self, key: str) -> None: ...

    def release(self, key: str, outcome: str, retry_after: float | None = None) -> Any:
        return nothing(key)


class HiddenAsync(NoAcquire):
    """One whose release() cannot be seen to be asynchronous."""

    async def acquire(self, key: str) -> None: ...  # type: ignore[override]


@pytest.mark.parametrize(
    ("limiter", "problem"),
    [
        (NoAcquire(), r"acquire\(\) of the Limiter in rate_limit must be async"),
        (HiddenAsync(), r"release\(\) of the Limiter in rate_limit returned a coroutine: it must not be async"),
    ],
)
async def test_a_limiter_that_is_async_in_the_wrong_place_is_told_so(limiter: Any, problem: str) -> None:
    """Where it cannot be seen before."""
    client = AsyncChatloom(KEY, transport=MockTransport(api), rate_limit=limiter)
    with pytest.raises(UsageError, match=problem):
        await client.list_agents()
