"""Retries carried out: by our policy within the budgets, by a caller's own tenacity object, or not at all."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any, NoReturn

import pytest
import tenacity
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from tenacity import AsyncRetrying

from chatloom_async.endpoints.agents import ListAgents
from chatloom_async.policy import retrier as module
from chatloom_async.policy.call import Call, Outcome
from chatloom_async.policy.lifetime import Lifetime
from chatloom_async.policy.retrier import PolicyRetrier, Retrier, SingleAttempt, TenacityRetrier
from chatloom_async.policy.retry import CAPACITY, Budgets, RetryBudget, RetryPolicy
from chatloom_async.testing import VirtualClock
from chatloom_async.wire.endpoint import Endpoint
from chatloom_async.wire.errors import (
    Attempt,
    ChatloomError,
    ClientClosedError,
    ConnectError,
    ConnectionLostError,
    DeadlineExceededError,
    ProtocolError,
)
from chatloom_async.wire.message import Response
from chatloom_async.wire.status import NotFoundError, RateLimitError, ServerError

OK = Response(200, body=b"{}")
DOWN = ServerError("Down", status=503)
SLOW_DOWN = RateLimitError("Slow down", status=429)
GONE = NotFoundError("Gone", status=404)
STALE = ConnectionLostError("Lost")
LOCAL = ConnectError("No socket", reason="local", sent=False)
LATE = DeadlineExceededError("Late")
ORIGIN, KEY = "https://chatloom.app", "0123456789abcdef"


@frozen
class Order(Endpoint[object]):
    """A request that must not be repeated if the server may have acted on it."""

    method = "POST"
    path = "/orders"


class Script:
    """Attempts that go as it is written, and are recorded in the call as the client records them."""

    def __init__(self, *outcomes: Outcome | BaseException, idempotent: bool = True, deadline: float = inf) -> None:
        self.outcomes = list(outcomes)
        self.call = Call(ListAgents() if idempotent else Order(), 0.0, deadline, key=KEY)

    async def attempt(self) -> Outcome:
        outcome = self.outcomes.pop(0)
        error = outcome if isinstance(outcome, ChatloomError) else None
        number = len(self.call.attempts) + 1
        if not isinstance(outcome, BaseException) or error:
            self.call.record(
                Attempt(operation="ListAgents", number=number, started=0.0, waited=0.0, elapsed=0.1, error=error)
            )
        if isinstance(outcome, BaseException) and not error:
            raise outcome
        return outcome  # type: ignore[return-value]


async def run(retrier: Retrier, script: Script, attempt: Callable[[], Awaitable[Outcome]] | None = None) -> Outcome:
    """A whole call, with the retrier in the part that the client gives it."""
    outcome = await (attempt or script.attempt)()
    if isinstance(outcome, ChatloomError):
        return await retrier.retry(outcome, attempt or script.attempt, script.call)
    retrier.succeeded(script.call)
    return outcome


class Desk:
    """A PolicyRetrier with its clock and budgets."""

    def __init__(self, policy: RetryPolicy | None = None, capacity: float = CAPACITY) -> None:
        self.clock = VirtualClock()
        self.lifetime = Lifetime()
        self.budgets = Budgets(ORIGIN, RetryBudget(capacity), RetryBudget(capacity))
        self.retrier = PolicyRetrier(policy or RetryPolicy(random=lambda: 0.5), self.clock, self.budgets, self.lifetime)

    async def run(self, script: Script) -> Outcome:
        return await run(self.retrier, script)

    @property
    def left(self) -> tuple[float, float]:
        return self.budgets.transient.left(ORIGIN), self.budgets.throttle.left(KEY)


RUNS: list[tuple[list[Outcome], Outcome, str | None, list[float]]] = [
    ([OK], OK, None, []),
    ([GONE], GONE, "not_retryable", []),
    ([LATE], LATE, "deadline", []),
    ([DOWN, OK], OK, None, [0.125]),
    ([DOWN, DOWN, OK], OK, None, [0.125, 0.25]),
    ([DOWN, DOWN, DOWN], DOWN, "attempts", [0.125, 0.25]),
    ([DOWN, GONE], GONE, "not_retryable", [0.125]),
    ([SLOW_DOWN] * 6, SLOW_DOWN, "attempts", [0.5, 1.0, 2.0, 4.0, 8.0]),
    ([STALE, OK], OK, None, [0.0]),
    ([STALE, STALE, OK], OK, None, [0.0, 0.25]),
    ([STALE, STALE, STALE], STALE, "attempts", [0.0, 0.25]),
    ([ProtocolError("x"), ProtocolError("x")], ProtocolError("x"), "attempts", [0.125]),
    ([DOWN, SLOW_DOWN, DOWN, OK], OK, None, [0.125, 0.5, 0.25]),
    ([DOWN, LATE], LATE, "deadline", [0.125]),
]


@pytest.mark.parametrize(("outcomes", "last", "reason", "slept"), RUNS)
async def test_runs(outcomes: list[Outcome], last: Outcome, reason: str | None, slept: list[float]) -> None:
    """Whole calls: the last outcome, why it was the last, and the waits in between; every attempt is made."""
    desk, script = Desk(), Script(*outcomes)
    assert await desk.run(script) is outcomes[-1]
    assert (outcomes[-1], script.call.stop_reason, desk.clock.slept, script.outcomes) == (last, reason, slept, [])
    assert len(script.call.attempts) == len(outcomes)


async def test_a_wait_past_the_deadline_is_not_begun() -> None:
    """The call ends at once, with the last failure and its reason."""
    desk, script = Desk(), Script(DOWN, DOWN, deadline=0.3)
    assert await desk.run(script) is DOWN
    assert (script.call.stop_reason, desk.clock.slept, desk.clock.time()) == ("deadline", [0.125], 0.125)


async def test_the_first_success_never_enters_tenacity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that succeed do not pay for the retry machinery: no tenacity object is made for them."""

    class Entered(Exception):
        pass

    def refuse(*_: object, **__: object) -> None:
        raise Entered

    monkeypatch.setattr(tenacity, "AsyncRetrying", refuse)
    monkeypatch.setattr(module.Retrying, "__init__", refuse)
    assert await Desk().run(Script(OK)) is OK
    with pytest.raises(Entered):
        await Desk().run(Script(DOWN, OK))


