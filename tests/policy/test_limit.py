"""One key's limiter: burst, rate, concurrency, order, pauses and cancellation, on a virtual clock."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatloom_async.policy.limiter import KeyLimiter, LimitState, RateLimit
from chatloom_async.testing import VirtualClock
from chatloom_async.testing.clock import Timer


def limiter_on(clock: VirtualClock, per_second: float = 4.0, burst: int = 8, concurrency: int = 1000) -> KeyLimiter:
    """A limiter on this clock, with no bound to concurrency unless asked for."""
    return KeyLimiter(RateLimit(per_second=per_second, burst=burst, concurrency=concurrency), clock)


async def leave_at(limiter: KeyLimiter, clock: VirtualClock, calls: int) -> list[float]:
    """The moments at which so many calls, all waiting from now, may leave."""
    began = clock.time()
    moments: list[float] = []

    async def call() -> None:
        await limiter.acquire()
        moments.append(round(clock.time() - began, 6))
        limiter.failed()  # which changes no rate

    await asyncio.gather(*(call() for _ in range(calls)))
    return moments


async def settle() -> None:
    """Lets every task run until it waits; no virtual time passes."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_defaults_are_the_documented_ones() -> None:
    """4 requests per second and key, 8 at once, 8 in flight: "a few hundred requests per minute"."""
    assert RateLimit() == RateLimit(per_second=4.0, burst=8, concurrency=8)


