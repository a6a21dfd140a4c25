"""fan_out under cancellations at any moment: it ends, no item is lost or doubled, and nothing is left behind.

The event loop runs one callback at a time, and between any two of them any task may be cancelled: the consumer, one
worker, or all tasks but the consumer, as shutdown code does. No time passes; a loop that has nothing to run hangs.
"""

import asyncio
import sys
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, suppress
from typing import Any

import pytest
from attrs import field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from chatloom_async.fanout import Err, Ok, fan_out

RAN: Counter[str] = Counter()
EAGER = [False, True] if sys.version_info >= (3, 12) else [False]
MOST_STEPS = 3000
CANCELS = {
    "cancels itself",
    "cancels itself, returns",
    "cancels others",
    "has an old timeout",
    "awaits a cancelled task",
}


def by_number(task: asyncio.Task[Any]) -> int:
    """In the order of creation. Python 3.13.0 gives eager tasks no number."""
    return int(task.get_name().removeprefix("Task-").replace("None", "0"))


class Crash(BaseException):
    """What ends a fan-out."""


class SourceError(Exception):
    """What a source of items raises."""


@frozen
class Schedule:
    """What happens in one fan-out.

    `items` are what each operation does, and how often it lets others run before. `cancels` maps the number of a
    callback to who is cancelled before it: "consumer", "others", or the number of a task among those that run.
    `leaves` is after how many results the consumer leaves; `closes` whether it closes the fan-out then.
    """

    items: list[tuple[str, int]]
    concurrency: int = 2
    source: str = "sync"
    fails: str = ""
    pauses: int = 0
    leaves: int = 99
    closes: bool = True
    eager: bool = False
    cancels: dict[int, str | int] = field(factory=dict)


class OneAtATime(deque[Any]):
    """An event loop's callbacks that are due; it believes that there is one at most."""

    def __len__(self) -> int:
        return min(1, super().__len__())


