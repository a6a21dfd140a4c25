"""Workers with another version of the package, or without it."""

from pathlib import Path

import pytest

from chatloom_async.audit import KeyEnv, Workspace
from chatloom_async.engines import DaskEngine, EngineLostError, NoWorkersError
from chatloom_async.wire.version import VERSION
from tests.engines.cluster import Cluster
from tests.engines.planted import shard_of
from tests.engines.threads import connected

pytest.importorskip("distributed")
pytestmark = pytest.mark.cluster
UNSET = Workspace("unset", KeyEnv("NO_SUCH_VARIABLE"))


async def test_workers_without_the_package_or_with_another_version_are_named(empty: Cluster, tmp_path: Path) -> None:
    """Before anything starts, with each worker's address; one that comes later ends the audit, and fails no row."""
    other = tmp_path / "chatloom_async" / "wire"
    other.mkdir(parents=True)
    (other.parent / "__init__.py").touch()
    empty.start_worker(tmp_path)
    async with connected(empty.address, 1) as client:
        engine, worker = DaskEngine(client), rf"^Not every worker has chatloom-async {VERSION}: tcp://127\.0\.0\.1:\d+ "
        cannot = r"cannot import it \(ModuleNotFoundError: No module named 'chatloom_async\.wire\.version'\)\. Start "
        with pytest.raises(NoWorkersError, match=worker + cannot):
            await engine.prepare()
        (other / "__init__.py").touch()
        (other / "version.py").write_text('VERSION = "0.0.9"')
        with pytest.raises(NoWorkersError, match=worker + r"has 0\.0\.9\. Start "):
            await engine.prepare()
        with pytest.raises(
            EngineLostError, match=r"^Dask cannot run shard 1: RuntimeError: Error during deserialization"
        ):
            await engine.run(shard_of(UNSET))
