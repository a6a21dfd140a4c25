"""The decision after a failed attempt, as tables."""

from collections import Counter
from math import inf
from typing import Any

import attrs
import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from chatloom_async.endpoints.agents import ListAgents
from chatloom_async.policy.call import Call
from chatloom_async.policy.retry import RetryPolicy, is_free
from chatloom_async.wire.endpoint import Endpoint
from chatloom_async.wire.errors import (
    AttemptTimeoutError,
    ChatloomError,
    ClientClosedError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    DeadlineExceededError,
    NotJSONError,
    PayloadError,
    ProtocolError,
    RedirectRefusedError,
    ResponseTooLargeError,
    TLSError,
)
from chatloom_async.wire.status import AuthenticationError, NotFoundError, RateLimitError, ServerError

NOW = 1000.0
DOWN = ServerError("x", status=503)
SLOW_DOWN = RateLimitError("x", status=429)
STALE = ConnectionLostError("x")
CUT = ConnectionLostError("x", received=True)
POLICY = RetryPolicy(random=lambda: 0.5)


@frozen
class Order(Endpoint[object]):
    """A request that must not be repeated if the server may have acted on it."""

    method = "POST"
    path = "/orders"


def call(*failed: ChatloomError, idempotent: bool = True, deadline: float = inf) -> Call:
    """A call that has failed like this so far."""
    record = Call(ListAgents() if idempotent else Order(), NOW, deadline)
    record.failures = Counter(error.kind for error in failed)
    return record


def asking(seconds: float, status: int = 429) -> ChatloomError:
    """An answer with a Retry-After."""
    cls: Any = RateLimitError if status == 429 else ServerError
    return cls("x", status=status, retry_after=seconds)


DECISIONS: list[tuple[str, ChatloomError, Call, object]] = [
    ("first transient", DOWN, call(DOWN), 0.125),
    ("second transient", DOWN, call(DOWN, DOWN), 0.25),
    ("third transient", DOWN, call(DOWN, DOWN, DOWN), "attempts"),
    ("first throttle", SLOW_DOWN, call(SLOW_DOWN), 0.5),
    ("second throttle", SLOW_DOWN, call(SLOW_DOWN, SLOW_DOWN), 1.0),
    ("fifth throttle", SLOW_DOWN, call(*[SLOW_DOWN] * 5), 8.0),
    ("sixth throttle", SLOW_DOWN, call(*[SLOW_DOWN] * 6), "attempts"),
    ("throttle after transients", SLOW_DOWN, call(DOWN, DOWN, SLOW_DOWN), 0.5),
    ("transient after throttles", DOWN, call(DOWN, *[SLOW_DOWN] * 5), 0.125),
    ("protocol, first", ProtocolError("x"), call(ProtocolError("x")), 0.125),
    ("protocol, second", ProtocolError("x"), call(*[ProtocolError("x")] * 2), "attempts"),
    ("not found", NotFoundError("x", status=404), call(DOWN), "not_retryable"),
    ("refused key", AuthenticationError("x", status=401), call(DOWN), "not_retryable"),
    ("501", ServerError("x", status=501), call(DOWN), "not_retryable"),
    ("certificate", TLSError("x", sent=False), call(DOWN), "not_retryable"),
    ("redirect", RedirectRefusedError("x"), call(DOWN), "not_retryable"),
    ("too large", ResponseTooLargeError("x"), call(DOWN), "not_retryable"),
    ("proxy password", ConnectError("x", reason="proxy_auth", sent=False), call(DOWN), "not_retryable"),
    ("no JSON", NotJSONError("x"), call(DOWN), "not_retryable"),
    ("closed", ClientClosedError("x"), call(DOWN), "not_retryable"),
    ("configuration", ConfigurationError("x"), call(DOWN), "not_retryable"),
    ("deadline passed", DeadlineExceededError("x"), call(DOWN), "deadline"),
    ("refused", ConnectError("x", sent=False), call(DOWN), 0.125),
    ("timed out", AttemptTimeoutError("x"), call(DOWN), 0.125),
    ("cut body", PayloadError("x"), call(DOWN), 0.125),
    ("stale connection", STALE, call(STALE), 0.0),
    ("stale connection again", STALE, call(STALE, STALE), 0.25),
    ("stale connection after a 503", STALE, call(DOWN, STALE), 0.25),
    ("stale connection after a 429", STALE, call(SLOW_DOWN, STALE), 0.0),
    ("lost after some bytes", CUT, call(CUT), 0.125),
    ("Retry-After above the jitter", asking(7.0), call(SLOW_DOWN), 7.0),
    ("Retry-After below the jitter", asking(0.1), call(SLOW_DOWN), 0.5),
    ("Retry-After of 0", asking(0.0), call(SLOW_DOWN), 0.5),
    ("Retry-After as an int", asking(7), call(SLOW_DOWN), 7),
    ("Retry-After of a 503", asking(7.0, 503), call(DOWN), 7.0),
    ("Retry-After just short enough", asking(60.0), call(SLOW_DOWN), 60.0),
    ("Retry-After too long", asking(60.1), call(SLOW_DOWN), "retry_after_too_long"),
    ("Retry-After of a 503 too long", asking(61.0, 503), call(DOWN), "retry_after_too_long"),
    ("Retry-After too long, but no attempts either", asking(61.0), call(*[SLOW_DOWN] * 6), "attempts"),
    ("just before the deadline", DOWN, call(DOWN, deadline=NOW + 0.126), 0.125),
    ("just at the deadline", DOWN, call(DOWN, deadline=NOW + 0.125), "deadline"),
    ("Retry-After past the deadline", asking(30.0), call(SLOW_DOWN, deadline=NOW + 29.0), "deadline"),
    ("a free retry at any time", STALE, call(STALE, deadline=NOW), 0.0),
    ("POST, 503", DOWN, call(DOWN, idempotent=False), "not_retryable"),
    ("POST, 500", ServerError("x", status=500), call(DOWN, idempotent=False), "not_retryable"),
    ("POST, lost", STALE, call(STALE, idempotent=False), "not_retryable"),
    ("POST, timed out", AttemptTimeoutError("x"), call(DOWN, idempotent=False), "not_retryable"),
    ("POST, cut", PayloadError("x"), call(DOWN, idempotent=False), "not_retryable"),
    ("POST, 429", SLOW_DOWN, call(SLOW_DOWN, idempotent=False), 0.5),
    ("POST, not sent", ConnectError("x", sent=False), call(DOWN, idempotent=False), 0.125),
    ("POST, no connection in time", AttemptTimeoutError("x", sent=False), call(DOWN, idempotent=False), 0.125),
]


