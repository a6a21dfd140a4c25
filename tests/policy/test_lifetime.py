"""Open, then closing for good; time limits that end with it."""

import asyncio

import pytest

from chatloom_async.policy.lifetime import Lifetime
from chatloom_async.wire.errors import ClientClosedError

CLOSED = ClientClosedError("The client was closed while this call was under way")


async def wait_for_ever() -> None:
    """Something that only an exception ends."""
    await asyncio.get_running_loop().create_future()


async def under(lifetime: Lifetime, seconds: float | None) -> None:
    """A call that never ends by itself, under a limit."""
    with lifetime.limit(seconds):
        await wait_for_ever()


async def settle() -> None:
    """Lets every task run until it waits."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_nothing_begins_after_the_end() -> None:
    """check() passes until closing begins."""
    lifetime = Lifetime()
    lifetime.check()
    await lifetime.end(drain=5.0)
    with pytest.raises(ClientClosedError, match=r"^The client is closed; nothing was sent"):
        lifetime.check()


async def test_a_limit_runs_out() -> None:
    """As asyncio.timeout: TimeoutError, and `expired` tells that it was this one."""
    lifetime = Lifetime()
    limit = lifetime.limit(0)
    assert not limit.expired
    with pytest.raises(TimeoutError) as caught, limit:
        await wait_for_ever()
    assert (limit.expired, type(caught.value)) == (True, TimeoutError)


async def test_a_timeout_from_within_is_not_the_limits() -> None:
    """What is raised inside passes through as it is."""
    limit, mine = Lifetime().limit(60.0), TimeoutError("mine")
    with pytest.raises(TimeoutError) as caught, limit:
        raise mine
    assert (caught.value is mine, limit.expired) == (True, False)


async def test_a_limit_can_begin_anew() -> None:
    """Its time counts from then on; None lifts it."""
    limit = Lifetime().limit(60.0)

    async def call() -> None:
        with limit:
            limit.restart(0)
            await wait_for_ever()

    with pytest.raises(TimeoutError):
        await call()
    with Lifetime().limit(60.0) as lifted:
        lifted.restart(None)
        lifted.restart(60.0)


async def test_an_expired_limit_does_not_begin_anew() -> None:
    """When the client is closing, or the time is over, it stays over."""
    limit = Lifetime().limit(0)

    async def call() -> None:
        with limit:
            try:
                await wait_for_ever()
            finally:
                limit.restart(60.0)

    with pytest.raises(TimeoutError):
        await call()


@pytest.mark.parametrize("seconds", [None, 60.0])
async def test_closing_ends_what_is_under_way(seconds: float | None) -> None:
    """Calls that are not done after `drain` end with ClientClosedError, which no other exception is chained to."""
    lifetime = Lifetime()
    tasks = [asyncio.create_task(under(lifetime, seconds)) for _ in range(10)]
    await settle()
    await lifetime.end(drain=0)
    assert await asyncio.gather(*tasks, return_exceptions=True) == [CLOSED] * 10
    error = tasks[0].exception()
    assert error is not None
    assert (error.__cause__, error.__suppress_context__) == (None, True)


async def test_closing_lets_calls_finish() -> None:
    """end() returns as soon as the last call is done, long before `drain` is over."""
    lifetime = Lifetime()
    gate = asyncio.Event()

    async def call() -> str:
        with lifetime.limit(60.0):
            await gate.wait()
            return "done"

    tasks = [asyncio.create_task(call()) for _ in range(3)]
    await settle()
    ending = asyncio.create_task(lifetime.end(drain=3600.0))
    await settle()
    assert (lifetime.closing, ending.done()) == (True, False)
    gate.set()
    assert await asyncio.gather(*tasks, ending) == ["done", "done", "done", None]


async def test_closing_with_nothing_under_way() -> None:
    """It takes no time, and is closed then."""
    lifetime = Lifetime()
    await asyncio.wait_for(lifetime.end(drain=3600.0), 5.0)
    assert lifetime.closing


async def test_closing_while_a_limit_is_running_out() -> None:
    """A limit that has just expired, but whose task has not heard of it yet, is left alone."""
    lifetime = Lifetime()
    limit = lifetime.limit(60.0)

    async def call() -> None:
        with limit:
            await wait_for_ever()

    task = asyncio.create_task(call())
    await settle()
    limit.restart(-1.0)
    ending = asyncio.create_task(lifetime.end(drain=0))
    await ending
    assert await asyncio.gather(task, return_exceptions=True) == [CLOSED]


async def test_many_limits_share_one_timer_of_the_event_loop() -> None:
    """A thousand limits that are lifted in time leave one timer behind, not a thousand."""
    lifetime, loop = Lifetime(), asyncio.get_running_loop()
    before = len(loop._scheduled)  # type: ignore[attr-defined]
    for seconds in range(60, 1060):
        with lifetime.limit(seconds):
            pass
    assert len(loop._scheduled) - before == 1  # type: ignore[attr-defined]


async def test_each_of_many_limits_runs_out_at_its_own_time() -> None:
    """In the order of their ends, whatever the order in which they began."""
    lifetime, ended = Lifetime(), list[int]()

    async def call(number: int) -> None:
        try:
            await under(lifetime, number / 100)
        except TimeoutError:
            ended.append(number)

    await asyncio.gather(*(call(number) for number in (3, 1, 4, 2, 0)))
    assert ended == [0, 1, 2, 3, 4]


async def test_limits_that_run_out_in_a_row_share_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred within ten milliseconds take two or three rounds of the timer, not a hundred."""
    lifetime, loop, rounds = Lifetime(), asyncio.get_running_loop(), list[float]()
    ring = lifetime._ring

    def counted(*arguments: asyncio.AbstractEventLoop) -> None:
        rounds.append(loop.time())
        ring(*arguments)

    monkeypatch.setattr(lifetime, "_ring", counted)
    tasks = [asyncio.create_task(under(lifetime, 0.02 + number / 10_000)) for number in range(100)]
    await asyncio.wait(tasks)
    assert [type(task.exception()) for task in tasks] == [TimeoutError] * 100
    assert len(rounds) <= 4


