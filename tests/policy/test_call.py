"""The record of one call: how long it may still take, what happened, and which error it ends with."""

from math import inf
from typing import Any

import pytest
from attrs import frozen

from chatloom_async.policy.call import Call
from chatloom_async.wire.endpoint import Endpoint
from chatloom_async.wire.errors import Attempt, AttemptTimeoutError, ChatloomError, DeadlineExceededError
from chatloom_async.wire.status import RateLimitError, ServerError

DOWN = ServerError("Down", status=503)
SLOW_DOWN = RateLimitError("Slow down", status=429)
LATE = DeadlineExceededError("Late")


@frozen
class Order(Endpoint[Any]):
    method = "POST"
    path = "/orders"
    success = (201,)


def attempt(number: int, error: Exception | None = None) -> Attempt:
    """A finished attempt, with nothing in it but number and error."""
    return Attempt(operation="Order", number=number, started=0.0, waited=0.0, elapsed=0.1, error=error)


@pytest.mark.parametrize(
    ("deadline", "limit", "left"),
    [
        (160.0, None, 50.0),
        (160.0, 15.0, 15.0),
        (160.0, 55.0, 50.0),
        (inf, None, None),
        (inf, 15.0, 15.0),
        (105.0, 15.0, -5.0),
    ],
)
def test_time_left(deadline: float, limit: float | None, left: float | None) -> None:
    """The sooner of deadline and limit; None where neither ends it."""
    assert Call(Order(), 100.0, deadline).left(110.0, limit) == left


LATE_CALL = DeadlineExceededError("The call was not done within its deadline of 60 s")
NEVER_SENT = DeadlineExceededError(
    "The call was not sent within its deadline of 60 s: it waited for its key or for the rate limit"
)
LATE_ATTEMPT = AttemptTimeoutError("The attempt was not done within 15 s", reason="total")


@pytest.mark.parametrize(
    ("sent_at", "limit", "error"),
    [
        (None, 15.0, NEVER_SENT),  # still in the queue of the limiter
        (None, None, NEVER_SENT),
        (110.0, None, LATE_CALL),
        (110.0, 15.0, LATE_ATTEMPT),
        (144.9, 15.0, LATE_ATTEMPT),
        (145.0, 15.0, LATE_CALL),
        (150.0, 15.0, LATE_CALL),
    ],
)
def test_what_ran_out(sent_at: float | None, limit: float | None, error: ChatloomError) -> None:
    """The attempt's own limit, if it ends before the call's deadline; else the deadline."""
    call = Call(Order(), 100.0, 160.0, limit)
    call.begin_attempt(100.0)
    if sent_at is not None:
        call.begin_sending(sent_at)
    assert call.timed_out() == error


@pytest.mark.parametrize(
    ("errors", "last"),
    [
        ([], None),
        ([None], None),
        ([DOWN], DOWN),
        ([DOWN, SLOW_DOWN], SLOW_DOWN),
        ([DOWN, LATE], DOWN),
        ([LATE], None),
        ([DOWN, None, KeyError()], DOWN),
    ],
)
def test_the_last_failure(errors: list[Exception | None], last: ChatloomError | None) -> None:
    """The deadline is no failure from outside: what failed before it is more interesting."""
    call = Call(Order(), 100.0, 160.0)
    for number, error in enumerate(errors, 1):
        call.record(attempt(number, error))
    assert call.last_failure == last
    call.begin_sending(160.0)
    assert call.timed_out() == DeadlineExceededError("The call was not done within its deadline of 60 s", last=last)


def test_a_call_that_was_never_sent_says_so() -> None:
    """Once it has been sent, it was only not done."""
    call = Call(Order(), 100.0, 160.0, 15.0)
    assert call.timed_out() == NEVER_SENT
    call.record(attempt(1, DOWN))
    done = DeadlineExceededError("The call was not done within its deadline of 60 s", last=DOWN)
    assert call.timed_out() == done


def test_failures_are_counted_by_kind() -> None:
    """That is what the retry policy asks for."""
    call = Call(Order(), 100.0, 160.0)
    for number, error in enumerate([DOWN, SLOW_DOWN, None, DOWN], 1):
        call.record(attempt(number, error))
    assert (dict(call.failures), len(call.attempts)) == ({"transient": 2, "throttle": 1}, 4)


def test_the_final_error_knows_the_whole_call() -> None:
    """It is a copy of the last one, with every attempt and why there was no other."""
    call = Call(Order(), 100.0, 160.0)
    call.record(attempt(1, DOWN))
    call.stop_reason = "attempts"
    expected = ServerError("Down", status=503, attempts=(attempt(1, DOWN),), stop_reason="attempts")
    assert (call.finish(DOWN), DOWN.attempts) == (expected, ())
