"""fan_out: every item comes back exactly once, in bounded memory, and nothing stays behind."""

import asyncio
import gc
import sys
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, suppress
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatloom_async.fanout import Err, Ok, fan_out
from chatloom_async.testing import VirtualClock


@pytest.fixture(autouse=True)
async def _no_tasks_left() -> AsyncIterator[None]:
    """After each test, nothing that it started is still running."""
    before = asyncio.all_tasks()
    yield
    assert asyncio.all_tasks() - before - {asyncio.current_task()} == set()


async def double(number: int) -> int:
    """Waits a moment, then doubles."""
    await asyncio.sleep(0)
    return 2 * number


async def doubled_at_once(number: int) -> int:
    """Doubles without ever waiting."""
    return 2 * number


async def collected(results: AsyncGenerator[Any, None]) -> list[Any]:
    """All results, in their order."""
    return [result async for result in results]


async def collect(results: AsyncGenerator[Any, None], items: list[Any]) -> None:
    """The items of all results that come before the fan-out ends, however it ends."""
    async for result in results:
        items.append(result.item)  # noqa: PERF401  # what came before an exception counts


async def asynchronously(items: Any) -> AsyncIterator[Any]:
    """The same items from an async generator that takes its time."""
    for item in items:
        await asyncio.sleep(0)
        yield item


class Countdown:
    """An async iterable that is no generator."""

    def __init__(self, start: int) -> None:
        self.left = start

    def __aiter__(self) -> "Countdown":
        return self

    async def __anext__(self) -> int:
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        return self.left


SOURCES: list[tuple[Callable[[], Any], int]] = [
    (lambda: [0, 1, 2, 3, 4], 5),
    (lambda: range(1000), 1000),
    (lambda: iter(range(70)), 70),
    (lambda: (number for number in range(70)), 70),
    (lambda: {0: "a", 1: "b"}, 2),
    (lambda: asynchronously(range(200)), 200),
    (lambda: Countdown(70), 70),
    (list, 0),
    (lambda: asynchronously([]), 0),
    (lambda: [0], 1),
]


@pytest.mark.parametrize(("source", "length"), SOURCES)
@pytest.mark.parametrize("concurrency", [1, 2, 64, 5000])
@pytest.mark.parametrize("operation", [double, doubled_at_once])
async def test_every_item_comes_back_once(
    source: Callable[[], Any], length: int, concurrency: int, operation: Any
) -> None:
    """From any kind of source, at any concurrency, also where the operation never waits."""
    results = await collected(fan_out(source(), operation, concurrency=concurrency))
    assert sorted(results, key=lambda result: result.item) == [Ok(number, 2 * number) for number in range(length)]


async def test_results_come_in_completion_order() -> None:
    """A slow item does not hold back the others."""
    clock = VirtualClock()

    async def sleep(seconds: float) -> float:
        await clock.sleep(seconds)
        return clock.time()

    results = await collected(fan_out([3.0, 1.0, 2.0, 0.5], sleep, concurrency=3))
    assert results == [Ok(1.0, 1.0), Ok(0.5, 1.5), Ok(2.0, 2.0), Ok(3.0, 3.0)]


async def test_a_failing_item_fails_alone() -> None:
    """Its exception comes back as it was raised; the siblings go on."""
    failures = {number: ValueError(str(number)) for number in range(0, 100, 7)}

    async def operation(number: int) -> int:
        await asyncio.sleep(0)
        if number in failures:
            raise failures[number]
        return number

    results = await collected(fan_out(range(100), operation, concurrency=5))
    expected = [Err(number, failures[number]) if number in failures else Ok(number, number) for number in range(100)]
    assert sorted(results, key=lambda result: result.item) == expected


@pytest.mark.parametrize(
    "error",
    [
        StopAsyncIteration(),
        TimeoutError(),
        asyncio.CancelledError(),
        MemoryError(),
        ExceptionGroup("x", [ValueError()]),
    ],
)
async def test_no_exception_of_an_item_is_taken_for_something_else(error: BaseException) -> None:
    """Not for the end of the source, nor for the cancellation of the fan-out."""

    async def operation(number: int) -> int:
        if number == 1:
            raise error
        return number

    assert await collected(fan_out(range(3), operation, concurrency=1)) == [Ok(0, 0), Err(1, error), Ok(2, 2)]