def test_limits_run_out_in_one_event_loop_after_the_other() -> None:
    """A timer that died with its loop is not waited for."""
    lifetime = Lifetime()

    async def call() -> bool:
        with lifetime.limit(60.0):
            pass
        try:
            await under(lifetime, 0.001)
        except TimeoutError:
            return True
        return False

    assert [asyncio.run(call()), asyncio.run(call())] == [True, True]


def test_two_event_loops_that_run_in_turns_share_the_timer() -> None:
    """A limit that begins anew takes the timer back to its own loop, or it would not run out."""
    lifetime, loops = Lifetime(), [asyncio.new_event_loop() for _ in range(2)]

    async def call(again: asyncio.Event) -> bool:
        limit = lifetime.limit(60.0)
        try:
            with limit:
                await again.wait()
                limit.restart(0.001)
                await wait_for_ever()
        except TimeoutError:
            pass
        return limit.expired

    events = [asyncio.Event() for _ in loops]
    tasks = [loop.create_task(call(event)) for loop, event in zip(loops, events, strict=True)]
    for loop in loops:
        loop.run_until_complete(settle())
    expired = []
    for loop, event, task in zip(loops, events, tasks, strict=True):
        event.set()
        expired.append(loop.run_until_complete(asyncio.wait_for(task, 5.0)))
        loop.close()
    assert expired == [True, True]


def test_a_limit_needs_a_task() -> None:
    """Outside of one, nothing could be cancelled."""

    async def call() -> None:
        limit = Lifetime().limit(1.0)
        problems: list[RuntimeError] = []

        def enter() -> None:
            try:
                limit.__enter__()
            except RuntimeError as problem:
                problems.append(problem)

        asyncio.get_running_loop().call_soon(enter)
        await asyncio.sleep(0)
        assert [str(problem) for problem in problems] == ["A call needs a task to run in"]

    asyncio.run(call())


async def test_cancelling_is_not_closing() -> None:
    """A call that is cancelled before the client closes ends as cancelled, and is no longer known."""
    lifetime = Lifetime()
    task = asyncio.create_task(under(lifetime, None))
    await settle()
    task.cancel("enough")
    with pytest.raises(asyncio.CancelledError, match=r"^enough"):
        await task
    await asyncio.wait_for(lifetime.end(drain=3600.0), 5.0)


