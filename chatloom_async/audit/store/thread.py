"""Runs database work in its own thread, several pieces in one transaction, and reports when it is durable.

Work is a function of the connection. It may be run again after a rollback, so it must only use the connection. Its
result or error arrives in the event loop after the transaction was committed.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from itertools import groupby
from pathlib import Path
from queue import SimpleQueue
from sqlite3 import Connection
from threading import Thread
from typing import Any, Generic, TypeVar

from attrs import frozen

from .errors import StoreError, StoreUsageError, translated

T = TypeVar("T")
Item = TypeVar("Item")
Work = Callable[[Connection], T]
Result = tuple[asyncio.Future[Any], Any, Exception | None]

BATCH = 32
"""Pieces of work that are committed without waiting for more: half of the workspaces in progress, so that the others
continue."""

INTERVAL = 0.05
"""Seconds from one commit to the next, unless a batch is full. A single row is committed at once."""

ROOM = 256
"""Pieces of work that may wait for the disk. Further callers wait until there is room."""


@frozen(eq=False)
class Job:
    """One piece of work or some items to write, and the future that waits for it."""

    done: asyncio.Future[Any]
    work: Work[Any]
    items: tuple[Any, ...] = ()


class DatabaseThread(Generic[Item]):
    """`start`, then `call` and `write` from the event loop that started it, then `stop`.

    Work is collected in the event loop and handed over in batches. One call of `put` writes all items of a batch.
    Without this, the interpreter's lock changed hands ten times for each row, which cost more than the row itself.
    """

    def __init__(self, path: Path, begin: str, put: Callable[[Connection, Sequence[Item]], None]) -> None:
        self._path, self._begin, self._put = path, begin, put
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(ROOM)
        self._waiting: list[Job] = []
        self._batches: SimpleQueue[list[Job]] = SimpleQueue()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._open = self._serving = True
        self._busy = self._urgent = False
        self._next_commit = 0.0

    async def start(self, database: AbstractContextManager[Connection]) -> None:
        """Opens the database in the thread, and raises what that raises."""
        started = self._loop.create_future()
        thread = Thread(target=self._serve, args=(database, started), name=f"chatloom {self._path.name}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system allows no more threads
            self._ended.set_result(None)
        else:
            await started
            return
        raise StoreError(f"{self._path}: no thread can be started for the database")

    async def call(self, work: Work[T]) -> T:
        """What the work returns, once it is durable. It is done at once, after all earlier work."""
        self._urgent = True
        return await self._do(work)

    async def write(self, item: Item) -> None:
        """Returns when the item is durable. Many may wait at once and share one commit."""
        async with self._room:
            await self._do(lambda _: None, (item,))

    async def stop(self) -> None:
        """Returns when all work is done and the database is closed."""
        self._open = False
        self._urgent = True
        self._add(Job(self._loop.create_future(), self._leave))
        await asyncio.shield(self._ended)

    async def _do(self, work: Work[T], items: tuple[Item, ...] = ()) -> T:
        if not self._open:
            raise StoreUsageError(f"{self._path}: the store is closed; use it inside `async with open_store(...)`")
        done: asyncio.Future[T] = self._loop.create_future()
        self._add(Job(done, work, items))
        return await done

    def _add(self, job: Job) -> None:
        self._waiting.append(job)
        self._hand_over()

    def _hand_over(self) -> None:
        """Gives the thread all that waits: now if it is urgent or a full batch, otherwise when the next commit is due.
        That is the loop's next step at the earliest, because several rows often come in one step."""
        if self._busy or not self._waiting:
            return
        if self._urgent or len(self._waiting) >= BATCH:
            self._give()
        elif self._timer is None:
            self._timer = self._loop.call_at(self._next_commit, self._give)

    def _give(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._waiting = self._waiting, []
        self._busy, self._urgent = True, False
        self._batches.put(batch)

    def _committed(self, results: list[Result]) -> None:
        _resolve(results)
        self._busy, self._next_commit = False, self._loop.time() + INTERVAL
        self._hand_over()

    def _serve(self, database: AbstractContextManager[Connection], started: asyncio.Future[None]) -> None:
        """The whole life of the thread."""
        problem: Exception | None = None
        try:
            with database as connection:
                self._tell(_resolve, [(started, None, None)])
                while self._serving:
                    self._tell(self._committed, self._commit(connection, self._batches.get()))
        except Exception as error:
            problem = error
        self._tell(_resolve, [(started, None, problem), (self._ended, None, None)])

    def _commit(self, connection: Connection, batch: list[Job]) -> list[Result]:
        """Runs all in one transaction. If it fails, runs each in its own, so that a failure affects only one."""
        try:
            with translated(self._path), connection:
                connection.execute(self._begin)
                return list(self._results(connection, batch))
        except Exception as problem:
            if len(batch) > 1:
                return [result for job in batch for result in self._commit(connection, [job])]
            return [(batch[0].done, None, problem)]

    def _results(self, connection: Connection, batch: list[Job]) -> Iterator[Result]:
        """Does all in order. Items that no other work comes between are put together."""
        for writes, jobs in groupby(batch, lambda job: bool(job.items)):
            some = list(jobs)
            if writes:
                self._put(connection, [item for job in some for item in job.items])
            yield from ((job.done, job.work(connection), None) for job in some)

    def _leave(self, _: Connection) -> None:
        self._serving = False

    def _tell(self, callback: Callable[[list[Result]], None], results: list[Result]) -> None:
        with suppress(RuntimeError):  # the loop is closed, so nobody waits any more
            self._loop.call_soon_threadsafe(callback, results)


def _resolve(results: list[Result]) -> None:
    for done, value, problem in results:
        if done.done():  # its caller was cancelled
            continue
        if problem is None:
            done.set_result(value)
        else:
            done.set_exception(problem)