async def test_neither_does_a_first_success_with_the_callers_tenacity() -> None:
    """The template is copied after a first failure only."""

    class Counting(AsyncRetrying):
        copies = 0

        def copy(self, *args: Any, **changes: Any) -> Any:
            Counting.copies += 1
            return super().copy(*args, **changes)

    template = Counting(stop=tenacity.stop_after_attempt(3), sleep=VirtualClock().sleep)
    retrier = TenacityRetrier(template, VirtualClock(), Lifetime())
    assert await run(retrier, Script(OK)) is OK
    assert Counting.copies == 0
    script = Script(DOWN, OK)
    assert await run(retrier, script) is OK
    assert Counting.copies > 0


BUDGETS: list[tuple[list[Outcome], tuple[float, float]]] = [
    ([OK], (500.0, 500.0)),
    ([DOWN, DOWN, DOWN], (472.0, 500.0)),
    ([DOWN, DOWN, OK], (486.0, 500.0)),  # the last cost comes back
    ([SLOW_DOWN, SLOW_DOWN, SLOW_DOWN, OK], (500.0, 495.0 - 5.0)),
    ([DOWN, SLOW_DOWN, GONE], (486.0, 495.0)),
    ([DOWN, SLOW_DOWN, OK], (486.0, 500.0)),
    ([STALE, OK], (500.0, 500.0)),
    ([STALE, STALE, GONE], (486.0, 500.0)),
    ([GONE], (500.0, 500.0)),
    ([LOCAL, LOCAL, LOCAL], (500.0, 500.0)),  # the server is not to blame
]


