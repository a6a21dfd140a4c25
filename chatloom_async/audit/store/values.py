"""What goes into a store and comes out of it. Values only."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Literal

from attrs import field, frozen

from ..values import DomainMatching, Row, Workspace

RunState = Literal["running", "finished", "interrupted"]


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


@frozen(kw_only=True)
class RunConfig:
    """What a run is about, and what must be the same for it to be continued.

    `base_url` is a normalized address, `rules` are the ids of those that are applied, and
    `matching` is what they know of what a domain stands for. Of a workspace count its
    name, the reference to its key and its `expect`; its tags do not, since they only select. `listed` are the
    names of the list that they were selected from, so that a comparison can tell a workspace that was left out from
    one that is gone; empty: all were selected. It does not count for continuing.
    """

    workspaces: Collection[Workspace]
    base_url: str
    rules: tuple[str, ...] = field(default=(), converter=_sorted)
    matching: DomainMatching = "unknown"
    listed: Collection[str] = ()


@frozen(kw_only=True)
class RunInfo:
    """One run of a database.

    `state` is "interrupted" if the audit was killed, too: a run is "running" only while a process holds the write
    lock. `finished` is None until the end is recorded. `planned` is the number of workspaces;
    `ok`, `partial` and `failed` of them have a row, and the others were not reached. `unselected` more were
    on the list.
    `paused` are the seconds between an end and the resumption that followed it; it is unknown for a killed run.
    `error`, `warning` and `info` count findings.
    """

    id: int
    started: datetime
    finished: datetime | None
    state: RunState
    version: str
    base_url: str
    rules: tuple[str, ...] = field(converter=_sorted)
    paused: float = 0.0
    planned: int
    unselected: int = 0
    ok: int = 0
    partial: int = 0
    failed: int = 0
    error: int = 0
    warning: int = 0
    info: int = 0

    @property
    def pending(self) -> int:
        return self.planned - self.ok - self.partial - self.failed

    @property
    def complete(self) -> bool:
        """Whether it read everything that it was asked to: it is finished, and every workspace is "ok"."""
        return self.state == "finished" and self.ok == self.planned

    @property
    def resumable(self) -> bool:
        """Whether `Store.resume` would continue it, if it is the last one: it was interrupted, or workspaces failed."""
        return self.state == "interrupted" or (self.state == "finished" and self.failed > 0)


@frozen
class StoredWorkspace:
    """One workspace of a run: its row, or None if it was not reached, and the salted fingerprint of its key.

    A workspace that is not `selected` was on the list, but the run was not to read it. `expects`: the list says what
    its agents should allow.
    """

    workspace: str
    row: Row | None = None
    key: str | None = None
    selected: bool = True
    expects: bool = False
