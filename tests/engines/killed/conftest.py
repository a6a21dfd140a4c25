"""Clusters of Dask whose processes may be killed, each with a log to look into."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.engines.cluster import Cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler and two workers of two threads, with nannies; every test leaves two that work."""
    with closing(Cluster(tmp_path_factory.mktemp("cluster"))) as cluster:
        cluster.start_worker(threads=2)
        cluster.start_worker(threads=2)
        yield cluster


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler of the test's own, without workers."""
    with closing(Cluster(tmp_path)) as cluster:
        yield cluster