async def test_an_operation_that_is_no_coroutine_function() -> None:
    """What an operation raises before there is anything to await is the item's failure, too."""
    trouble = KeyError("sync")

    def operation(number: int) -> Any:
        if number:
            raise trouble
        return double(number)

    assert await collected(fan_out([0, 1], operation, concurrency=1)) == [Ok(0, 0), Err(1, trouble)]


async def test_an_operation_that_cancels_itself() -> None:
    """An operation whose inner task was cancelled is an Err; nobody else notices."""

    async def operation(number: int) -> int:
        inner = asyncio.create_task(asyncio.sleep(0, number))
        if number == 1:
            inner.cancel()
        return await inner

    results = await collected(fan_out(range(4), operation, concurrency=2))
    assert sorted((type(result).__name__, result.item) for result in results) == [
        ("Err", 1),
        ("Ok", 0),
        ("Ok", 2),
        ("Ok", 3),
    ]


@pytest.mark.parametrize("concurrency", [1, 2, 7, 64])
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_reading_ahead_is_bounded(concurrency: int, kind: str) -> None:
    """Of an endless source, never more than 2 x concurrency items are taken that have not come back yet."""
    taken, most = count(), 0
    source: Any = asynchronously(taken) if kind == "async" else taken
    async with aclosing(fan_out(source, double, concurrency=concurrency)) as results:
        for seen in range(1, 200):
            await anext(results)
            for _ in range(20):  # a slow reader: the workers go as far as they can
                await asyncio.sleep(0)
            ahead = int(repr(taken)[6:-1]) - seen
            most = max(most, ahead)
    assert concurrency <= most <= 2 * concurrency + 1  # one more is in the reader's own hands


async def test_concurrency_is_reached_and_not_passed() -> None:
    """So many operations run at the same time, no more."""
    running, most = 0, 0

    async def operation(_: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(10):
            await asyncio.sleep(0)
        running -= 1

    await collected(fan_out(range(100), operation, concurrency=9))
    assert most == 9


async def test_a_slow_source_does_not_hold_back_results() -> None:
    """What is done comes back while the next item is still being read."""
    clock = VirtualClock()
    seen: list[tuple[int, float]] = []

    async def source() -> AsyncIterator[int]:
        for number in range(3):
            yield number
            await clock.sleep(10.0)

    async for result in fan_out(source(), doubled_at_once, concurrency=4):
        seen.append((result.item, clock.time()))  # noqa: PERF401  # the loop's body is what is tested
    assert seen == [(0, 0.0), (1, 10.0), (2, 20.0)]


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(
    "problem", [ValueError("source"), asyncio.CancelledError("source"), pytest.fail.Exception("source")]
)
async def test_a_failing_source(kind: str, problem: BaseException) -> None:
    """First the results of what was read, then the source's own exception, whatever it is."""

    def source() -> Iterator[int]:
        yield from range(5)
        raise problem

    items: Any = asynchronously(source()) if kind == "async" else source()
    got: list[int] = []
    with pytest.raises(type(problem)) as caught:
        await collect(fan_out(items, double, concurrency=3), got)
    assert (caught.value is problem, sorted(got)) == (True, [0, 1, 2, 3, 4])


@pytest.mark.parametrize("kind", [pytest.fail.Exception, GeneratorExit])
async def test_an_operation_that_crashes(kind: type[BaseException]) -> None:
    """An exception that is no Exception is raised after the results that are ready; nothing waits for the rest."""
    crash = kind("a check inside the operation")
    cancelled: list[int] = []

    async def operation(number: int) -> int:
        if number == 2:
            raise crash
        if number == 1:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                cancelled.append(number)
                raise
        return number

    async def source() -> AsyncIterator[int]:
        for number in (0, 1, 2):
            yield number
        await asyncio.get_running_loop().create_future()

    got: list[int] = []
    with pytest.raises(kind) as caught:
        await collect(fan_out(source(), operation, concurrency=3), got)
    assert (caught.value is crash, got, cancelled) == (True, [0], [1])


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["operation", "source"])
def test_the_program_ends(kind: type[BaseException], where: str) -> None:
    """As with any task: the event loop stops at once. Who runs it again gets the exception from the fan-out, too."""
    got: list[int] = []

    def source() -> Iterator[int]:
        yield from range(2)
        if where == "source":
            raise kind(3)
        yield 2

    async def operation(number: int) -> int:
        if number == 2:
            raise kind(3)
        return number

    with asyncio.Runner() as runner:
        task = runner.get_loop().create_task(collect(fan_out(source(), operation, concurrency=1), got))
        for _ in range(2):
            with pytest.raises(kind):
                runner.get_loop().run_until_complete(task)
    assert got == [0, 1]
    with pytest.raises(kind):
        asyncio.run(collect(fan_out(source(), operation), []))


