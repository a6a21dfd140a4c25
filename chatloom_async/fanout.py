"""Runs one operation on many items, and yields results as they complete, in bounded memory.

A cancellation at any point neither hangs a fan-out nor loses an item: see `tests/properties`.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from typing import Any, Generic, TypeVar

from attrs import frozen

from .wire.validation import COUNT, Requirement

Item = TypeVar("Item")
Value = TypeVar("Value")
Item_co = TypeVar("Item_co", covariant=True)
Value_co = TypeVar("Value_co", covariant=True)

ITEMS = Requirement("an iterable, sync or async", lambda value: isinstance(value, (Iterable, AsyncIterable)))
OPERATION = Requirement("an async function of one item", callable)
END: Any = object()


@frozen
class Ok(Generic[Item_co, Value_co]):
    """The operation's return value for an item.

    `item` is the item:

        async for result in fan_out(["acme"], lambda name: chatloom.list_agents()):
            print(result.item, len(result.value))  # acme 2
    """

    item: Item_co
    value: Value_co


@frozen
class Err(Generic[Item_co]):
    """The exception that the operation raised for an item.

    The other items continue:

        async for result in fan_out(["agt_gone"], chatloom.get_allowed_domains):
            print(result.item, type(result.error).__name__)  # agt_gone NotFoundError
    """

    item: Item_co
    error: BaseException


def fan_out(
    items: Iterable[Item] | AsyncIterable[Item],
    operation: Callable[[Item], Awaitable[Value]],
    *,
    concurrency: int = 64,
) -> AsyncGenerator[Ok[Item, Value] | Err[Item], None]:
    """Runs `operation(item)` for every item, `concurrency` at a time, and yields the results in completion order.

        async for result in fan_out(keys, lambda key: chatloom.with_key(key).list_agents()):
            match result:
                case Ok(key, agents): ...
                case Err(key, error): ...

    `items` may be of any length, sync or async. They are consumed lazily (back-pressure): at most 2 x `concurrency`
    items are in memory.

    Every item that was read is yielded once. Err holds any exception that the operation raised, including TypeError
    (a wrong signature) and CancelledError (the operation was cancelled). Two things end the fan-out instead:

    - Reading `items` fails or is cancelled: the results of the items read so far come first, then that exception.
    - An operation raises a BaseException that is not an Exception, such as SystemExit: it is raised after the results
      that are ready, and the other operations are cancelled.

    Leaving the loop early cancels what is running; `contextlib.aclosing` makes that immediate.
    Raises ConfigurationError at once for an invalid argument, such as a `concurrency` of 0.
    """
    ITEMS.check("items", items)
    OPERATION.check("operation", operation)
    COUNT.check("concurrency", concurrency)
    return _results(items, operation, concurrency)


async def _results(
    items: Iterable[Item] | AsyncIterable[Item], operation: Callable[[Item], Awaitable[Value]], concurrency: int
) -> AsyncGenerator[Ok[Item, Value] | Err[Item], None]:
    workers = _Workers(items, operation, concurrency)
    try:
        while True:
            if 2 * len(workers.ready) < concurrency:
                workers.start_one()
            if workers.ready:
                yield workers.ready.popleft()
            elif workers.tasks and workers.crash is None:
                await workers.news()
            else:
                break
        error = workers.read_error if workers.crash is None else workers.crash
        if error is not None:  # an exception may be falsy
            raise error
    finally:
        await workers.stop()


class _Workers(Generic[Item, Value]):
    """Tasks that read items and run the operation on them. `ready` holds the results not yielded yet.

    A worker awaits only the source and the operation. It puts its result into `ready` and reads the next item. It ends
    if `ready` is full, if another worker is reading, or if its task was cancelled. So a cancellation can arrive at only
    two points, and a worker never waits for ever. `_results` starts new workers.
    """

    def __init__(
        self,
        items: Iterable[Item] | AsyncIterable[Item],
        operation: Callable[[Item], Awaitable[Value]],
        concurrency: int,
    ) -> None:
        self.ready: deque[Ok[Item, Value] | Err[Item]] = deque()
        self.tasks: set[asyncio.Task[None]] = set()
        self.read_error: BaseException | None = None
        self.crash: BaseException | None = None
        self._operation, self._concurrency = operation, concurrency
        self._async_items = aiter(items) if isinstance(items, AsyncIterable) else None
        self._items = iter(()) if isinstance(items, AsyncIterable) else iter(items)
        self._starting: asyncio.Task[None] | None = None  # a worker that has not run yet
        self._reading = False  # async iterators cannot be asked for two items at once
        self._exhausted = False
        self._loop = asyncio.get_running_loop()
        self._news: asyncio.Future[None] = self._loop.create_future()

    def start_one(self) -> None:
        """Starts a worker if one more can read; once it has its item, it starts the next."""
        if not (self._starting or self._reading) and len(self.tasks) < self._concurrency and self._may_read():
            # A plain Task, whatever the loop's task factory makes: an eager one would run before it is counted.
            self._starting = asyncio.Task(self._work(), loop=self._loop)
            self.tasks.add(self._starting)
            self._starting.add_done_callback(self._ended)

    async def news(self) -> None:
        """Waits for a result or the end of a worker."""
        self._news = self._loop.create_future()
        await self._news

    async def stop(self) -> None:
        """Cancels all workers and waits for their end. A cancellation during the wait is passed on to them."""
        self._exhausted, again = True, None
        others = self.tasks - {asyncio.current_task()}  # an operation may close its own fan-out
        _cancel(others)
        while others & self.tasks:
            try:
                await self.news()
            except asyncio.CancelledError as cancelled:
                again = cancelled
                _cancel(others)
        self.ready.clear()
        if again is not None:
            raise again

    def _may_read(self) -> bool:
        return len(self.ready) <= self._concurrency and not self._exhausted

    async def _work(self) -> None:
        task, self._starting = self._starting, None
        # A cancellation ends the worker even if the operation swallowed it: the next item must not inherit it.
        while self._may_read() and not self._reading and not (task and task.cancelling()):
            item = await self._read()
            if self._exhausted:
                break
            self.start_one()
            self.ready.append(await _result(item, self._operation))
            self._tell()

    async def _read(self) -> Any:
        """The next item. At the end, or if reading fails, sets `_exhausted` and returns a meaningless value."""
        self._reading = True
        try:
            item: Any = next(self._items, END) if self._async_items is None else await self._async_items.__anext__()
        except StopAsyncIteration:
            item = END
        except BaseException as error:
            item, self.read_error = END, error
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise  # the event loop stops
        finally:
            self._reading = False
        self._exhausted = self._exhausted or item is END
        return item

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if task is self._starting:  # cancelled before it could read
            self._starting = None
            if not self.tasks and not self._exhausted:  # otherwise repeated cancellations would keep this busy for ever
                self._exhausted, self.read_error = True, asyncio.CancelledError()
        elif not task.cancelled() and (error := task.exception()) is not None:
            self._exhausted, self.crash = True, error if self.crash is None else self.crash
        self._tell()

    def _tell(self) -> None:
        if not self._news.done():
            self._news.set_result(None)


def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()


async def _result(item: Item, operation: Callable[[Item], Awaitable[Value]]) -> Ok[Item, Value] | Err[Item]:
    """Runs the operation. A separate function: the traceback of an Err refers to its frame, and so only to its item."""
    try:
        return Ok(item, await operation(item))
    except (Exception, asyncio.CancelledError) as error:
        return Err(item, error)