class World:
    """Runs one schedule, and writes down what happens."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.read: list[int] = []
        self.results: list[Any] = []
        self.running = self.most_running = self.most_read = self.steps = 0
        self.ended = False
        self.running_at_the_end: int | None = None  # operations that the consumer left behind
        self.targets: list[int] = []  # how many tasks could be cancelled before each step
        self.cancelled: set[asyncio.Task[Any]] = set()
        self.loop: Any = asyncio.SelectorEventLoop()
        self.loop._ready = OneAtATime()
        self.loop.set_exception_handler(lambda loop, context: None)
        if schedule.eager:
            self.loop.set_task_factory(getattr(asyncio, "eager_task_factory", None))
        self.consumer = asyncio.Task(self._consume(), loop=self.loop)
        self.error: BaseException | None = None

    def run(self) -> "World":
        """Until nothing is left to do."""
        while self.loop._ready and self.steps < MOST_STEPS:
            tasks = sorted(asyncio.all_tasks(self.loop) - {self.consumer}, key=by_number)
            self.targets.append(len(tasks))
            target = self.schedule.cancels.get(self.steps)
            if target == "others":
                self._cancel(*tasks)
            elif target == "consumer" or (target is not None and not tasks):
                self._cancel(self.consumer)
            elif target is not None:
                self._cancel(tasks[int(target) % len(tasks)])
            self.steps += 1
            self.loop.stop()
            self.loop.run_forever()
            if self.consumer.done() and self.running_at_the_end is None:
                self.running_at_the_end = self.running
        if self.consumer.done():
            self.error = asyncio.CancelledError() if self.consumer.cancelled() else self.consumer.exception()
        return self

    def left(self) -> set[asyncio.Task[Any]]:
        """Tasks that still run. Ends them."""
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        self.loop._ready = deque(self.loop._ready)
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        return left

    def _cancel(self, *tasks: asyncio.Task[Any]) -> None:
        self.cancelled |= {task for task in tasks if task.cancel()}

    async def _consume(self) -> None:
        source = getattr(self, f"_{self.schedule.source}")()
        results = fan_out(source, self._operation, concurrency=self.schedule.concurrency)
        if self.schedule.closes:
            async with aclosing(results):
                await self._take(results)
        else:
            await self._take(results)

    async def _take(self, results: Any) -> None:
        async for result in results:
            self.results.append(result)
            if len(self.results) >= self.schedule.leaves:
                return
            for _ in range(self.schedule.pauses):
                await asyncio.sleep(0)
        self.ended = True

    def _sync(self) -> Iterator[int]:
        for number in range(len(self.schedule.items)):
            self.read.append(number)
            self.most_read = max(self.most_read, len(self.read) - len(self.results))
            yield number
        if self.schedule.fails:
            raise {"error": SourceError, "cancel": asyncio.CancelledError}[self.schedule.fails]

    async def _async(self) -> AsyncIterator[int]:
        for number in self._sync():
            await asyncio.sleep(0)
            yield number

    async def _stubborn(self) -> AsyncIterator[int]:
        """A source that goes on after a cancellation."""
        for number in self._sync():
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                await asyncio.sleep(0)
            yield number

    async def _operation(self, number: int) -> int:
        what, steps = self.schedule.items[number]
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            for _ in range(steps):
                await asyncio.sleep(0)
            return await self._do(what, number)
        finally:
            self.running -= 1

    async def _do(self, what: str, number: int) -> int:
        task: Any = asyncio.current_task()
        if what == "raises":
            raise ValueError(number)
        if what == "crashes":
            raise Crash
        if what == "cancels itself, returns":
            task.cancel()
        if what == "cancels itself":
            task.cancel()
            await asyncio.sleep(0)
        if what == "cancels others":
            self._cancel(*asyncio.all_tasks() - {task, self.consumer})
        if what == "has an old timeout":  # as before Python 3.11: cancels its task, and never says that it did
            self.loop.call_soon(task.cancel)
            with suppress(asyncio.CancelledError):
                await self.loop.create_future()
        if what == "awaits a task":
            await self.loop.create_task(asyncio.sleep(0))
        if what == "awaits a cancelled task":
            inner = self.loop.create_task(self._operation_of_nobody())
            inner.cancel()
            await inner
        if what == "is stubborn":
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                await asyncio.sleep(0)
        return 2 * number

    async def _operation_of_nobody(self) -> None:
        await self.loop.create_future()


def it_ends_and_leaves_nothing_behind(world: World) -> None:
    """Neither does the consumer wait for ever, nor does any task outlive it, or run on after the fan-out was closed."""
    done = world.consumer.done()
    assert not (world.schedule.closes and world.running_at_the_end), world.schedule
    assert (done, world.left(), world.running) == (True, set(), 0), world.schedule


def no_item_is_lost_or_doubled(world: World) -> None:
    """Where the consumer reads to the end, it gets every item; where it gets an exception, each at most once."""
    numbers = sorted(result.item for result in world.results)
    assert len({*numbers}) == len(numbers), world.schedule
    if world.ended:
        assert (numbers, world.schedule.fails) == ([*range(len(world.schedule.items))], ""), world.schedule
    if isinstance(world.error, SourceError):
        assert numbers == world.read, world.schedule


def every_result_is_its_operations(world: World) -> None:
    """Ok or Err as the operation ended; a CancelledError only where something was cancelled."""
    behaviours = {what for what, _ in world.schedule.items}
    cancels = bool(world.schedule.cancels or behaviours & CANCELS)
    for result in world.results:
        what, _ = world.schedule.items[result.item]
        if isinstance(result, Err) and isinstance(result.error, asyncio.CancelledError):
            assert cancels, world.schedule
        elif what == "raises":
            assert isinstance(result, Err), world.schedule
            assert isinstance(result.error, ValueError), world.schedule
        else:
            assert result == Ok(result.item, 2 * result.item), world.schedule


def exceptions_are_those_of_the_schedule(world: World) -> None:
    """The consumer's own cancellation wins over everything; nothing comes from nowhere."""
    if world.consumer in world.cancelled:
        assert isinstance(world.error, asyncio.CancelledError), world.schedule
    crashes = any(what == "crashes" for what, _ in world.schedule.items)
    cancels = (
        world.schedule.cancels
        or world.schedule.fails == "cancel"
        or any(what in CANCELS for what, _ in world.schedule.items)
    )
    allowed = [
        *([Crash] if crashes else []),
        *([SourceError] if world.schedule.fails == "error" else []),
        *([asyncio.CancelledError] if cancels else []),
    ]
    assert world.error is None or type(world.error) in allowed, (world.schedule, world.error)