async def test_an_operation_with_a_timeout_from_before_python_3_11() -> None:
    """It swallows the cancellation of its task and never says so: the next items do not notice."""

    async def operation(number: int) -> str:
        if number == 0:
            asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)  # type: ignore[union-attr]
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                return "timed out"
        await asyncio.sleep(0)
        if number == 2:
            raise ValueError
        return "ok"

    results = await collected(fan_out(range(4), operation, concurrency=1))
    assert [getattr(result, "value", "") for result in results] == ["timed out", "ok", "", "ok"]


async def test_all_other_tasks_are_cancelled() -> None:
    """Operations that ran come back as Err, and the fan-out goes on: its consumer was not cancelled."""

    async def operation(number: int) -> int:
        if number == 2:
            for task in asyncio.all_tasks() - {asyncio.current_task(), consumer}:
                task.cancel()
        for _ in range(4):
            await asyncio.sleep(0)
        return number

    consumer = asyncio.current_task()
    results = await collected(fan_out(range(6), operation, concurrency=3))
    assert sorted((result.item, type(result).__name__) for result in results) == [
        *((0, "Err"), (1, "Err"), (2, "Ok"), (3, "Ok"), (4, "Ok"), (5, "Ok"))
    ]


async def test_the_reading_is_cancelled() -> None:
    """What was read comes back; then the consumer is told by a CancelledError, since the rest cannot be read."""

    async def source() -> AsyncIterator[int]:
        yield 0
        await asyncio.get_running_loop().create_future()

    async def operation(number: int) -> int:
        for _ in range(3):
            await asyncio.sleep(0)
        (reader,) = asyncio.all_tasks() - before - {asyncio.current_task()}
        reader.cancel()
        await asyncio.sleep(0)
        return number

    before, got = asyncio.all_tasks(), list[int]()
    with pytest.raises(asyncio.CancelledError):
        await collect(fan_out(source(), operation, concurrency=2), got)
    assert got == [0]


async def test_the_first_worker_is_cancelled_before_it_begins() -> None:
    """The consumer is told by a CancelledError, although nobody cancelled it."""
    consumer = asyncio.create_task(collected(fan_out(range(3), double)))
    before = asyncio.all_tasks()
    await asyncio.sleep(0)
    (worker,) = asyncio.all_tasks() - before
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consumer
    assert consumer.cancelling() == 0


async def test_another_worker_is_cancelled_before_it_begins() -> None:
    """It has no item yet: as long as one worker goes on, so does the fan-out."""

    async def operation(number: int) -> int:
        if number == 0:
            for task in asyncio.all_tasks() - {asyncio.current_task(), consumer}:
                task.cancel()
        await asyncio.sleep(0)
        return number

    consumer = asyncio.current_task()
    results = await collected(fan_out(range(4), operation, concurrency=2))
    assert sorted(result.item for result in results if isinstance(result, Ok)) == [0, 1, 2, 3]


async def test_nothing_is_read_after_a_crash() -> None:
    """Even if the consumer takes its time until it hears of it."""
    read: list[int] = []

    def source() -> Iterator[int]:
        for number in count():
            read.append(number)
            yield number

    async def operation(number: int) -> int:
        if number == 1:
            raise GeneratorExit
        await asyncio.sleep(0)
        return number

    async def slow() -> None:
        async for _ in fan_out(source(), operation, concurrency=2):
            for _ in range(20):
                await asyncio.sleep(0)

    with pytest.raises(GeneratorExit):
        await slow()
    assert len(read) <= 3


