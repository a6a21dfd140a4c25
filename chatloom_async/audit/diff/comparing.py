"""Turns one workspace, as two runs left it, into what differs.

What a run could not read is unknown, not absent: nothing is concluded from it.
"""

from collections.abc import Iterator

import attrs

from ..document import agent_document
from ..store.values import Stored
from ..values import AuditedAgent, Finding, IncompleteListError, Row, State
from .values import AgentChange, FieldChange, WorkspaceChange


def compare(old: Stored | None, new: Stored | None) -> WorkspaceChange | None:
    """What differs, or None where nothing does. A side is None where its run was not to read the workspace."""
    if new is None:
        return _removed(old) if old else None
    if old is None:
        return _added(new)
    rotated = None not in (old.key, new.key) and old.key != new.key
    return attrs.evolve(_compared(old, new), key_rotated=rotated) or None


def _removed(old: Stored) -> WorkspaceChange:
    return WorkspaceChange(old.workspace, "removed", old_state=_state(old))


def _added(new: Stored) -> WorkspaceChange:
    findings = new.row.findings if new.row else ()
    return WorkspaceChange(new.workspace, "added", new_state=_state(new), findings_new=findings)


def _state(stored: Stored) -> State | None:
    return stored.row.state if stored.row else None


def _compared(old: Stored, new: Stored) -> WorkspaceChange:
    states = (_state(old), _state(new))
    reasons = [f"{run} run: {reason}" for run, side in (("old", old), ("new", new)) if (reason := _missing(side.row))]
    if old.row is None or new.row is None or reasons:
        return WorkspaceChange(new.workspace, "not_comparable", *states, reason="; ".join(reasons))
    before, after = _by_id(old.row), _by_id(new.row)
    return WorkspaceChange(
        new.workspace,
        "changed",
        *states,
        agents_added=tuple(each for name, each in after.items() if name not in before and _listed(old.row)),
        agents_removed=tuple(each for name, each in before.items() if name not in after and _listed(new.row)),
        agents_changed=tuple(_changes(before, after)),
        findings_new=_only_in(new.row, old.row),
        findings_fixed=_only_in(old.row, new.row),
    )


def _missing(row: Row | None) -> str | None:
    if row is None:
        return "not reached"
    if row.state == "failed":
        return f"failed ({row.error.type if row.error else 'no reason was recorded'})"  # its report has the message
    return None


def _by_id(row: Row) -> dict[str, AuditedAgent]:
    return {each.agent.id: each for each in row.agents}


def _listed(row: Row) -> bool:
    """Whether an agent that is not in the row did not exist. Not so where the list contradicted itself."""
    return row.error is None or row.error.type != IncompleteListError.__name__


def _changes(before: dict[str, AuditedAgent], after: dict[str, AuditedAgent]) -> Iterator[AgentChange]:
    for name, new in after.items():
        if name in before and before[name] != new:  # most are the same, and looking closer takes long
            change = _changed(before[name], new)
            if change != AgentChange(name, new.agent.name):
                yield change


def _changed(old: AuditedAgent, new: AuditedAgent) -> AgentChange:
    values = agent_document(old.agent)
    fields = (
        FieldChange(k, str(values.get(k)), str(v)) for k, v in agent_document(new.agent).items() if values.get(k) != v
    )
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    if old.domains is not None and new.domains is not None:
        added, removed = _without(new.domains, old.domains), _without(old.domains, new.domains)
    return AgentChange(new.agent.id, new.agent.name, tuple(fields), added, removed)


def _without(domains: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for each in domains if each not in others))


def _only_in(row: Row, other: Row) -> tuple[Finding, ...]:
    """The findings of `row` that the other row could have had, and has not."""
    known = {each.id for each in other.findings}
    unread = {each.agent.id for each in other.agents if each.domains is None}

    def could(found: Finding) -> bool:
        return other.state == "ok" if found.agent_id is None else found.agent_id not in unread

    return tuple(each for each in row.findings if each.id not in known and could(each))
