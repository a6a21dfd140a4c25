"""Partitioning: every workspace in one shard, every key reference too."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatloom_async.audit import KeyCommand, KeyEnv, KeyFile, KeyJson, Workspace
from chatloom_async.engines import Shard, partition
from chatloom_async.engines.shard import fitting_size
from tests.engines.planted import shard_of

REFERENCES = (
    *(KeyEnv(f"KEY_{number}") for number in range(4)),
    KeyJson("KEYS", "a"),
    KeyJson("KEYS", "b"),
    KeyFile(Path("key")),
    KeyFile(Path.cwd() / "key"),
    KeyCommand(("pass", "key")),
    KeyCommand(("pass", "key"), timeout=5.0),
)


def make(number: str, workspaces: tuple[Workspace, ...]) -> Shard:
    """A shard for nowhere."""
    return shard_of(*workspaces, name=number)


def same(workspace: Workspace) -> object:
    """What names the place of the key, however it is spelled."""
    key = workspace.key
    return key.path.absolute() if isinstance(key, KeyFile) else key.argv if isinstance(key, KeyCommand) else key


@given(st.lists(st.sampled_from(REFERENCES)), st.integers(1, 5))
def test_no_reference_is_in_two_shards(references: list[KeyEnv], size: int) -> None:
    """Whatever shares a key stays together, every workspace is there once, and only sharing makes a shard too large."""
    workspaces = [Workspace(str(number), key) for number, key in enumerate(references)]
    shards = list(partition(workspaces, make, size=size))
    held = Counter(key for shard in shards for key in {same(each) for each in shard.workspaces})
    assert set(held.values()) <= {1}
    assert (
        sorted((each for shard in shards for each in shard.workspaces), key=lambda each: int(each.name)) == workspaces
    )
    assert all(len(shard) <= size or len({same(each) for each in shard.workspaces}) == 1 for shard in shards)


def test_the_order_is_kept_where_nothing_is_shared() -> None:
    """Five workspaces in shards of two."""
    workspaces = [Workspace(name, KeyEnv(name)) for name in "abcde"]
    shards = [
        (shard.id, "".join(each.name for each in shard.workspaces)) for shard in partition(workspaces, make, size=2)
    ]
    assert shards == [("1", "ab"), ("2", "cd"), ("3", "e")]


@pytest.mark.parametrize(
    ("workspaces", "window", "size"), [(12, 64, 8), (1_000, 4, 31), (10_000, 64, 19), (1_000_000, 64, 250)]
)
def test_a_size_fits_workspaces_and_workers(workspaces: int, window: int, size: int) -> None:
    """Eight shards for each place, but none so small that it costs more than it reads, and none too large to lose."""
    assert fitting_size(workspaces, window) == size


def test_a_shard_that_reads_one_at_a_time_may_be_as_small() -> None:
    """With `--concurrency 1`."""
    assert fitting_size(3, 1, at_once=1) == 1