@pytest.mark.parametrize(("outcomes", "left"), BUDGETS)
async def test_what_a_call_costs(outcomes: list[Outcome], left: tuple[float, float]) -> None:
    """14 per transient retry, from the origin's budget; 5 per throttled, from the key's; success refunds the last."""
    desk = Desk()
    await desk.run(Script(*outcomes))
    assert desk.left == left


@pytest.mark.parametrize("outcomes", [[OK], [STALE, OK]])
async def test_a_success_earns_one_token(outcomes: list[Outcome]) -> None:
    """In both budgets, also after a retry that was free."""
    desk = Desk()
    desk.budgets.transient.spend(ORIGIN, 14.0)
    desk.budgets.throttle.spend(KEY, 5.0)
    await desk.run(Script(*outcomes))
    assert desk.left == (487.0, 496.0)


async def test_an_empty_budget_ends_calls_at_their_first_failure() -> None:
    """35 retries into an outage, no call retries any more; another key's throttling budget is untouched."""
    desk = Desk(RetryPolicy(attempts=2, random=lambda: 0.0))
    reasons = []
    for _ in range(37):
        script = Script(DOWN, DOWN)
        await desk.run(script)
        reasons.append((script.call.stop_reason, len(script.call.attempts)))
    assert reasons == [("attempts", 2)] * 35 + [("budget", 1)] * 2
    assert desk.left == (10.0, 500.0)
    script = Script(SLOW_DOWN, OK)
    assert await desk.run(script) is OK


async def test_a_free_retry_needs_no_budget() -> None:
    """A stale connection, or a lack of descriptors, is cured even in an outage."""
    desk = Desk(capacity=0.0)
    assert await desk.run(Script(STALE, OK)) is OK
    assert await desk.run(Script(LOCAL, LOCAL, OK)) is OK


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from([OK, DOWN, SLOW_DOWN, STALE, GONE]), min_size=18, max_size=18), max_size=30))
def test_budgets_stay_within_bounds(calls: list[list[Outcome]]) -> None:
    """Whatever calls go through, both budgets stay between empty and full."""
    desk = Desk(RetryPolicy(attempts=6, throttle_attempts=12, random=lambda: 0.0), capacity=50.0)

    async def everything() -> None:
        for outcomes in calls:
            await desk.run(Script(*outcomes))
            assert all(0.0 <= left <= 50.0 for left in desk.left)

    asyncio.run(everything())


async def test_concurrent_calls_do_not_mix() -> None:
    """Fifty calls that retry at the same time each get their own answer."""
    desk = Desk()

    async def one(number: int) -> bool:
        mine = Response(200, body=b"%d" % number)
        script = Script(*[DOWN] * (number % 3), mine)
        return await desk.run(script) is mine

    assert await asyncio.gather(*(one(number) for number in range(50))) == [True] * 50


@pytest.mark.parametrize("failures", [[], [DOWN], [DOWN, SLOW_DOWN]])
@pytest.mark.parametrize("raised", [asyncio.CancelledError("mine"), KeyError("bug"), MemoryError("full")])
@pytest.mark.parametrize("kind", ["policy", "tenacity", "single"])
async def test_what_is_not_ours_passes_through(kind: str, failures: list[Outcome], raised: BaseException) -> None:
    """CancelledError and bugs come out as the very object that was raised, in whatever attempt, and are not retried."""
    clock = VirtualClock()
    template = AsyncRetrying(retry=tenacity.retry_if_exception_type(ChatloomError), sleep=clock.sleep)
    retriers: dict[str, Any] = {
        "policy": Desk().retrier,
        "tenacity": TenacityRetrier(template, clock, Lifetime()),
        "single": SingleAttempt(),
    }
    script = Script(*([] if kind == "single" else failures), raised, OK)
    with pytest.raises(type(raised)) as caught:
        await run(retriers[kind], script)
    assert caught.value is raised
    assert script.outcomes == [OK]