async def test_a_call_that_does_not_let_go_does_not_block_closing_for_ever() -> None:
    """end() gives up on it after a second; here the event loop's clock is moved on instead of waiting."""
    lifetime = Lifetime()

    cancelled = asyncio.Event()

    async def stubborn() -> None:
        with lifetime.limit(None):
            try:
                await wait_for_ever()
            except asyncio.CancelledError:
                cancelled.set()
                await wait_for_ever()

    loop = asyncio.get_running_loop()
    real, moved = loop.time, [0.0]
    loop.time = lambda: real() + moved[0]  # type: ignore[method-assign]
    task = asyncio.create_task(stubborn())
    await settle()
    ending = asyncio.create_task(lifetime.end(drain=0))
    await cancelled.wait()
    moved[0] = 3600.0
    await ending
    assert (ending.done(), task.done()) == (True, False)
    task.cancel()
    await asyncio.wait([task])


async def test_a_cancelled_end_still_ends_what_is_under_way() -> None:
    """Whoever gave up waiting for the drain has closed all the same, and may close again."""
    lifetime = Lifetime()
    task = asyncio.create_task(under(lifetime, None))
    await settle()
    ending = asyncio.create_task(lifetime.end(drain=3600.0))
    again = asyncio.create_task(lifetime.end(drain=3600.0))
    await settle()
    ending.cancel()
    results = await asyncio.gather(ending, task, again, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError, ClientClosedError, type(None)]


def test_limits_of_a_loop_that_was_closed_under_them_are_forgotten() -> None:
    """They neither keep the limits of the next loop from running out nor closing from its end."""
    lifetime = Lifetime()
    dead = asyncio.new_event_loop()
    tasks = [dead.create_task(under(lifetime, 60.0)) for _ in range(5)]
    dead.run_until_complete(settle())
    dead.close()

    async def next_loop() -> None:
        with pytest.raises(TimeoutError):
            await under(lifetime, 0.001)
        await lifetime.end(drain=3600.0)

    asyncio.run(asyncio.wait_for(next_loop(), 5.0))
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        task.get_coro().close()  # type: ignore[union-attr]


async def test_closing_again_waits_for_a_call_that_began_meanwhile() -> None:
    """One that had passed check() before the first closing; that the first one is done is not its end."""
    lifetime, gate = Lifetime(), asyncio.Event()

    async def late() -> str:
        with lifetime.limit(None):
            await gate.wait()
            return "done"

    early = asyncio.create_task(under(lifetime, None))
    await settle()
    await lifetime.end(drain=0)
    task = asyncio.create_task(late())
    await settle()
    again = asyncio.create_task(lifetime.end(drain=3600.0))
    await settle()
    assert (early.done(), again.done()) == (True, False)
    gate.set()
    assert await asyncio.gather(task, again) == ["done", None]


def test_closing_that_was_left_with_its_loop_is_begun_anew_in_the_next() -> None:
    """What the closed loop waited for is nothing that another one can wait for."""
    lifetime, dead = Lifetime(), asyncio.new_event_loop()
    tasks: list[asyncio.Task[None]] = [dead.create_task(under(lifetime, None)), dead.create_task(lifetime.end(3600.0))]
    dead.run_until_complete(settle())
    dead.close()

    async def next_loop() -> type:
        task = asyncio.create_task(under(lifetime, None))
        await settle()
        await lifetime.end(drain=0)
        return type(task.exception())

    ended_with = asyncio.run(next_loop())
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        task.get_coro().close()  # type: ignore[union-attr]
    assert ended_with is ClientClosedError


async def test_a_limit_ends_its_task_once() -> None:
    """Closing twice cancels no more often than closing once, so that nothing is left to take back."""
    lifetime = Lifetime()
    task = asyncio.create_task(under(lifetime, None))
    await settle()
    await asyncio.gather(lifetime.end(drain=0), lifetime.end(drain=0))
    assert (type(task.exception()), task.cancelling()) == (ClientClosedError, 0)
