"""The changes between two runs as values. Workspaces that did not change are only counted."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from attrs import field, frozen

from ..store.runs import RunInfo
from ..values import AuditedAgent, Finding, State

Kind = Literal["added", "removed", "changed", "not_comparable"]
COLOURS = ("primary_color", "secondary_color")


@frozen
class FieldChange:
    """A field of an agent, under this package's name, with both values as JSON would hold them."""

    field: str
    old: str
    new: str


@frozen
class AgentChange:
    """An agent that both runs list. Domains are compared only if both runs could read them."""

    agent_id: str
    name: str
    fields: tuple[FieldChange, ...] = ()
    domains_added: tuple[str, ...] = ()
    domains_removed: tuple[str, ...] = ()


@frozen
class WorkspaceChange:
    """What differs in one workspace.

    added, removed: only one run was to read it; the findings of an added one are all new. not_comparable: at least
    one run has nothing to compare, and `reason` says why; nothing is concluded from its absence. `old_state` and
    `new_state` are None if there is no row. `key_rotated` is True only if both keys are known.

    `findings_fixed` were looked for again and not found. `findings_unchecked` could not be found again: the new run did
    not apply their rule, did not read what they are about, or the list no longer says what is expected.
    """

    workspace: str
    kind: Kind
    old_state: State | None = None
    new_state: State | None = None
    reason: str = ""
    key_rotated: bool = False
    agents_added: tuple[AuditedAgent, ...] = ()
    agents_removed: tuple[AuditedAgent, ...] = ()
    agents_changed: tuple[AgentChange, ...] = ()
    findings_new: tuple[Finding, ...] = ()
    findings_fixed: tuple[Finding, ...] = ()
    findings_unchecked: tuple[Finding, ...] = ()

    def __bool__(self) -> bool:
        """Whether it says anything."""
        return self != WorkspaceChange(self.workspace, "changed", self.old_state, self.old_state)


@frozen
class Diff:
    """The changes from one run to another, by workspace. `notes` are reasons to read them with care.

    `not_compared` workspaces were on both lists, but one of the runs was not to read them.
    """

    old: RunInfo
    new: RunInfo
    notes: tuple[str, ...]
    changes: Sequence[WorkspaceChange]
    unchanged: int
    not_compared: int = 0
    counts: Mapping[str, int] | None = field(default=None, eq=False, repr=False)

    def summary(self) -> dict[str, int]:
        """The totals by the names in COUNTS. `unchanged` counts workspaces."""
        counts = counted_changes(self.changes) if self.counts is None else self.counts
        return {**counts, "workspaces_not_compared": self.not_compared, "unchanged": self.unchanged}


def _workspaces(kind: Kind) -> Callable[[WorkspaceChange], int]:
    return lambda change: change.kind == kind


def _agents(fields: tuple[str, ...]) -> Callable[[WorkspaceChange], int]:
    return lambda change: sum(any(change.field in fields for change in agent.fields) for agent in change.agents_changed)


COUNTS: dict[str, Callable[[WorkspaceChange], int]] = {
    "workspaces_added": _workspaces("added"),
    "workspaces_removed": _workspaces("removed"),
    "workspaces_changed": _workspaces("changed"),
    "workspaces_not_comparable": _workspaces("not_comparable"),
    "keys_rotated": lambda change: change.key_rotated,
    "agents_added": lambda change: len(change.agents_added),
    "agents_removed": lambda change: len(change.agents_removed),
    "agents_changed": lambda change: len(change.agents_changed),
    "agents_renamed": _agents(("name",)),
    "agents_recoloured": _agents(COLOURS),
    "domains_added": lambda change: sum(len(agent.domains_added) for agent in change.agents_changed),
    "domains_removed": lambda change: sum(len(agent.domains_removed) for agent in change.agents_changed),
    "findings_new": lambda change: len(change.findings_new),
    "findings_fixed": lambda change: len(change.findings_fixed),
    "findings_unchecked": lambda change: len(change.findings_unchecked),
}
"""The part of one workspace in each total. Domains of agents that were added or removed are not counted."""


def counted_changes(changes: Iterable[WorkspaceChange]) -> dict[str, int]:
    """The totals of COUNTS over the changes."""
    totals = dict.fromkeys(COUNTS, 0)
    for change in changes:
        for name, count in COUNTS.items():
            totals[name] += count(change)
    return totals
