"""Where an audit's workspaces come from: a file, standard input, the one key of the environment, or the sandbox."""

import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from ..audit.keys import KeyEnv
from ..audit.loading import load_ndjson, load_workspaces
from ..audit.rules import Evidence, Judge
from ..audit.store import NothingToResumeError, Run, RunConfig, RunInfo, Store, open_store
from ..audit.values import Row, Workspace
from ..policy.keys import ENVIRONMENT_VARIABLE
from ..wire.base_url import BASE_URL, normalize_base_url
from ..wire.errors import ConfigurationError
from .options import Choice, History
from .screen import notice

if TYPE_CHECKING:
    from ..sandbox import Sandbox


STDIN = Path("-")
EMBEDDED = {"workspaces": 12, "agents": 12, "seed": 7}


class SourceError(ConfigurationError):
    """What is asked for contradicts itself, or there is nothing to audit. Nothing was sent."""

    hint = "See `chatloom audit --help`."


@frozen
class Source:
    """Workspaces, and the address at which they are. `kind` is file, key or sandbox."""

    kind: str
    workspaces: tuple[Workspace, ...]
    base_url: str | None

    @property
    def identity(self) -> str:
        """The address as a run remembers it. The embedded sandbox has another port every time, so it has a name."""
        return "http://sandbox.localhost" if self.kind == "sandbox" else self.address

    @property
    def address(self) -> str:
        """Where requests go. Raises InvalidBaseUrlError."""
        return normalize_base_url(self.base_url or os.environ.get("CHATLOOM_BASE_URL") or BASE_URL)


@asynccontextmanager
async def opened(given: Path | None, choice: Choice, base_url: str | None) -> AsyncIterator[Source]:
    """The source; the embedded sandbox serves as long as the context is open. Raises SourceError or a file's error."""
    sandbox = choice.sandbox
    if sandbox and (given or base_url):
        raise SourceError("--sandbox brings its own workspaces and address: leave out WORKSPACES and --base-url")
    if given:
        yield Source("file", _loaded(given, inline_keys=choice.inline_keys), base_url)
    elif not sandbox and ENVIRONMENT_VARIABLE in os.environ:
        yield Source("key", (Workspace("default", KeyEnv(ENVIRONMENT_VARIABLE)),), base_url)
    elif base_url:
        raise SourceError(f"--base-url needs workspaces: name a file, or set {ENVIRONMENT_VARIABLE}")
    else:
        reason = "As asked" if sandbox else f"No workspaces file and no {ENVIRONMENT_VARIABLE}"
        notice(f"{reason}: auditing an embedded sandbox on this machine. Its data is fictional.", "dim")
        grown = planted(**EMBEDDED)
        async with grown.serve() as url:
            yield Source("sandbox", tuple(Workspace(each.name, each.key) for each in grown), url)


def _loaded(given: Path, *, inline_keys: bool) -> tuple[Workspace, ...]:
    if given == STDIN:
        return load_ndjson(sys.stdin.read(), inline_keys=inline_keys)
    return load_workspaces(given, inline_keys=inline_keys)


NAMES = ("acorn", "birch", "cedar", "dogwood", "elm", "fir", "ginkgo", "hazel", "ivy", "juniper", "katsura", "larch")


def planted(*, workspaces: int, agents: int, seed: int, rate_limit: float | None = 300) -> "Sandbox":
    """A sandbox with so many workspaces of so many agents; the same seed gives the same keys and data."""
    from ..sandbox import Sandbox

    sandbox = Sandbox(seed=seed, rate_limit=rate_limit)
    for number in range(workspaces):
        cycle, place = divmod(number, len(NAMES))
        sandbox.add_workspace(NAMES[place] + (f"-{cycle + 1}" if cycle else ""), agents=agents)
    return sandbox


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