def no_more_than_asked_for(world: World) -> None:
    """At the same time, and in memory; one more is in the consumer's hands."""
    assert world.most_running <= world.schedule.concurrency, world.schedule
    assert world.most_read <= 2 * world.schedule.concurrency + 1, world.schedule


def check(schedule: Schedule) -> World:
    """Runs it and applies all rules."""
    world = World(schedule).run()
    for rule in (
        it_ends_and_leaves_nothing_behind,
        no_item_is_lost_or_doubled,
        every_result_is_its_operations,
        exceptions_are_those_of_the_schedule,
        no_more_than_asked_for,
    ):
        rule(world)
    RAN["fan-outs"] += 1
    return world


BEHAVIOURS = ["returns", "returns", "returns", "raises", "is stubborn", "awaits a task", *sorted(CANCELS), "crashes"]
SCHEDULES = st.builds(
    Schedule,
    items=st.lists(st.tuples(st.sampled_from(BEHAVIOURS), st.integers(0, 3)), max_size=9),
    concurrency=st.integers(1, 4),
    source=st.sampled_from(["sync", "async", "stubborn"]),
    fails=st.sampled_from(["", "", "", "error", "cancel"]),
    pauses=st.sampled_from([0, 0, 0, 1, 5]),
    leaves=st.sampled_from([99, 99, 99, 0, 1, 3]),
    closes=st.booleans(),
    eager=st.sampled_from(EAGER),
    cancels=st.dictionaries(
        st.integers(0, 60), st.sampled_from(["consumer", "others"]) | st.integers(0, 5), max_size=3
    ),
)
STRATEGIES = (SCHEDULES,)


@settings(max_examples=200, deadline=None)
@given(*STRATEGIES)
def test_no_cancellation_makes_it_hang_or_lose_an_item(schedule: Schedule) -> None:
    """Whatever operations, source and consumer do, and whoever is cancelled meanwhile."""
    check(schedule)


PLAIN = [("returns", 1), ("raises", 0), ("returns", 2), ("is stubborn", 0), ("returns", 0)]


@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize("source", ["sync", "async", "stubborn"])
@pytest.mark.parametrize("concurrency", [1, 2, 8])
@pytest.mark.parametrize("leaves", [2, 99])
def test_one_cancellation_at_every_step_of_every_task(
    source: str, concurrency: int, leaves: int, *, eager: bool
) -> None:
    """Each task in turn, the consumer included, and all the others at once, before each callback of the event loop."""
    options: Any = {"source": source, "concurrency": concurrency, "leaves": leaves, "eager": eager, "pauses": 1}
    usual = check(Schedule(PLAIN, **options))
    for step, tasks in enumerate(usual.targets):
        for target in ("consumer", "others", *range(tasks)):
            check(Schedule(PLAIN, cancels={step: target}, **options))


@pytest.mark.parametrize("source", ["sync", "async", "stubborn"])
@pytest.mark.parametrize("target", ["others", 0])
@pytest.mark.parametrize("start", range(0, 30, 3))
def test_cancelled_always(source: str, target: str | int, start: int) -> None:
    """Even where somebody cancels the workers before every single callback, it ends."""
    check(Schedule(PLAIN, source=source, cancels=dict.fromkeys(range(start, MOST_STEPS), target)))