@pytest.mark.parametrize("wrong", [{"per_second": 0}, {"per_second": -1.0}, {"burst": 0}, {"concurrency": 0}])
def test_limits_that_would_let_nobody_through(wrong: dict[str, float]) -> None:
    """They are refused at construction."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RateLimit(**wrong)  # type: ignore[arg-type]


async def test_burst_then_rate() -> None:
    """As many as `burst` leave at once, the others evenly by `per_second`."""
    clock = VirtualClock()
    assert await leave_at(limiter_on(clock, 4.0, 3), clock, 7) == [0.0, 0.0, 0.0, 0.25, 0.5, 0.75, 1.0]


async def test_tokens_come_back_up_to_the_burst() -> None:
    """After a long rest, `burst` may leave again, not more."""
    clock = VirtualClock()
    limiter = limiter_on(clock, 4.0, 3)
    await leave_at(limiter, clock, 3)
    clock.advance(3600.0)
    assert await leave_at(limiter, clock, 5) == [0.0, 0.0, 0.0, 0.25, 0.5]


async def test_a_first_minute_holds_burst_and_rate() -> None:
    """In any minute, 8 + 240 at most: fewer than the "few hundred" of the documentation."""
    clock = VirtualClock()
    moments = await leave_at(limiter_on(clock), clock, 300)
    assert sum(moment < 60.0 for moment in moments) == 8 + 240 - 1


async def test_a_429_between_a_calls_turn_and_its_start_is_heeded() -> None:
    """In one round of the event loop, answers let two in, and a 429 closes the gate: they have not left yet, so they
    wait, and before those behind them."""
    clock = VirtualClock()
    limiter, left = limiter_on(clock, concurrency=3), list[tuple[str, float]]()
    for _ in range(3):
        await limiter.acquire()

    async def call(name: str) -> None:
        await limiter.acquire()
        left.append((name, round(clock.time(), 6)))
        limiter.failed()

    tasks = [asyncio.create_task(call(name)) for name in ("first", "second", "third")]
    await settle()
    limiter.succeeded()
    limiter.failed()
    limiter.throttled(30.0)
    await asyncio.gather(*tasks)
    assert [moment for _, moment in left] == [30.0, 30.357143, 30.714286]  # 2.8 a second now
    assert {name for name, _ in left[:2]} == {"first", "second"}


async def test_what_is_given_back_during_a_pause_leaves_one_token_for_its_end() -> None:
    """As if it had been given back before: a pause does not end in a burst."""
    clock = VirtualClock()
    limiter = limiter_on(clock, 4.0, 8)
    for _ in range(4):
        await limiter.acquire()
    limiter.throttled(30.0)
    for _ in range(3):
        limiter.give_back()
    assert (await leave_at(limiter, clock, 2))[0] == 30.0
    assert clock.time() > 30.1


async def test_first_come_first_served() -> None:
    """The queue is in order, also for those who come when a token is there but others wait."""
    clock = VirtualClock()
    limiter = limiter_on(clock, 1.0, 1)
    order: list[int] = []

    async def call(number: int) -> None:
        await limiter.acquire()
        order.append(number)

    tasks = []
    for number in range(6):
        tasks.append(asyncio.create_task(call(number)))
        await settle()
        clock.advance(0.3)
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4, 5]


ENDINGS: list[Callable[[KeyLimiter], None]] = [
    KeyLimiter.succeeded,
    KeyLimiter.failed,
    KeyLimiter.give_back,
    lambda limiter: limiter.throttled(0.0),
]


@pytest.mark.parametrize("end", ENDINGS)
async def test_concurrency(end: Callable[[KeyLimiter], None]) -> None:
    """Never more than `concurrency` are in flight; whatever ends one lets in the next."""
    limiter = limiter_on(VirtualClock(), 100.0, 100, concurrency=2)
    tasks = [asyncio.create_task(limiter.acquire()) for _ in range(4)]
    await settle()
    assert (limiter.state().in_flight, limiter.state().queued) == (2, 2)
    end(limiter)
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    await tasks[2]
    assert (limiter.state().in_flight, limiter.state().queued, tasks[3].done()) == (2, 1, False)
    end(limiter)
    await tasks[3]
    assert limiter.state().in_flight == 2


async def test_no_timer_runs_while_only_an_ending_can_help() -> None:
    """Where all permits are out, waiting costs no timers."""
    clock = VirtualClock()
    limiter = limiter_on(clock, 100.0, 100, concurrency=1)
    await limiter.acquire()
    task = asyncio.create_task(limiter.acquire())
    await clock.sleep(60.0)
    assert clock.slept == [60.0]
    limiter.succeeded()
    await task


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [(None, 1.0), (0.0, 0.0), (0.5, 0.5), (7.0, 7.0), (3600.0, 3600.0), (1e9, 86_400.0)],
)
async def test_a_429_closes_the_gate(retry_after: float | None, pause: float) -> None:
    """Nobody leaves before Retry-After, or a second where the API names none; then one leaves, the rest by the rate."""
    clock = VirtualClock()
    limiter = limiter_on(clock, 4.0, 8)
    await limiter.acquire()
    limiter.throttled(retry_after)
    slower = 1 / (4.0 * 0.7)
    expected = [round(pause + n * slower, 6) for n in range(3)]
    assert await leave_at(limiter, clock, 3) == pytest.approx(expected, abs=1e-5)


async def test_a_gate_never_opens_early() -> None:
    """A shorter Retry-After that comes later does not undo a longer one."""
    clock = VirtualClock()
    limiter = limiter_on(clock)
    await limiter.acquire()
    await limiter.acquire()
    limiter.throttled(30.0)
    limiter.throttled(1.0)
    assert await leave_at(limiter, clock, 1) == [30.0]


async def test_a_gate_holds_those_who_wait_already() -> None:
    """The timer of the queue moves back when a 429 arrives."""
    clock = VirtualClock()
    limiter = limiter_on(clock, 1.0, 2)
    await limiter.acquire()
    await limiter.acquire()
    waiting = asyncio.create_task(leave_at(limiter, clock, 1))
    await settle()
    limiter.throttled(20.0)
    assert await waiting == pytest.approx([20.0 + 1 / 0.7])


async def test_pauses_double_up_to_twenty_seconds() -> None:
    """429 after 429 without Retry-After: 1, 2, 4, 8, 16, 20, 20 s; a success starts anew."""
    clock = VirtualClock()
    limiter = limiter_on(clock, per_second=1000.0)  # so that nobody waits long for a token
    pauses = []
    for ending in [limiter.throttled] * 7 + [None, limiter.throttled]:
        pauses += await leave_one(limiter, clock)
        limiter.succeeded() if ending is None else ending(None)
    pauses += await leave_one(limiter, clock)
    assert pauses == pytest.approx([0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0, 0.0, 1.0], abs=0.05)


async def leave_one(limiter: KeyLimiter, clock: VirtualClock) -> list[float]:
    """The seconds that one more call waits, which then stays in flight."""
    began = clock.time()
    await limiter.acquire()
    return [round(clock.time() - began, 6)]


async def test_many_429s_at_once_are_one_event() -> None:
    """Eight in flight that all come back with 429 cut the rate once, and pause for one second, not for twenty."""
    clock = VirtualClock()
    limiter = limiter_on(clock, concurrency=8)
    for _ in range(8):
        await limiter.acquire()
    for _ in range(8):
        limiter.throttled(None)
    assert limiter.state().rate == pytest.approx(2.8)
    assert await leave_one(limiter, clock) == pytest.approx([1.0 + 1 / 2.8], abs=1e-5)


async def test_a_pause_is_a_second_at_least() -> None:
    """Also where a success came between two 429 that are one event, so that the row begins anew and counts none."""
    clock = VirtualClock()
    limiter = limiter_on(clock, per_second=1000.0)
    for _ in range(3):
        await limiter.acquire()
    limiter.throttled(0.0)
    limiter.succeeded()
    limiter.throttled(None)
    assert await leave_one(limiter, clock) == pytest.approx([1.0], abs=0.01)


async def test_the_rate_falls_and_climbs() -> None:
    """x 0.7 for each second with a 429, not below 0.2/s; + 0.02/s for each success, not above `per_second`."""
    clock = VirtualClock()
    limiter = limiter_on(clock, 4.0, 1000)
    rates = []
    for _ in range(12):
        await limiter.acquire()
        limiter.throttled(0.0)
        clock.advance(1.0)
        rates.append(limiter.state().rate)
    assert rates == pytest.approx([max(0.2, 4.0 * 0.7**n) for n in range(1, 13)])
    climbed = []
    for _ in range(195):
        await limiter.acquire()
        limiter.succeeded()
        climbed.append(limiter.state().rate)
    assert climbed == pytest.approx([min(4.0, 0.2 + 0.02 * n) for n in range(1, 196)])


async def test_a_429_never_speeds_up_a_slow_key() -> None:
    """A rate that was below the floor from the start stays as it is."""
    limiter = limiter_on(VirtualClock(), per_second=0.1)
    await limiter.acquire()
    limiter.throttled(0.0)
    assert limiter.state().rate == 0.1


async def test_failures_change_no_rate() -> None:
    """Neither a lost connection nor a 500 says anything about the rate."""
    clock = VirtualClock()
    limiter = limiter_on(clock)
    await limiter.acquire()
    limiter.throttled(0.0)
    clock.advance(2.0)
    await limiter.acquire()
    limiter.failed()
    assert limiter.state().rate == pytest.approx(2.8)


async def test_cancelled_in_the_queue() -> None:
    """Who is cancelled gives up the place; the next in line moves up, at the same moment."""
    clock = VirtualClock()
    limiter = limiter_on(clock, 1.0, 1)
    await limiter.acquire()
    began = clock.time()
    first, second = (asyncio.create_task(leave_at(limiter, clock, 1)) for _ in range(2))
    await settle()
    first.cancel("no longer needed")
    with pytest.raises(asyncio.CancelledError, match=r"^no longer needed"):
        await first
    assert limiter.state().queued == 1
    await second
    assert clock.time() - began == pytest.approx(1.0)


async def test_cancelled_just_when_it_was_granted() -> None:
    """A permit that its caller cannot use any more goes to the next, and no token is lost."""
    clock = VirtualClock()
    limiter = limiter_on(clock, 1.0, 10, concurrency=1)
    await limiter.acquire()
    first, second = (asyncio.create_task(limiter.acquire()) for _ in range(2))
    await settle()
    limiter.failed()  # grants the first, whose task has not run yet
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await second
    assert (limiter.state().in_flight, limiter.state().queued) == (1, 0)
    limiter.failed()
    assert await leave_at(limiter, clock, 9) == [0.0] * 8 + [1.0]


async def test_a_cancelled_place_that_the_queue_passed_over() -> None:
    """If the turn comes between the cancellation and the task's own cleaning up, nothing is counted twice."""
    clock = VirtualClock()
    limiter = limiter_on(clock, 100.0, 100, concurrency=1)
    await limiter.acquire()
    first, second = (asyncio.create_task(limiter.acquire()) for _ in range(2))
    await settle()
    first.cancel()
    limiter.failed()  # the first has not cleaned up yet: its place is skipped
    await second
    assert (first.cancelled(), limiter.state().in_flight, limiter.state().queued) == (True, 1, 0)


