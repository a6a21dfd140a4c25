"""A cluster of Dask that the tests of a module share. Those in `killed` have another one under this name."""

from collections.abc import Iterator

import pytest

from tests.engines.threads import threads


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a scheduler with two workers of two threads, all of them threads of this process."""
    pytest.importorskip("distributed")
    with threads() as address:
        yield address
