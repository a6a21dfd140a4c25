"""Many keys: each has its own limiter, and those that rest are forgotten."""

import asyncio
import gc

import pytest

from chatloom_async.policy.clock import SystemClock
from chatloom_async.policy.limiter import (
    TIDY_UP_AT,
    KeyedLimiter,
    Limiter,
    LimitState,
    PermitOutcome,
    RateLimit,
    Unlimited,
    fingerprint_of,
    outcome_of,
)
from chatloom_async.testing import VirtualClock
from chatloom_async.wire.auth import ApiKey
from chatloom_async.wire.errors import ChatloomError, ClientClosedError, ConnectError
from chatloom_async.wire.message import Response
from chatloom_async.wire.status import NotFoundError, RateLimitError, ServerError

FRESH = LimitState(rate=4.0, queued=0, in_flight=0, paused_until=None)


async def waits(limiter: KeyedLimiter, clock: VirtualClock, key: str) -> float:
    """The seconds that one more call of this key waits."""
    began = clock.time()
    await limiter.acquire(key)
    return round(clock.time() - began, 6)


async def test_a_pause_gates_its_key_only() -> None:
    """One workspace's 429 does not slow down another."""
    clock = VirtualClock()
    limiter = KeyedLimiter(RateLimit(), clock)
    for key in ("a", "b"):
        await limiter.acquire(key)
    limiter.release("a", "throttled", 30.0)
    limiter.release("b", "succeeded")
    assert (await waits(limiter, clock, "b"), await waits(limiter, clock, "a")) == (0.0, 30.0)


async def test_a_burst_is_each_keys_own() -> None:
    """A hundred keys may send a hundred requests at once."""
    clock = VirtualClock()
    limiter = KeyedLimiter(RateLimit(burst=1), clock)
    assert [await waits(limiter, clock, f"key {n}") for n in range(100)] == [0.0] * 100


@pytest.mark.parametrize(
    ("outcome", "tokens", "rate"),
    [("succeeded", 0, 4.0), ("failed", 0, 4.0), ("unused", 1, 4.0), ("throttled", 0, 2.8)],
)
async def test_outcomes(outcome: PermitOutcome, tokens: int, rate: float) -> None:
    """Only an unused permit brings its token back; only a 429 slows down; all end the flight."""
    clock = VirtualClock()
    limiter = KeyedLimiter(RateLimit(burst=1), clock)
    await limiter.acquire("a")
    limiter.release("a", outcome, 0.0)
    state = limiter.states()["a"]
    assert (state.rate, state.in_flight) == (pytest.approx(rate), 0)
    assert (await waits(limiter, clock, "a") == 0.0) is bool(tokens)


async def test_states_are_a_snapshot() -> None:
    """They do not change with the limiter."""
    limiter = KeyedLimiter(RateLimit(), VirtualClock())
    before = limiter.states()
    await limiter.acquire("a")
    limiter.release("a", "succeeded")
    assert (before, limiter.states()) == ({}, {"a": FRESH})


async def test_resting_keys_are_forgotten() -> None:
    """A fan-out over 100,000 keys does not keep them all: who has recovered is dropped now and then."""
    clock = VirtualClock()
    limiter = KeyedLimiter(RateLimit(), clock)
    most = 0
    for number in range(20_000):
        await limiter.acquire(f"key {number}")
        limiter.release(f"key {number}", "succeeded")
        clock.advance(0.01)
        if number % 500 == 0:
            most = max(most, len(limiter.states()))
    assert 500 < most <= TIDY_UP_AT


async def test_tidying_up_pays_for_itself() -> None:
    """It waits for 1024 keys, and where it was in vain, for twice as many as there were."""
    clock = VirtualClock()
    limiter = KeyedLimiter(RateLimit(), clock)
    kept: list[int] = []
    for number in range(TIDY_UP_AT + 1):
        await limiter.acquire(f"busy {number}")
    kept.append(len(limiter.states()))
    for number in range(TIDY_UP_AT + 1):
        limiter.release(f"busy {number}", "succeeded")
    for number in range(TIDY_UP_AT - 1):
        await limiter.acquire(f"idle {number}")
        limiter.release(f"idle {number}", "succeeded")
    kept.append(len(limiter.states()))
    clock.advance(10.0)
    await limiter.acquire("the last")
    kept.append(len(limiter.states()))
    assert kept == [TIDY_UP_AT + 1, 2 * TIDY_UP_AT, 1]