async def test_an_operation_closes_its_own_fan_out() -> None:
    """It goes on itself; the others are cancelled, and no more items are read."""
    cancelled: list[int] = []

    async def operation(number: int) -> int:
        try:
            await asyncio.sleep(0)
            if number == 3:
                await results.aclose()
                return number
            if number:
                await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        return number

    results = fan_out(count(), operation, concurrency=4)
    assert await anext(results) == Ok(0, 0)
    for _ in range(5):
        await asyncio.sleep(0)
    assert sorted(cancelled) == [1, 2, 4]
    assert await collected(results) == []


async def test_leaving_while_nobody_wants_to_be_cancelled() -> None:
    """An operation and a source that swallow the cancellation are not asked for more."""
    read: list[int] = []

    async def waits() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.get_running_loop().create_future()

    async def source() -> AsyncIterator[int]:
        for number in count():
            read.append(number)
            yield number
            if number == 2:
                await waits()

    async def operation(number: int) -> int:
        if number:
            await waits()
        return number

    async with aclosing(fan_out(source(), operation, concurrency=4)) as results:
        assert await anext(results) == Ok(0, 0)
        for _ in range(5):
            await asyncio.sleep(0)
    assert read == [0, 1, 2, 3]


async def test_cancelled_again_while_leaving() -> None:
    """The operations are cancelled again, and waited for all the same."""
    cancelled: list[int] = []

    async def operation(number: int) -> int:
        for _ in range(2):
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                cancelled.append(number)
        return number

    task = asyncio.create_task(collected(fan_out(range(2), operation, concurrency=2)))
    for _ in range(2):
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(cancelled) == [0, 0, 1, 1]


async def test_leaving_early() -> None:
    """Closing cancels what runs and stops the reading, before it returns."""
    cancelled: list[int] = []
    closed: list[str] = []

    async def source() -> AsyncIterator[int]:
        try:
            for number in count():
                yield number
        finally:
            closed.append("source")

    async def operation(number: int) -> int:
        if number == 0:
            return number
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        return number

    items = source()
    async with aclosing(fan_out(items, operation, concurrency=4)) as results:
        async for result in results:
            assert result == Ok(0, 0)
            break
        for _ in range(5):
            await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert sorted(cancelled) == [1, 2, 3, 4]
    await items.aclose()  # type: ignore[attr-defined]
    assert closed == ["source"]


async def test_leaving_early_lets_go_of_the_source() -> None:
    """A generator that nobody else holds is closed at once, not when the garbage collector comes round."""
    closed: list[str] = []

    def source() -> Iterator[int]:
        try:
            yield from count()
        finally:
            closed.append("source")

    gc.disable()
    try:
        async with aclosing(fan_out(source(), double, concurrency=4)) as results:
            await anext(results)
        assert closed == ["source"]
    finally:
        gc.enable()


async def test_leaving_before_the_first_result() -> None:
    """A fan-out that was never begun has begun nothing."""
    results = fan_out(count(), double)
    await results.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(results)


async def test_cancelling_from_outside() -> None:
    """The reader's cancellation reaches every operation, and comes out as it is."""
    running: set[int] = set()
    busy = asyncio.Event()

    async def operation(number: int) -> None:
        running.add(number)
        if len(running) == 8:
            busy.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            running.remove(number)

    task = asyncio.create_task(collected(fan_out(count(), operation, concurrency=8)))
    await busy.wait()
    task.cancel("enough")
    with pytest.raises(asyncio.CancelledError, match=r"^enough"):
        await task
    assert running == set()


async def test_an_operation_that_fails_while_it_is_cancelled() -> None:
    """Cleaning up that goes wrong neither hangs nor replaces the cancellation."""

    async def operation(number: int) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            raise ValueError("while cleaning up")

    task = asyncio.create_task(collected(fan_out(range(3), operation)))
    for _ in range(10):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_memory_is_flat() -> None:
    """However many items go through, only about 2 x concurrency of items and values are alive at any time."""

    class Thing:
        pass

    alive: weakref.WeakSet[Thing] = weakref.WeakSet()

    def things(number: int) -> Iterator[Thing]:
        for _ in range(number):
            thing = Thing()
            alive.add(thing)
            yield thing

    async def operation(_: Thing) -> Thing:
        await asyncio.sleep(0)
        value = Thing()
        alive.add(value)
        return value

    most = {}
    for length in (100, 5000):
        most[length] = 0
        async for _ in fan_out(things(length), operation, concurrency=8):
            most[length] = max(most[length], len(alive))
        del _
        gc.collect()
    assert most[5000] <= most[100] + 2
    assert most[5000] <= 2 * (2 * 8) + 4
    assert len(alive) == 0


