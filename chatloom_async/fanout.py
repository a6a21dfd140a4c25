"""Turns one operation and many items into results as they complete, in bounded memory.

Every item comes back exactly once, as `Ok` or as `Err`; a failing item never cancels its siblings.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from typing import Generic, TypeVar

from attrs import frozen

from .wire.validation import COUNT, Requirement

Item = TypeVar("Item")
Value = TypeVar("Value")
Item_co = TypeVar("Item_co", covariant=True)
Value_co = TypeVar("Value_co", covariant=True)

ITEMS = Requirement("an iterable, sync or async", lambda value: isinstance(value, (Iterable, AsyncIterable)))
OPERATION = Requirement("an async function of one item", callable)


@frozen
class Ok(Generic[Item_co, Value_co]):
    """What the operation returned for an item.

    With the item that it is for:

        async for result in fan_out(["acme"], lambda name: chatloom.list_agents()):
            print(result.item, len(result.value))  # acme 2
    """

    item: Item_co
    value: Value_co


@frozen
class Err(Generic[Item_co]):
    """What the operation raised for an item.

    With the item that it is for; the others go on:

        async for result in fan_out(["agt_gone"], chatloom.get_allowed_domains):
            print(result.item, type(result.error).__name__)  # agt_gone NotFoundError
    """

    item: Item_co
    error: BaseException


@frozen
class Ended:
    """A worker found no more items; `problem` is what the source of the items raised, if it did."""

    problem: BaseException | None = None


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

    `items` may be of any length, sync or async; it is read only as fast as results are taken, so that at most
    2 x `concurrency` items are in memory. If reading it fails, the results of what was read come first, then the
    exception. Leaving the loop early cancels what is running; `contextlib.aclosing` makes that immediate.
    Raises ConfigurationError at once where an argument cannot be one, such as a `concurrency` of 0.
    """
    ITEMS.check("items", items)
    OPERATION.check("operation", operation)
    COUNT.check("concurrency", concurrency)
    return _results(_as_async(items), operation, concurrency)


async def _results(
    source: AsyncGenerator[Item, None], operation: Callable[[Item], Awaitable[Value]], concurrency: int
) -> AsyncGenerator[Ok[Item, Value] | Err[Item], None]:
    loop = asyncio.get_running_loop()  # whose tasks may be eager: a plain Task never begins before it is counted
    turn = asyncio.Lock()  # async iterators cannot be asked for two items at once
    results: asyncio.Queue[Ok[Item, Value] | Err[Item] | Ended] = asyncio.Queue(concurrency)
    workers: set[asyncio.Task[None]] = set()

    async def work() -> None:
        end = Ended()
        try:
            while True:
                async with turn:
                    item = await anext(source)
                if len(workers) < concurrency:
                    workers.add(asyncio.Task(work(), loop=loop))
                await results.put(await _result(item, operation))
        except StopAsyncIteration:
            pass
        except BaseException as problem:
            if _must_go(problem):
                raise
            end = Ended(problem)
        await results.put(end)

    workers.add(asyncio.Task(work(), loop=loop))
    problem, ended = None, 0
    try:
        while ended < len(workers):
            result = await results.get()
            if isinstance(result, Ended):
                problem, ended = problem or result.problem, ended + 1
            else:
                yield result
        if problem is not None:
            raise problem
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await source.aclose()


async def _result(item: Item, operation: Callable[[Item], Awaitable[Value]]) -> Ok[Item, Value] | Err[Item]:
    try:
        return Ok(item, await operation(item))
    except (Exception, asyncio.CancelledError) as error:
        if _must_go(error):
            raise
        return Err(item, error)


def _must_go(problem: BaseException) -> bool:
    """Whether this ends the task that it is raised in. A CancelledError does not where nobody cancelled the task:
    then an operation, or the source, cancelled only itself."""
    task = asyncio.current_task()
    return isinstance(problem, (KeyboardInterrupt, SystemExit)) or task is None or task.cancelling() > 0


async def _as_async(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncGenerator[Item, None]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
