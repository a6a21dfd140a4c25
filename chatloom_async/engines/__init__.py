"""Audits in shards, on several processes or machines: workers read, one coordinator judges, keeps and reports.

One process reads some hundred workspaces a second; try `--concurrency 256` first. To use more cores or machines, or
machines with other network access, use Dask. The program starts workers on this machine, one process per core, or uses
those of a scheduler that you name:

```sh
pip install '.[cli,dask]'   # on every machine, the same version
export DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION=1.0 DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=1
dask scheduler --host 127.0.0.1 --port 8786                   # in a terminal of its own, as the next line
dask worker tcp://127.0.0.1:8786 --nworkers 2 --nthreads 32   # wherever the scheduler can be reached
chatloom audit workspaces.toml --engine dask --scheduler tcp://127.0.0.1:8786 --db audits.db
```

The library accepts any `distributed.Client`, so also an `SSHCluster` or a hosted service:

```py
from distributed import Client

from chatloom_async.audit.store import RunConfig, open_store
from chatloom_async.engines import DaskEngine, audit_on

async with open_store("audits.db") as store, Client("tcp://127.0.0.1:8786", asynchronous=True) as dask:
    run = await store.begin(RunConfig(workspaces=workspaces, base_url=url))
    async for row in audit_on(DaskEngine(dask), run.pending(workspaces), base_url=url, run=run):
        print(row.workspace, row.state)
    await run.finish()
```

- Keys are not sent to workers. A worker resolves `key_env`, `key_json`, `key_file` (as an absolute path) or
  `key_command` itself. The command line is sent; do not put secrets in it.
- Access to the scheduler means running code where the keys are: use TLS between machines. A cluster that the program
  starts uses TLS with certificates of its own.
- Workspaces with the same key reference are read by one worker at a time, so the rate limit of a key holds.
- Shards of a killed worker are read again by others, and every workspace has one row. A workspace that crashes every
  worker is reported as failed. `--resume` continues a run after Ctrl-C or a lost scheduler.
"""

from .coordinator import audit_on
from .dask import DaskEngine
from .interface import Engine
from .shard import (
    EngineError,
    EngineLostError,
    NoWorkersError,
    Shard,
    ShardLostError,
    ShardOptions,
    ShardRead,
    ShardResult,
    partition,
)
from .windowed import windowed
from .worker import LocalEngine, audit_shard

# fmt: off
__all__ = [
    "DaskEngine", "Engine", "EngineError", "EngineLostError", "LocalEngine", "NoWorkersError", "Shard",
    "ShardLostError", "ShardOptions", "ShardRead", "ShardResult", "audit_on", "audit_shard", "partition", "windowed",
]
# fmt: on