async def test_two_fan_outs_at_once_do_not_mix() -> None:
    """Each has its own workers and results."""
    both = await asyncio.gather(*(collected(fan_out(range(start, start + 50), double)) for start in (0, 1000)))
    assert [{result.item for result in results} for results in both] == [set(range(50)), set(range(1000, 1050))]


@settings(deadline=None, max_examples=50)
@given(
    items=st.lists(st.tuples(st.sampled_from(["ok", "error", "cancel"]), st.floats(0.0, 5.0)), max_size=40),
    concurrency=st.integers(1, 10),
)
def test_properties(items: list[tuple[str, float]], concurrency: int) -> None:
    """Whatever the items do and however long they take: each comes back once, as what it did, when it is done."""
    clock = VirtualClock()
    done: list[int] = []

    async def operation(item: tuple[int, tuple[str, float]]) -> int:
        number, (what, seconds) = item
        await clock.sleep(seconds)
        done.append(number)
        if what == "error":
            raise ValueError
        if what == "cancel":
            raise asyncio.CancelledError
        return number

    results = asyncio.run(collected(fan_out(enumerate(items), operation, concurrency=concurrency)))
    assert [result.item[0] for result in results] == done
    assert sorted(done) == list(range(len(items)))
    assert all(isinstance(result, Ok) == (result.item[1][0] == "ok") for result in results)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_eager_tasks_change_nothing() -> None:
    """The concurrency holds, and no worker starts the next one within itself."""

    async def main() -> tuple[int, int]:
        asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory", None))
        now = most = done = 0

        async def operation(_: int) -> None:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1

        async for _ in fan_out(range(2000), operation, concurrency=8):
            done += 1
        return done, most

    assert asyncio.run(main()) == (2000, 8)


class FalsyError(BaseException):
    """Counts as false, as a collection of no errors does."""

    def __len__(self) -> int:
        return 0


@pytest.mark.parametrize("where", ["items", "operation"])
async def test_a_falsy_exception_is_raised_as_well(where: str) -> None:
    """It is an exception all the same."""

    def items() -> Iterator[int]:
        yield 1
        if where == "items":
            raise FalsyError

    async def operation(item: int) -> int:
        if where == "operation":
            raise FalsyError
        return item

    with pytest.raises(FalsyError):
        async for _ in fan_out(items(), operation):
            pass


class Broken:
    """An asynchronous iterator that ends as a synchronous one does."""

    def __aiter__(self) -> "Broken":
        return self

    def __anext__(self) -> Any:
        raise StopIteration


async def test_an_iterator_that_ends_in_the_wrong_way_is_an_error() -> None:
    """anext() with a default crashes the interpreter there (Python 3.11)."""
    with pytest.raises(RuntimeError, match="StopIteration"):
        async for _ in fan_out(Broken(), asyncio.sleep):
            pass


async def test_64_operations_run_at_once_by_default() -> None:
    """No more and no fewer."""
    running: set[int] = set()
    gate = asyncio.Event()

    async def operation(item: int) -> None:
        running.add(item)
        await gate.wait()

    async def consume() -> int:
        return len([result async for result in fan_out(range(200), operation)])

    consumer = asyncio.create_task(consume())
    for _ in range(200):
        await asyncio.sleep(0)
    assert len(running) == 64
    gate.set()
    assert await consumer == 200


async def test_of_two_crashes_the_first_is_raised() -> None:
    """The second would hide it."""
    crashes = [GeneratorExit(0), GeneratorExit(1)]

    async def operation(item: int) -> None:
        raise crashes[item]

    with pytest.raises(GeneratorExit) as caught:
        async for _ in fan_out(range(2), operation):
            pass
    assert caught.value is crashes[0]
