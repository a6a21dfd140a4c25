"""Stores audits in one SQLite file: journal, resume point and history of many runs. A row is durable once committed.

    async with open_store("audits.db") as store:
        run = await store.begin(RunConfig(workspaces=workspaces, base_url=url))
        await run.commit(row, key)
        await run.finish()

A resumed run reads `run.pending(workspaces)` and keeps `store.kept(run.id)`.
"""

from .errors import (
    ConfigurationChangedError,
    NoSuchRunError,
    NothingToResumeError,
    StoreAccessError,
    StoreDamagedError,
    StoreError,
    StoreFormatError,
    StoreFullError,
    StoreInUseError,
    StoreLostError,
    StoreUsageError,
)
from .runs import KeptRow, RunConfig, RunInfo, RunState, StoredWorkspace
from .store import Run, Store, open_store

__all__ = [
    "ConfigurationChangedError",
    "KeptRow",
    "NoSuchRunError",
    "NothingToResumeError",
    "Run",
    "RunConfig",
    "RunInfo",
    "RunState",
    "Store",
    "StoreAccessError",
    "StoreDamagedError",
    "StoreError",
    "StoreFormatError",
    "StoreFullError",
    "StoreInUseError",
    "StoreLostError",
    "StoreUsageError",
    "StoredWorkspace",
    "open_store",
]
