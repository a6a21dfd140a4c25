"""The database of a session: its run, the runs before it, and the findings of the run that it is compared with."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Literal

from attrs import frozen

from ..wire.errors import ConfigurationError
from .store import NothingToResumeError, Run, RunConfig, RunInfo, Store, StoreAccessError, open_store

Baseline = int | Literal["last"]
"""The number of a run, or the newest complete run before this one."""

KnownFindings = Callable[[frozenset[str]], Awaitable[frozenset[str]]]
"""Those of the ids of findings that the baseline has."""


class NoDatabaseGivenError(ConfigurationError):
    """A run is to be resumed or compared, and no database is named that could hold it. Nothing was sent."""

    hint = "Name the database: --db PATH, or db= in a program."


def check_database(db: Path | str | None, *, resume: bool, baseline: "Baseline | None") -> None:
    """Raises NoDatabaseGivenError, NothingToResumeError or StoreAccessError if there is no file to continue from."""
    if db is None:
        if resume or baseline is not None:
            raise NoDatabaseGivenError(f"{'Resuming' if resume else 'A baseline'} needs the database of earlier runs")
    elif resume and not Path(db).exists():
        raise NothingToResumeError(f"{db}: there is no such file")
    elif isinstance(baseline, int) and not Path(db).exists():
        raise StoreAccessError(f"{db}: there is no such file")


@frozen
class History:
    """The run of a session in its database, the runs before it, and the findings of the baseline, if there is one."""

    store: Store | None = None
    run: Run | None = None
    past: Sequence[RunInfo] = ()
    baseline: int | None = None
    known: KnownFindings | None = None


async def open_history(
    stack: AsyncExitStack, db: Path | str, config: RunConfig, *, resume: bool, baseline: Baseline | None
) -> History:
    """Begins or resumes the run, once a baseline that was named is known to exist."""
    if isinstance(baseline, int):
        async with open_store(db, write=False) as earlier:
            await earlier.run_info(baseline)
    store = await stack.enter_async_context(open_store(db))
    run = await (store.resume(config) if resume else store.begin(config))
    past = [info for info in await store.runs() if info.id < run.id]
    if baseline == "last":
        newest = await store.newest_complete(before=run.id)
        baseline = newest.id if newest else None
    if baseline is None:
        return History(store, run, past)
    reader = await stack.enter_async_context(open_store(db, write=False))  # so that no commit waits for it
    return History(store, run, past, baseline, partial(reader.known_findings, baseline))
