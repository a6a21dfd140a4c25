"""Runs database work in its own thread, several pieces in one transaction, and reports when it is durable.

Work is a function of the connection. It may be run again after a rollback, so it must only use the connection. Its
result or error arrives in the event loop after the transaction was committed.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from sqlite3 import Connection
from threading import Thread
from typing import Any, TypeVar

from attrs import frozen

from .errors import StoreError, StoreUsageError, translated

T = TypeVar("T")
Work = Callable[[Connection], T]
Result = tuple[asyncio.Future[Any], Any, Exception | None]

BATCH = 32
"""Pieces of work in one transaction at most: half of the workspaces in progress, so that the others continue."""

INTERVAL = 0.05
"""Seconds from one commit to the next, unless a batch is full. A single row is committed at once."""

ROOM = 256
"""Pieces of work that may wait for the disk. Further callers wait until there is room."""


@frozen(eq=False)
class Job:
    """One piece of work, and the future that waits for it. `urgent` work is committed without waiting for more."""

    work: Work[Any]
    done: asyncio.Future[Any]
    urgent: bool


class DatabaseThread:
    """`start`, then `call` and `write` from the event loop that started it, then `stop`."""

    def __init__(self, path: Path, begin: str) -> None:
        self._path, self._begin = path, begin
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(ROOM)
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._open = self._serving = True
        self._committed = 0.0

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
        return await self._do(work, urgent=True)

    async def write(self, work: Work[None]) -> None:
        """Returns when the work is durable. Many may wait at once and share one commit."""
        async with self._room:
            await self._do(work, urgent=False)

    async def stop(self) -> None:
        """Returns when all work is done and the database is closed."""
        self._open = False
        self._jobs.put(Job(self._leave, self._loop.create_future(), urgent=True))
        await asyncio.shield(self._ended)

    async def _do(self, work: Work[T], *, urgent: bool) -> T:
        if not self._open:
            raise StoreUsageError(f"{self._path}: the store is closed; use it inside `async with open_store(...)`")
        done: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(Job(work, done, urgent))
        return await done

    def _serve(self, database: AbstractContextManager[Connection], started: asyncio.Future[None]) -> None:
        """The whole life of the thread."""
        try:
            with database as connection:
                self._report([(started, None, None)])
                while self._serving:
                    self._commit(connection, self._batch(self._jobs.get()))
        except Exception as problem:
            self._report([(started, None, problem)])
        self._report([(self._ended, None, None)])

    def _batch(self, job: Job) -> list[Job]:
        batch = [job]
        while not job.urgent and len(batch) < BATCH:
            try:
                job = self._jobs.get(timeout=max(0.0, self._committed + INTERVAL - time.monotonic()))
            except Empty:
                break
            batch.append(job)
        return batch

    def _commit(self, connection: Connection, batch: list[Job]) -> None:
        """Runs all in one transaction. If it fails, runs each in its own, so that a failure affects only one."""
        try:
            with translated(self._path), connection:
                connection.execute(self._begin)
                results: list[Result] = [(job.done, job.work(connection), None) for job in batch]
        except Exception as problem:
            if len(batch) > 1:
                for job in batch:
                    self._commit(connection, [job])
                return
            results = [(batch[0].done, None, problem)]
        self._committed = time.monotonic()
        self._report(results)

    def _leave(self, _: Connection) -> None:
        self._serving = False

    def _report(self, results: list[Result]) -> None:
        with suppress(RuntimeError):  # the loop is closed, so nobody waits any more
            self._loop.call_soon_threadsafe(_resolve, results)


def _resolve(results: list[Result]) -> None:
    for done, value, problem in results:
        if done.done():  # its caller was cancelled
            continue
        if problem is None:
            done.set_result(value)
        else:
            done.set_exception(problem)
