"""Runs an audit in shards, on more than one process or machine: workers read, one coordinator judges and keeps.

Start at `audit_on`:

async with open_store("audits.db") as store, Client("tls://scheduler:8786", asynchronous=True) as client:
    run = await store.begin(RunConfig(workspaces=workspaces, base_url=url))
    async for row in audit_on(DaskEngine(client), run.pending(workspaces), base_url=url, run=run):
        print(row.workspace, row.state, len(row.findings))
    await run.finish()
"""

from .coordinator import audit_on
from .dask import DaskEngine
from .interface import Engine
from .shard import (
    EngineError,
    EngineLostError,
    KeyInShardError,
    SchedulerUnreachableError,
    Shard,
    ShardDeadlineError,
    ShardLostError,
    ShardOptions,
    ShardRead,
    ShardResult,
    WorkerKilledError,
    WorkersUnfitError,
    partition,
)
from .windowed import windowed
from .worker import LocalEngine, audit_shard

__all__ = [
    "DaskEngine",
    "Engine",
    "EngineError",
    "EngineLostError",
    "KeyInShardError",
    "LocalEngine",
    "SchedulerUnreachableError",
    "Shard",
    "ShardDeadlineError",
    "ShardLostError",
    "ShardOptions",
    "ShardRead",
    "ShardResult",
    "WorkerKilledError",
    "WorkersUnfitError",
    "audit_on",
    "audit_shard",
    "partition",
    "windowed",
]
