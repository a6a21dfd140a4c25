"""Turns workspaces into shards such that no two shards have a key reference in common.

So a key is worked on by one worker at a time, and the limiter in that worker's process is the only one it needs. What
two references lead to is not known here: where they lead to one key, the finding key-duplicate says so.
"""

from collections.abc import Callable, Iterable, Iterator

from ..audit.store.fingerprints import reference_digest
from ..audit.values import Workspace
from .shard import DEFAULTS, Shard

SHARD_SIZE = 250
"""A shard that is lost is read again as a whole, and one that is small waits for its largest workspace."""

SPREAD = 8
"""Shards for each place in the window, where there are enough workspaces: so the last ones, and those that a killed
worker had, are soon read."""

MakeShard = Callable[[str, tuple[Workspace, ...]], Shard]


def partition(workspaces: Iterable[Workspace], make: MakeShard, *, size: int = SHARD_SIZE) -> Iterator[Shard]:
    """Shards of up to `size` workspaces, in about the order given; `make` builds one from its id and workspaces.

    Workspaces that share a reference stay together, so a shard may be larger where more than `size` of them do. All
    workspaces are looked at first, with about 100 bytes each in memory beside the workspaces themselves.
    """
    shard: list[Workspace] = []
    number = 0
    for group in _by_reference(workspaces):
        if shard and len(shard) + len(group) > size:
            number += 1
            yield make(str(number), tuple(shard))
            shard = []
        shard += group
    if shard:
        yield make(str(number + 1), tuple(shard))


def fitting_size(workspaces: int, window: int, at_once: int = DEFAULTS.concurrency) -> int:
    """Workspaces for a shard: so few that the whole window is used, but as many as it reads at once, since a shard
    costs as much as two or three workspaces by itself (12 ms of CPU, by tests.engines.costs). SHARD_SIZE at most."""
    return max(at_once, min(SHARD_SIZE, workspaces // (window * SPREAD)))


def _by_reference(workspaces: Iterable[Workspace]) -> Iterable[tuple[Workspace, ...]]:
    """Those with one reference together, where its first one stood. Different spellings of a path are one."""
    groups: dict[bytes, tuple[Workspace, ...]] = {}
    for each in workspaces:
        digest = reference_digest(each.key, b"")
        groups[digest] = (*groups.get(digest, ()), each)
    return groups.values()