async def test_a_success_brings_the_rate_back() -> None:
    """A little, after each call that a 429 had slowed down."""
    limiter = KeyedLimiter(RateLimit(), VirtualClock())
    outcomes: tuple[PermitOutcome, ...] = ("throttled", "failed", "succeeded")
    for outcome in outcomes:
        await limiter.acquire("a")
        limiter.release("a", outcome, 0.0)
    assert limiter.states()["a"].rate == pytest.approx(2.82)


async def test_who_has_not_recovered_is_kept() -> None:
    """In flight, queued, paused, slowed down or short of tokens: that is not dropped, however much there is of it."""
    clock = VirtualClock()
    limiter = KeyedLimiter(RateLimit(concurrency=1), clock)
    for key in ("in flight", "queued", "paused", "slowed", "resting"):
        await limiter.acquire(key)
    waiting = asyncio.create_task(limiter.acquire("queued"))
    await asyncio.sleep(0)
    limiter.release("slowed", "throttled", 0.0)
    limiter.release("paused", "throttled", 900.0)
    limiter.release("resting", "succeeded")
    clock.advance(10.0)
    for number in range(3 * TIDY_UP_AT):
        await limiter.acquire(f"short of tokens {number}")
    states = limiter.states()
    assert len(states) == 3 * TIDY_UP_AT + 4
    assert {key for key in states if not key.startswith("short")} == {"in flight", "queued", "paused", "slowed"}
    waiting.cancel()


async def test_unlimited() -> None:
    """`rate_limit=None` lets everything through and counts nothing."""
    limiter: Limiter = Unlimited()
    for _ in range(10_000):
        await limiter.acquire("a")
    assert limiter.release("a", "throttled", 900.0) is None  # type: ignore[func-returns-value]
    assert isinstance(limiter, Limiter)
    assert isinstance(KeyedLimiter(RateLimit(), VirtualClock()), Limiter)
    assert not isinstance(RateLimit(), Limiter)


@pytest.mark.parametrize(
    ("answer", "error", "outcome"),
    [
        (Response(200), None, ("succeeded", None)),
        (Response(499), None, ("succeeded", None)),
        (Response(500), None, ("failed", None)),
        (Response(404), NotFoundError("x", status=404), ("succeeded", None)),
        (Response(429), RateLimitError("x", status=429, retry_after=7.0), ("throttled", 7.0)),
        (Response(429), RateLimitError("x", status=429), ("throttled", None)),
        (Response(503), ServerError("x", status=503, retry_after=7.0), ("failed", None)),
        (ConnectError("x"), ConnectError("x"), ("failed", None)),
        (None, ClientClosedError("x"), ("failed", None)),
        (None, None, ("failed", None)),
    ],
)
def test_outcome_of(answer: object, error: ChatloomError | None, outcome: tuple[PermitOutcome, float | None]) -> None:
    """Any answer below 500 shows that the rate is fine; a 429 that it is not; the rest says nothing."""
    assert outcome_of(answer, error) == outcome


class Shared(Unlimited):
    """A limiter whose state other processes see."""

    def fingerprint(self, key: ApiKey) -> str:
        return f"shared {len(key.reveal())}"


def test_naming() -> None:
    """A shared limiter names keys itself; any other, and what there is none for, gets the salted fingerprint."""
    key = ApiKey("clf_test")
    assert fingerprint_of(Shared())(key) == "shared 8"
    others = (Unlimited(), KeyedLimiter(RateLimit(), VirtualClock()), RateLimit(), None)
    assert [fingerprint_of(each)(key) for each in others] == [key.fingerprint] * 4


def test_calls_of_a_loop_that_is_over_keep_no_turn() -> None:
    """A loop that was closed under its calls must not lock the key for those that come after it."""
    limiter = KeyedLimiter(RateLimit(per_second=100.0, burst=4, concurrency=2), SystemClock())

    async def call() -> None:
        await limiter.acquire("a")
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            limiter.release("a", "failed")

    async def begin() -> None:
        for _ in range(5):
            asyncio.ensure_future(call())  # noqa: RUF006 - it is abandoned
        await asyncio.sleep(0)

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # it would tell of tasks that were never finished
    loop.run_until_complete(begin())
    loop.close()
    gc.collect()
    asyncio.run(asyncio.wait_for(limiter.acquire("a"), 5.0))
    assert (limiter.states()["a"].in_flight, limiter.states()["a"].queued) == (1, 0)