async def test_the_last_to_be_cancelled_leaves_no_timer() -> None:
    """An empty queue wakes nobody."""
    clock = VirtualClock()
    limiter = limiter_on(clock, 0.001, 1)
    await limiter.acquire()
    task = asyncio.create_task(limiter.acquire())
    await settle()
    task.cancel()
    await asyncio.wait([task])
    await clock.sleep(3600.0)  # a timer that was left would be due after 1000 s
    assert (clock.slept, limiter.state().queued) == ([3600.0], 0)


class CountingClock(VirtualClock):
    """Counts the timers that are set."""

    scheduled = 0

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        self.scheduled += 1
        return super().call_later(seconds, callback)


async def test_ten_thousand_waiters_are_cancelled_in_linear_time() -> None:
    """Each costs one timer at most, from either end of the queue."""
    for backwards in (False, True):
        clock = CountingClock()
        limiter = limiter_on(clock, 0.001, 1)
        await limiter.acquire()
        tasks = [asyncio.create_task(limiter.acquire()) for _ in range(10_000)]
        await settle()
        assert limiter.state().queued == 10_000
        before = clock.scheduled
        for task in reversed(tasks) if backwards else tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert (limiter.state().queued, limiter.state().in_flight) == (0, 1)
        assert clock.scheduled - before <= 10_000
        assert before <= 10_001