async def test_closing_ends_a_wait() -> None:
    """A call that waits for its next attempt ends with ClientClosedError, as data, when the client closes."""
    desk, script = Desk(), Script(DOWN, OK)
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def wait_for_ever(seconds: float) -> None:
        await never

    desk.clock.sleep = wait_for_ever  # type: ignore[method-assign]
    task = asyncio.create_task(desk.run(script))
    for _ in range(10):
        await asyncio.sleep(0)
    await desk.lifetime.end(drain=0)
    assert await task == ClientClosedError("The client was closed while this call was under way")
    assert script.outcomes == [OK]


async def test_cancelling_ends_a_wait() -> None:
    """A call that is cancelled between two attempts makes no other."""
    desk, script = Desk(), Script(DOWN, OK)
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def wait_for_ever(seconds: float) -> None:
        await never

    desk.clock.sleep = wait_for_ever  # type: ignore[method-assign]
    task = asyncio.create_task(desk.run(script))
    for _ in range(10):
        await asyncio.sleep(0)
    task.cancel("enough")
    with pytest.raises(asyncio.CancelledError, match=r"^enough"):
        await task
    assert script.outcomes == [OK]


async def test_a_single_attempt() -> None:
    """`retry=None`: the outcome of the only attempt, with why there is no other."""
    rows = [(OK, None), (DOWN, "disabled"), (GONE, "not_retryable"), (LATE, "deadline")]
    for outcome, reason in rows:
        script = Script(outcome)
        assert await run(SingleAttempt(), script) is outcome
        assert script.call.stop_reason == reason


# A tenacity object of the caller's own


def with_template(clock: VirtualClock, **options: Any) -> TenacityRetrier:
    """A retrier by a caller's own rules: three attempts, two seconds apart, unless told otherwise."""
    options = {"stop": tenacity.stop_after_attempt(3), "sleep": clock.sleep, "wait": tenacity.wait_fixed(2)} | options
    return TenacityRetrier(AsyncRetrying(**options), clock, Lifetime())


async def never_again(_: object) -> bool:
    """A rule that is a coroutine function."""
    return False


class Finished(tenacity.RetryError):
    """What a caller has tenacity raise in the place of its own error, in a way of its own."""

    def reraise(self) -> NoReturn:
        raise KeyError("not ours")


TEMPLATES: list[tuple[dict[str, Any], list[Outcome], Outcome, str | None, list[float]]] = [
    ({}, [DOWN, OK], OK, None, [2]),
    ({}, [DOWN, DOWN, DOWN], DOWN, "attempts", [2, 2]),
    ({}, [GONE, GONE, GONE], GONE, "not_retryable", [2, 2]),  # retried all the same: the caller's rules hold
    ({"reraise": False}, [DOWN, DOWN, DOWN], DOWN, "attempts", [2, 2]),
    ({"retry_error_cls": Finished, "reraise": False}, [DOWN, DOWN, DOWN], DOWN, "attempts", [2, 2]),
    ({"retry_error_cls": Finished, "retry": tenacity.retry_always}, [DOWN, OK, OK], OK, None, [2, 2]),
    ({"stop": tenacity.stop_after_attempt(1)}, [DOWN], DOWN, "attempts", []),
    ({"retry": tenacity.retry_if_exception_type(RateLimitError)}, [SLOW_DOWN, DOWN], DOWN, "attempts", [2]),
    ({"retry": tenacity.retry_if_exception_type(KeyError)}, [DOWN], DOWN, "attempts", []),
    ({"retry": never_again}, [DOWN], DOWN, "attempts", []),
    ({"retry_error_callback": lambda state: None}, [DOWN, DOWN, DOWN], DOWN, "attempts", [2, 2]),
    ({"retry_error_callback": lambda state: "nonsense"}, [DOWN, DOWN, GONE], GONE, "not_retryable", [2, 2]),
    ({"retry_error_callback": lambda state: OK}, [DOWN, DOWN, DOWN], OK, None, [2, 2]),
    ({"retry_error_callback": lambda state: GONE}, [DOWN, DOWN, DOWN], GONE, "not_retryable", [2, 2]),
    ({"retry": tenacity.retry_always}, [DOWN, OK, OK], OK, None, [2, 2]),  # "result-less": ends without an exception
    ({}, [DOWN, LATE, LATE], LATE, "deadline", [2, 2]),
]


