"""Opens a database of audits, begins and resumes runs, and reads what earlier runs left."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from sqlite3 import Connection

from attrs import evolve, frozen

from ...wire.base_url import origin
from ...wire.version import VERSION
from ..values import Row
from . import queries
from .database import is_being_written, readable, writable
from .errors import ConfigurationChangedError, NothingToResumeError
from .plan import Plan
from .run import Run
from .thread import DatabaseThread
from .values import RunConfig, RunInfo, Stored


def system_now() -> datetime:
    """The moment, in UTC."""
    return datetime.now(UTC)


@asynccontextmanager
async def open_store(
    path: Path | str, *, write: bool = True, now: Callable[[], datetime] = system_now
) -> AsyncIterator["Store"]:
    """The store in this file, which is created if need be; closed, with all that was committed, at the end.

    One process at a time may write; another gets StoreInUseError at once. With `write=False` the file must exist
    and is only read, also while an audit writes. Raises StoreError for a file that cannot be used.
    """
    file = Path(path)
    thread = DatabaseThread(file, "BEGIN IMMEDIATE" if write else "BEGIN")
    try:
        await thread.start(writable(file) if write else readable(file))
        (salt,) = await thread.call(lambda connection: connection.execute("SELECT salt FROM store").fetchone())
        yield Store(file, thread, salt, now, write)
    finally:
        await thread.stop()


@frozen(eq=False)
class Store:
    """Made by `open_store`. All that was ever acknowledged is in it, for as long as the file exists."""

    path: Path
    _thread: DatabaseThread
    _salt: bytes
    _now: Callable[[], datetime]
    _writes: bool

    async def begin(self, config: RunConfig) -> Run:
        """A new run. Runs that never ended are interrupted from now on.

        Raises StoreUsageError where two workspaces have one name.
        """
        return self._run(await self._thread.call(partial(self._begin, plan=Plan(config, self._salt))))

    async def resume(self, config: RunConfig) -> Run:
        """The last run, to be continued: with what it did not reach, and with what failed, also once it was finished.

        Raises NothingToResumeError where there is nothing of that, and ConfigurationChangedError, which says what
        changed, where the run was begun with another configuration.
        """
        return self._run(await self._thread.call(partial(self._resume, plan=Plan(config, self._salt))))

    async def runs(self) -> list[RunInfo]:
        """Every run, oldest first."""
        return await self._truly(queries.runs)

    async def run_info(self, run_id: int) -> RunInfo:
        """Raises NoSuchRunError."""
        (info,) = await self._truly(lambda connection: [queries.one_run(connection, run_id)])
        return info

    async def _truly(self, query: Callable[[Connection], list[RunInfo]]) -> list[RunInfo]:
        """Without saying "running" of an audit that was killed. What was running, and is not held by anybody since,
        has either said how it ended in the meantime, or never will."""
        found = await self._thread.call(query)
        running = not self._writes and any(each.state == "running" for each in found)
        if not running or await asyncio.to_thread(is_being_written, self.path):
            return found
        found = await self._thread.call(query)
        return [evolve(each, state="interrupted") if each.state == "running" else each for each in found]

    async def workspaces(self, run_id: int) -> AsyncGenerator[Stored, None]:
        """Every workspace of the run, by name; also those that were not reached, and those that were on its list, but
        not selected. 64 at a time are in memory.

        Raises NoSuchRunError, and StoreDamagedError at a row that cannot be read.
        """
        await self.run_info(run_id)
        after = None
        while stored := await self._thread.call(partial(queries.page, run=run_id, after=after)):
            for each in stored:
                yield each
            after = stored[-1].workspace

    async def rows(self, run_id: int, *, failed: bool = True) -> AsyncGenerator[Row, None]:
        """The rows of the run, by workspace; without `failed`, those that a resumed run keeps."""
        async for each in self.workspaces(run_id):
            if each.row is not None and (failed or each.row.state != "failed"):
                yield each.row

    async def known_findings(self, run_id: int, ids: Iterable[str]) -> frozenset[str]:
        """Those of the ids under which something was found in that run, in whatever workspace."""
        return await self._thread.call(partial(queries.known_findings, run=run_id, ids=frozenset(ids)))

    def _run(self, run_id: int) -> Run:
        return Run(run_id, self._thread, self._salt, self._now)

    def _begin(self, connection: Connection, plan: Plan) -> int:
        connection.execute("UPDATE runs SET state = 'interrupted' WHERE state = 'running'")
        base_url = plan.config.base_url
        command = json.dumps(plan.config.command)
        values = (self._now().isoformat(), plan.digest, plan.options, VERSION, origin(base_url), command)
        (run,) = connection.execute(
            """INSERT INTO runs (started, state, digest, options, version, origin, command)
            VALUES (?, 'running', ?, ?, ?, ?, ?) RETURNING id""",
            values,
        ).fetchone()
        plan.insert(connection, run)
        return int(run)

    def _resume(self, connection: Connection, plan: Plan) -> int:
        query = "SELECT id, state, digest, options FROM runs ORDER BY id DESC LIMIT 1"
        run, state, digest, options = connection.execute(query).fetchone() or (0, "finished", b"", "")
        if state == "finished" and not (run and queries.one_run(connection, run).failed):
            done = f"Run {run} is finished, and none of its workspaces failed"
            raise NothingToResumeError(done if run else "No run was begun yet")
        if digest != plan.digest:
            changes = "; ".join(plan.changes(connection, run, options))
            raise ConfigurationChangedError(f"Run {run} was begun with another configuration: {changes}")
        ended = queries.one_run(connection, run).finished
        pause = 0.0 if ended is None else (self._now() - ended).total_seconds()
        values = (max(0.0, pause), run)  # a clock may have been put back
        connection.execute(
            "UPDATE runs SET state = 'running', finished = NULL, paused = paused + ? WHERE id = ?", values
        )
        return int(run)
