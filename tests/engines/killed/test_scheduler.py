"""A scheduler that ends while workers read."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from chatloom_async.audit import Row
from chatloom_async.audit.store import RunConfig, open_store
from chatloom_async.engines import DaskEngine, EngineLostError, audit_on
from tests.engines.cluster import Cluster
from tests.engines.planted import planted
from tests.engines.threads import connected

pytest.importorskip("distributed")
pytestmark = pytest.mark.cluster


LOST = r"^Dask('s scheduler was replaced| gave up shard \d+: scheduler-conn| cannot run shard \d+: CommClosedError)"
"""The first where no shard was out when the connection ended, the last where a result was just being fetched."""


async def test_an_audit_is_resumed_after_the_scheduler_was_restarted(empty: Cluster, tmp_path: Path) -> None:
    """The audit ends with an error that says so; resumed, it reads the rest, and every workspace is there once."""
    sandbox, workspaces = planted(tmp_path, 100)
    config = RunConfig(workspaces=workspaces, base_url="http://127.0.0.1")
    empty.start_worker()
    async with sandbox.serve() as url, open_store(tmp_path / "audits.db") as store:
        run, seen = await store.begin(config), list[str]()
        async with connected(empty.address, 1) as client:
            rows = audit_on(DaskEngine(client), run.pending(workspaces), base_url=url, run=run, shard_size=10)
            seen += [(await anext(rows)).workspace for _ in range(20)]
            empty.stop(empty.scheduler)
            empty.start_scheduler()
            with pytest.raises(EngineLostError, match=LOST):
                await into(seen, rows)
        empty.start_worker()
        run = await store.resume(config)
        async with connected(empty.address, 1) as client:
            rows = audit_on(DaskEngine(client), run.pending(workspaces), base_url=url, run=run, shard_size=10)
            await into(seen, rows)
        await run.finish()
    assert sorted(seen) == sorted(each.name for each in workspaces)


async def into(seen: list[str], rows: AsyncGenerator[Row, None]) -> None:
    """Notes the workspaces of rows as they come."""
    async for row in rows:
        seen.append(row.workspace)  # noqa: PERF401 - what came before an error counts too