@pytest.mark.parametrize(("options", "outcomes", "last", "reason", "slept"), TEMPLATES)
async def test_the_callers_rules(
    options: dict[str, Any], outcomes: list[Outcome], last: Outcome, reason: str | None, slept: list[float]
) -> None:
    """They decide; what comes out is a response or one of our errors, never tenacity's."""
    clock, script = VirtualClock(), Script(*outcomes)
    assert await run(with_template(clock, **options), script) == last
    assert (script.call.stop_reason, clock.slept, script.outcomes) == (reason, slept, [])


async def test_the_template_is_copied_for_each_call() -> None:
    """Fifty calls at once do not mix up their results, and the caller's own object stays as it was."""
    clock = VirtualClock()
    retrier = with_template(clock)

    async def one(number: int) -> bool:
        mine = Response(200, body=b"%d" % number)
        return await run(retrier, Script(*[DOWN] * (1 + number % 2), mine)) is mine

    assert await asyncio.gather(*(one(number) for number in range(50))) == [True] * 50
    assert retrier.template.statistics == {}


async def test_the_deadline_bounds_the_callers_rules() -> None:
    """A wait of the caller's that would never end is cut off at the call's deadline."""
    clock = VirtualClock()
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def sleep_for_ever(seconds: float) -> None:
        await never

    script = Script(DOWN, OK, deadline=clock.time())  # the time limit itself is the event loop's: it is due at once
    expected = DeadlineExceededError("The call was not done within its deadline of 0 s", last=DOWN)
    assert await run(with_template(clock, sleep=sleep_for_ever), script) == expected
    assert script.call.stop_reason == "deadline"


async def test_a_timeout_of_the_callers_own_passes() -> None:
    """A TimeoutError that is not the deadline's comes out as it is."""
    mine = TimeoutError("mine")

    def fail(_: object) -> None:
        raise mine

    with pytest.raises(TimeoutError) as caught:
        await run(with_template(VirtualClock(), before_sleep=fail), Script(DOWN, OK))
    assert caught.value is mine


async def test_closing_ends_the_callers_wait() -> None:
    """ClientClosedError, as data."""
    clock = VirtualClock()
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def sleep_for_ever(seconds: float) -> None:
        await never

    retrier = with_template(clock, sleep=sleep_for_ever)
    script = Script(DOWN, OK)
    task = asyncio.create_task(run(retrier, script))
    for _ in range(10):
        await asyncio.sleep(0)
    await retrier.lifetime.end(drain=0)
    assert await task == ClientClosedError("The client was closed while this call was under way")
    assert script.call.stop_reason == "not_retryable"


async def test_failures_hold_no_frames() -> None:
    """The errors in a call's history do not keep the frames that they went through, nor what those held."""

    class Held:
        pass

    seen: list[weakref.ref[Held]] = []

    def attempting(script: Script) -> Callable[[], Awaitable[Outcome]]:
        async def attempt() -> Outcome:
            held = Held()
            seen.append(weakref.ref(held))
            return await script.attempt()

        return attempt

    script = Script(*[ServerError("Down", status=503) for _ in range(3)])
    outcome = await run(with_template(VirtualClock()), script, attempting(script))
    assert isinstance(outcome, ServerError)
    assert [attempt.error.__traceback__ for attempt in script.call.attempts if attempt.error] == [None] * 3
    gc.collect()
    assert [each() for each in seen] == [None] * 3
