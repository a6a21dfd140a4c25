"""Where the rows of an audit come from and go to: with --db a run in a database, new or resumed; else just through."""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from attrs import frozen

from ..audit.rules import Evidence, Judge
from ..audit.store import NothingToResumeError, Run, RunConfig, RunInfo, Store, open_store
from ..audit.values import Row, Workspace
from ..wire.errors import ConfigurationError
from .options import History


class ResumeError(ConfigurationError):
    """A run is to be continued, and no database is named that could hold it. Nothing was sent."""

    hint = "Name the database: --db PATH --resume."


@frozen
class Recording:
    """The run that rows are committed to, or None, and the database that it is in."""

    workspaces: Collection[Workspace]
    run: Run | None = None
    store: Store | None = None
    resumed: bool = False

    async def kept(self, judge: Judge) -> AsyncGenerator[Row, None]:
        """The rows that an earlier part of the run left, each remembered by the judge."""
        if self.run is None or self.store is None or not self.resumed:
            return
        async for each in self.store.workspaces(self.run.id):
            if each.row is not None and each.row.state != "failed":
                judge.remember(each.row, Evidence(fingerprint=each.key))
                yield each.row

    async def past(self) -> Sequence[RunInfo]:
        """The runs before this one, the oldest first."""
        if self.run is None or self.store is None:
            return ()
        return [each for each in await self.store.runs() if each.id < self.run.id]

    def pending(self) -> AsyncGenerator[Workspace, None]:
        """The workspaces that are still to be read."""
        return _each(self.workspaces) if self.run is None else self.run.pending(self.workspaces)

    async def finish(self, *, interrupted: bool) -> None:
        """Ends the run. An interrupted one can be resumed."""
        if self.run is not None:
            await self.run.finish("interrupted" if interrupted else "finished")


async def _each(workspaces: Collection[Workspace]) -> AsyncGenerator[Workspace, None]:
    for each in workspaces:
        yield each


def refuse_without_database(history: History) -> None:
    """Raises ResumeError or NothingToResumeError where there is no file that could hold the run to be resumed."""
    if not history.resume:
        return
    if history.db is None:
        raise ResumeError("--resume continues the last run of a database, but there is no --db")
    if not history.db.exists():
        raise NothingToResumeError(f"{history.db}: there is no such file")


@asynccontextmanager
async def recording(history: History, config: RunConfig) -> AsyncIterator[Recording]:
    """Begins or resumes the run; it is ended by `finish`. Raises a StoreError.

    What `refuse_without_database` refuses must not get here: a file would be made for nothing.
    """
    if history.db is None:
        yield Recording(config.workspaces)
        return
    async with open_store(history.db) as store:
        run = await (store.resume(config) if history.resume else store.begin(config))
        yield Recording(config.workspaces, run, store, history.resume)
