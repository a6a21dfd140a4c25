"""Opens a database of audits, begins and resumes runs, stores the rows of a run, and reads earlier runs."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from sqlite3 import Connection
from typing import Literal

from attrs import Factory, evolve, field, frozen

from ...wire.auth import ApiKey
from ...wire.base_url import origin
from ...wire.version import VERSION
from ..values import Row, Workspace
from .errors import ConfigurationChangedError, NoSuchRunError, NothingToResumeError, StoreLostError, StoreUsageError
from .locking import File, identity, is_being_written
from .runs import KeptRow, Plan, RunConfig, RunInfo, StoredWorkspace, expectation_digest, key_fingerprint
from .sqlite import (
    NewRow,
    amend_rows,
    are_comparable,
    kept_page,
    known_findings,
    one_run,
    page,
    put_rows,
    readable,
    runs,
    undone,
    writable,
)
from .thread import DatabaseThread

CHUNK = 500


@frozen(eq=False)
class Run:
    """Made by `Store.begin` and `Store.resume`. `id` is its number in the store.

    `salt` is an argument of `key_fingerprint`, for keys that are read on another machine.
    """

    id: int
    _thread: DatabaseThread[NewRow]
    salt: bytes = field(repr=False)
    _now: Callable[[], datetime]
    _check_file: Callable[[Connection], None] = field(repr=False)

    def fingerprint(self, key: ApiKey) -> str:
        """A text that stands for the key: the same in every run of this file, and another one in other files."""
        return key_fingerprint(key, self.salt)

    async def commit(self, row: Row, key: ApiKey | None = None) -> None:
        """Returns when the row is durable: it survives the end of the process and of the power from then on.

        A workspace has one row in a run: a second one replaces it. `key` is what the workspace was read with; only a
        fingerprint of it is stored. Many callers may wait at once, and should: they share one commit. If the call is
        cancelled, the row may be stored or not. Raises StoreUsageError for a workspace that is not part of the run,
        and StoreError, such as StoreFullError.
        """
        await self.put(row, None if key is None else self.fingerprint(key))

    async def put(self, row: Row, fingerprint: str | None) -> None:
        """Like `commit`, with a fingerprint that was made with `salt` on the machine that has the key."""
        await self._thread.write(NewRow(self.id, row, fingerprint))

    async def amend(self, rows: Sequence[Row]) -> None:
        """Replaces rows that were committed by rows with findings that follow from the whole run."""
        await self._thread.call(partial(amend_rows, run=self.id, rows=rows))

    async def pending(self, workspaces: Iterable[Workspace]) -> AsyncGenerator[Workspace, None]:
        """The workspaces that have no row yet, or only a failed one, in the order given. It asks for 500 at a time.

        An ok or a partial row is kept, since another attempt may read less.
        """
        source = iter(workspaces)
        while chunk := list(islice(source, CHUNK)):
            names = [workspace.name for workspace in chunk]
            wanted = await self._thread.call(partial(undone, run=self.id, names=names))
            for workspace in chunk:
                if workspace.name in wanted:
                    yield workspace

    async def finish(self, state: Literal["finished", "interrupted"] = "finished") -> None:
        """Ends the run; an interrupted one can be resumed. A run that is not ended counts as interrupted later on.

        Raises StoreUsageError if it should be "finished" and a workspace has no row, and StoreLostError if the file is
        no longer in its place.
        """
        await self._thread.call(partial(self._finish, state=state))
        await self._thread.call(self._check_file)

    def _finish(self, connection: Connection, state: str) -> None:
        missing = one_run(connection, self.id).pending
        if state == "finished" and missing:
            raise StoreUsageError(f"Run {self.id} cannot be finished: workspaces without a row: {missing}")
        end = (self._now().isoformat(), state, self.id)
        connection.execute("UPDATE runs SET finished = ?, state = ? WHERE id = ?", end)


def system_now() -> datetime:
    """The moment, in UTC."""
    return datetime.now(UTC)


@asynccontextmanager
async def open_store(
    path: Path | str, *, write: bool = True, now: Callable[[], datetime] = system_now
) -> AsyncIterator["Store"]:
    """The store in this file, which is created if it does not exist.

    One process at a time may write; a second one gets StoreInUseError at once. With `write=False` the file must exist
    and is only read, also while an audit writes. Open a file with several hard links by the same one every time: the
    last changes of a run that was killed are in a file next to it. Raises StoreError for a file that cannot be used.
    """
    file = Path(path)
    thread = DatabaseThread(file, "BEGIN IMMEDIATE" if write else "BEGIN", put_rows)
    try:
        await thread.start(writable(file) if write else readable(file))
        (salt,), opened = await thread.call(
            lambda connection: (connection.execute("SELECT salt FROM store").fetchone(), identity(file))
        )
        yield Store(file, thread, salt, now, write, opened)
    finally:
        await thread.stop()


@frozen(eq=False)
class Store:
    """Made by `open_store`. It has every row that was acknowledged, for as long as the file exists."""

    path: Path
    _thread: DatabaseThread[NewRow]
    _salt: bytes = field(repr=False)
    _now: Callable[[], datetime]
    _writes: bool
    _identity: File
    _absolute: Path = field(init=False, default=Factory(lambda store: store.path.absolute(), takes_self=True))

    async def begin(self, config: RunConfig) -> Run:
        """A new run. Runs that never ended are interrupted from now on.

        Raises StoreUsageError if two workspaces have one name.
        """
        return self._run(await self._thread.call(partial(self._begin, plan=Plan(config, self._salt))))

    async def resume(self, config: RunConfig) -> Run:
        """The last run, to be continued with the workspaces that it did not reach or that failed.

        Raises NothingToResumeError if there are none, and ConfigurationChangedError, which says what changed, if the
        run was begun with another configuration.
        """
        return self._run(await self._thread.call(partial(self._resume, plan=Plan(config, self._salt))))

    async def runs(self) -> list[RunInfo]:
        """Every run, oldest first."""
        return await self._truly(runs)

    async def run_info(self, run_id: int) -> RunInfo:
        """Raises NoSuchRunError."""
        (info,) = await self._truly(lambda connection: [one_run(connection, run_id)])
        return info

    async def newest_complete(self, *, before: int | None = None) -> RunInfo | None:
        """The newest run that read everything it was asked to (`RunInfo.complete`), or None: a baseline.

        With `before`, a run's number, only earlier runs that are comparable to that one: at the same address, with a
        workspace in common, and without having left out one of its workspaces by a filter. Raises NoSuchRunError.
        """
        candidates = [info for info in await self._earlier(before) if info.complete]
        return candidates[-1] if candidates else None

    async def run_before(self, run_id: int) -> RunInfo:
        """The newest earlier run that is comparable to this one, as in `newest_complete`, and was not interrupted; if
        all were interrupted, the newest of them. Raises NoSuchRunError, also if there is none."""
        earlier = await self._earlier(run_id)
        candidates = [info for info in earlier if info.state == "finished"] or earlier
        if not candidates:
            raise NoSuchRunError(f"There is no run before run {run_id} that can be compared with it")
        return candidates[-1]

    async def _earlier(self, run_id: int | None) -> list[RunInfo]:
        """Every run, or those that came before this one and are comparable to it; oldest first."""
        if run_id is None:
            return await self.runs()
        await self.run_info(run_id)
        return await self._truly(
            lambda connection: [
                info for info in runs(connection) if info.id < run_id and are_comparable(connection, run_id, info.id)
            ]
        )

    async def _truly(self, query: Callable[[Connection], list[RunInfo]]) -> list[RunInfo]:
        """Reports a killed run as interrupted: if no process holds the write lock, no run is running. The query is
        repeated, because the run may have ended in the meantime."""
        infos = await self._thread.call(query)
        if self._writes or all(info.state != "running" for info in infos):
            return infos
        if await asyncio.to_thread(is_being_written, self._absolute):
            return infos
        infos = await self._thread.call(query)
        return [evolve(info, state="interrupted") if info.state == "running" else info for info in infos]

    async def workspaces(self, run_id: int) -> AsyncGenerator[StoredWorkspace, None]:
        """Every workspace of the run, by name, including those that were not reached or not selected. 64 at a time are
        in memory.

        Raises NoSuchRunError, and StoreDamagedError at a row that cannot be read.
        """
        await self.run_info(run_id)
        after, nothing = None, expectation_digest(None, self._salt)
        while workspaces := await self._thread.call(partial(page, run=run_id, after=after, nothing=nothing)):
            for workspace in workspaces:
                yield workspace
            after = workspaces[-1].workspace

    async def rows(self, run_id: int) -> AsyncGenerator[Row, None]:
        """The rows of the run, by workspace."""
        async for workspace in self.workspaces(run_id):
            if workspace.row is not None:
                yield workspace.row

    async def kept(self, run_id: int) -> AsyncGenerator[KeptRow, None]:
        """The rows that a resumed run keeps, by workspace. Raises StoreDamagedError at a row that cannot be read."""
        after = None
        while rows := await self._thread.call(partial(kept_page, run=run_id, after=after)):
            for kept in rows:
                yield kept
            after = rows[-1].workspace

    async def known_findings(self, run_id: int, ids: Iterable[str]) -> frozenset[str]:
        """Those of the ids that a finding of that run has, in any workspace."""
        return await self._thread.call(partial(known_findings, run=run_id, ids=list(frozenset(ids))))

    def _run(self, run_id: int) -> Run:
        return Run(run_id, self._thread, self._salt, self._now, self._check_file)

    def _check_file(self, _: Connection) -> None:
        if identity(self._absolute) != self._identity:
            raise StoreLostError(f"{self.path}: the file was moved, removed or replaced, so the run is not in it")

    def _begin(self, connection: Connection, plan: Plan) -> int:
        connection.execute("UPDATE runs SET state = 'interrupted' WHERE state = 'running'")
        base_url = plan.config.base_url
        values = (self._now().isoformat(), plan.digest, plan.options, VERSION, origin(base_url))
        (run,) = connection.execute(
            """INSERT INTO runs (started, state, digest, options, version, origin)
            VALUES (?, 'running', ?, ?, ?, ?) RETURNING id""",
            values,
        ).fetchone()
        plan.insert(connection, run)
        return int(run)

    def _resume(self, connection: Connection, plan: Plan) -> int:
        query = "SELECT id, state, digest, options FROM runs ORDER BY id DESC LIMIT 1"
        run, state, digest, options = connection.execute(query).fetchone() or (0, "finished", b"", "")
        if state == "finished" and not (run and one_run(connection, run).failed):
            done = f"Run {run} is finished, and none of its workspaces failed"
            raise NothingToResumeError(done if run else "No run was begun yet")
        if digest != plan.digest:
            changes = "; ".join(plan.changes(connection, run, options))
            raise ConfigurationChangedError(f"Run {run} was begun with another configuration: {changes}")
        ended = one_run(connection, run).finished
        pause = 0.0 if ended is None else (self._now() - ended).total_seconds()
        values = (max(0.0, pause), run)  # a clock may have been put back
        connection.execute(
            "UPDATE runs SET state = 'running', finished = NULL, paused = paused + ? WHERE id = ?", values
        )
        return int(run)