async def test_state() -> None:
    """The snapshot tells rate, queue, flight, and until when a pause lasts, as an aware datetime."""
    clock = VirtualClock()
    limiter = limiter_on(clock, concurrency=1)
    assert limiter.state() == LimitState(rate=4.0, queued=0, in_flight=0, paused_until=None)
    await limiter.acquire()
    task = asyncio.create_task(limiter.acquire())
    await settle()
    assert limiter.state() == LimitState(rate=4.0, queued=1, in_flight=1, paused_until=None)
    task.cancel()
    await asyncio.wait([task])
    limiter.throttled(60.0)
    until = limiter.state().paused_until
    assert until is not None
    assert abs(until - datetime.now(UTC) - timedelta(seconds=60)) < timedelta(seconds=5)
    clock.advance(60.0)
    assert limiter.state().paused_until is None
    limiter.throttled(0.5)
    assert limiter.state().paused_until is not None


def test_two_event_loops() -> None:
    """What one loop left behind, tokens and a pause, holds in the next; its waiters do not."""
    clock = VirtualClock()
    limiter = limiter_on(clock, 1.0, 2)

    async def first() -> list[float]:
        moments = await leave_at(limiter, clock, 2)
        abandoned = asyncio.create_task(limiter.acquire())  # cancelled by asyncio.run
        await settle()
        assert (abandoned.done(), limiter.state().queued) == (False, 1)
        return moments

    assert asyncio.run(first()) == [0.0, 0.0]
    assert limiter.state().queued == 0
    assert asyncio.run(leave_at(limiter, clock, 2)) == [1.0, 2.0]


@settings(deadline=None)
@given(
    per_second=st.sampled_from([0.5, 1.0, 4.0, 33.3, 1000.0]),
    burst=st.integers(1, 10),
    concurrency=st.integers(1, 10),
    calls=st.lists(
        st.tuples(
            st.floats(0.0, 3.0), st.floats(0.0, 2.0), st.sampled_from(["succeeded", "failed", "throttled", "cancelled"])
        ),
        max_size=40,
    ),
)
def test_properties(per_second: float, burst: int, concurrency: int, calls: list[tuple[float, float, str]]) -> None:
    """Whatever comes: never more than burst + rate x window in any window, nor `concurrency` in flight; first come,
    first served; nobody is forgotten, and in the end everything has been given back."""
    clock = VirtualClock()
    limiter = limiter_on(clock, per_second, burst, concurrency)
    asked: list[int] = []
    left: list[tuple[int, float]] = []
    in_flight = [0]

    async def call(number: int, lasts: float, ending: str) -> None:
        asked.append(number)
        await limiter.acquire()
        left.append((number, clock.time()))
        in_flight[0] += 1
        assert in_flight[0] <= concurrency
        await clock.sleep(lasts)
        in_flight[0] -= 1
        limiter.throttled(lasts) if ending == "throttled" else getattr(
            limiter, "failed" if ending == "cancelled" else ending
        )()

    async def everything() -> None:
        tasks: dict[int, asyncio.Task[None]] = {}
        for number, (gap, lasts, ending) in enumerate(calls):
            tasks[number] = asyncio.create_task(call(number, lasts, ending))
            await clock.sleep(gap)
            if ending == "cancelled" and all(number != each for each, _ in left):
                tasks.pop(number).cancel()
        await asyncio.gather(*tasks.values())
        assert [number for number, _ in left] == [number for number in asked if number in tasks]

    asyncio.run(everything())
    moments = [moment for _, moment in left]
    for first in range(len(moments)):
        for last in range(first, len(moments)):
            window = moments[last] - moments[first]
            assert last - first + 1 <= burst + per_second * window + 1e-5
    assert (limiter.state().in_flight, limiter.state().queued) == (0, 0)
    clock.advance(1e6)
    assert limiter.idle is (limiter.state().rate >= per_second)