@pytest.mark.parametrize(
    ("error", "record", "answer"), [row[1:] for row in DECISIONS], ids=[row[0] for row in DECISIONS]
)
def test_decisions(error: ChatloomError, record: Call, answer: object) -> None:
    """Again after so many seconds, or not and why."""
    assert POLICY.next_wait(error, record, NOW) == answer


@pytest.mark.parametrize(
    ("failed", "bound"), [(1, 0.25), (2, 0.5), (3, 1.0), (6, 8.0), (8, 20.0), (100, 20.0), (5000, 20.0)]
)
@pytest.mark.parametrize("chance", [0.0, 0.25, 0.999])
def test_full_jitter(failed: int, bound: float, chance: float) -> None:
    """Waits are drawn from 0 up to base x 2^n, at most `cap`, for any number of attempts."""
    policy = RetryPolicy(attempts=10_000, random=lambda: chance)
    assert policy.next_wait(DOWN, call(*[DOWN] * failed), NOW) == chance * bound


@pytest.mark.parametrize(
    ("policy", "limits"),
    [
        (RetryPolicy(), {"transient": 3, "throttle": 6, "once": 2, "permanent": 1}),
        (RetryPolicy(attempts=1), {"transient": 1, "throttle": 6, "once": 1, "permanent": 1}),
        (RetryPolicy(attempts=6, throttle_attempts=12), {"transient": 6, "throttle": 12, "once": 2, "permanent": 1}),
    ],
)
def test_limits(policy: RetryPolicy, limits: dict[Any, int]) -> None:
    """How many failures of a kind end a call."""
    assert {kind: policy.limit(kind) for kind in limits} == limits


def test_a_single_attempt_means_a_single_request() -> None:
    """`attempts=1` rules out the free retry too."""
    assert RetryPolicy(attempts=1).next_wait(STALE, call(STALE), NOW) == "attempts"


@pytest.mark.parametrize(
    ("error", "record", "free"),
    [
        (STALE, call(STALE), True),
        (STALE, call(STALE, STALE), False),
        (CUT, call(CUT), False),
        (DOWN, call(DOWN), False),
        (ConnectError("x"), call(DOWN), False),
    ],
)
def test_what_is_free(error: ChatloomError, record: Call, free: bool) -> None:
    """Only a connection lost before any byte, and only the first time."""
    assert is_free(error, record) is free


def test_defaults() -> None:
    """The documented ones; the source of chance takes no part in comparisons."""
    values = attrs.asdict(RetryPolicy(), filter=lambda field, _: field.name != "random")
    assert values == {
        "attempts": 3,
        "throttle_attempts": 6,
        "base": 0.25,
        "throttle_base": 1.0,
        "cap": 20.0,
        "max_retry_after": 60.0,
    }
    assert RetryPolicy() == RetryPolicy(random=lambda: 0.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"throttle_attempts": 0},
        {"base": -1.0},
        {"throttle_base": -1.0},
        {"cap": -1.0},
        {"max_retry_after": -1.0},
    ],
)
def test_what_cannot_be(wrong: dict[str, Any]) -> None:
    """Nonsense is refused at construction."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RetryPolicy(**wrong)


@given(
    retry_after=st.none() | st.floats(0.0, 200.0),
    failed=st.integers(1, 12),
    left=st.floats(-10.0, 200.0),
    chance=st.floats(0.0, 1.0, exclude_max=True),
    status=st.sampled_from([429, 503]),
)
def test_two_promises(retry_after: float | None, failed: int, left: float, chance: float, status: int) -> None:
    """A wait is never shorter than Retry-After, and never ends at the deadline or later."""
    policy = RetryPolicy(attempts=100, throttle_attempts=100, random=lambda: chance)
    error: ChatloomError = DOWN if status == 503 else SLOW_DOWN
    error = attrs.evolve(error, retry_after=retry_after)
    wait = policy.next_wait(error, call(*[error] * failed, deadline=NOW + left), NOW)
    if isinstance(wait, float):
        assert (retry_after or 0.0) <= wait <= 60.0
        assert NOW + wait < NOW + left
    else:
        assert wait in ("deadline", "retry_after_too_long")
