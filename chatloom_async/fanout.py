"""Turns one operation and many items into results as they complete, in bounded memory.

Every item comes back exactly once, as `Ok` or as `Err`; a failing item never cancels its siblings.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Generic, TypeVar

from attrs import frozen

from .wire.errors import ConfigurationError

Item = TypeVar("Item")
Value = TypeVar("Value")
Item_co = TypeVar("Item_co", covariant=True)
Value_co = TypeVar("Value_co", covariant=True)


@frozen
class Ok(Generic[Item_co, Value_co]):
    """What the operation returned for an item."""

    item: Item_co
    value: Value_co


@frozen
class Err(Generic[Item_co]):
    """What the operation raised for an item."""

    item: Item_co
    error: BaseException


@frozen
class Ended:
    """A worker found no more items; `problem` is what the source of the items raised, if it did."""

    problem: Exception | None = None


async def fan_out(
    items: Iterable[Item] | AsyncIterable[Item],
    operation: Callable[[Item], Awaitable[Value]],
    *,
    concurrency: int = 64,
) -> AsyncGenerator[Ok[Item, Value] | Err[Item], None]:
    """Runs `operation(item)` for every item, `concurrency` at a time, and yields the results in completion order.

        async for result in fan_out(keys, lambda key: client.with_key(key).list_agents()):
            match result:
                case Ok(key, agents): ...
                case Err(key, error): ...

    `items` may be of any length, sync or async; it is read only as fast as results are taken, so that at most
    2 x `concurrency` items are in memory. If reading it fails, the results of what was read come first, then the
    exception. Leaving the loop early cancels what is running; `contextlib.aclosing` makes that immediate.
    Raises ConfigurationError where `concurrency` is less than 1.
    """
    if concurrency < 1:
        raise ConfigurationError(f"concurrency must be at least 1, not {concurrency}")
    source = _as_async(items)
    turn = asyncio.Lock()  # async iterators cannot be asked for two items at once
    results: asyncio.Queue[Ok[Item, Value] | Err[Item] | Ended] = asyncio.Queue(concurrency)
    workers: set[asyncio.Task[None]] = set()

    async def work() -> None:
        while True:
            try:
                async with turn:
                    item = await anext(source)
            except StopAsyncIteration:
                return await results.put(Ended())
            except Exception as problem:
                return await results.put(Ended(problem))
            if len(workers) < concurrency:
                workers.add(asyncio.create_task(work()))
            await results.put(await _result(item, operation))

    workers.add(asyncio.create_task(work()))
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


async def _result(item: Item, operation: Callable[[Item], Awaitable[Value]]) -> Ok[Item, Value] | Err[Item]:
    try:
        return Ok(item, await operation(item))
    except Exception as error:
        return Err(item, error)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return Err(item, error)  # the operation cancelled itself; nobody cancelled the fan-out


async def _as_async(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[Item]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
