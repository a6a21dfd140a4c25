"""Keeps audits in one SQLite file: journal, resume point and history of many runs. A row is durable once committed.

    async with open_store("audits.db") as store:
        run = await store.begin(RunConfig(workspaces=workspaces, base_url=url))
        await run.commit(row, key)
        await run.finish()

What a resumed run still has to read is `run.pending(workspaces)`; what it keeps, `store.rows(run.id, failed=False)`.
"""

from .errors import (
    ConfigurationChangedError,
    NoDatabaseError,
    NoSuchRunError,
    NothingToResumeError,
    StoreAccessError,
    StoreClosedError,
    StoreDamagedError,
    StoreError,
    StoreFormatError,
    StoreFullError,
    StoreInUseError,
    StoreUsageError,
    StoreVersionError,
)
from .store import Run, Store, open_store
from .values import RunConfig, RunInfo, RunState, StoredWorkspace

__all__ = [
    "ConfigurationChangedError",
    "NoDatabaseError",
    "NoSuchRunError",
    "NothingToResumeError",
    "Run",
    "RunConfig",
    "RunInfo",
    "RunState",
    "Store",
    "StoreAccessError",
    "StoreClosedError",
    "StoreDamagedError",
    "StoreError",
    "StoreFormatError",
    "StoreFullError",
    "StoreInUseError",
    "StoreUsageError",
    "StoreVersionError",
    "StoredWorkspace",
    "open_store",
]
