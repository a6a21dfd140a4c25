"""Compares two runs, each a stream of workspaces in the order of their names, and keeps only the changes.

What a run could not read is unknown, not absent: nothing is concluded from it.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Container, Iterable, Iterator

import attrs
from attrs import Factory, define

from ..document import agent_document
from ..store.values import RunInfo, Stored
from ..values import AuditedAgent, Finding, IncompleteListError, Row, State, finding
from .values import AgentChange, Diff, FieldChange, WorkspaceChange


def new_findings(findings: Iterable[Finding], known: Container[str]) -> tuple[Finding, ...]:
    """Those whose id is not among `known`, such as `await store.known_findings(baseline, ids)`.

    Where the baseline could not read, nothing is known, so all that is found there is new.
    """
    return tuple(each for each in findings if each.id not in known)


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


Stream = AsyncIterator[Stored]


async def diff_runs(old: RunInfo, new: RunInfo, old_workspaces: Stream, new_workspaces: Stream) -> Diff:
    """What changed from the old run to the new one; the streams are what `Store.workspaces` gives for them.

    Nothing is concluded from what one of the runs was not to read, nor from a rule that it did not apply.
    """
    changes: list[WorkspaceChange] = []
    sides = (Side(old), Side(new))
    compared = not_compared = 0
    async for pair in merged(old_workspaces, new_workspaces):
        selected = [each.selected for each in pair if each]
        for side, stored in zip(sides, pair, strict=True):
            side.roaming.update(_roaming(stored))
        if not all(selected):
            not_compared += any(selected)
            continue
        compared += 1
        changes += [change] if (change := compare(*pair)) else []
    left = tuple(change for each in changes if (change := _settled(each, *sides)))
    return Diff(old, new, tuple(_notes(old, new)), left, compared - len(left), not_compared)


@define
class Side:
    """One of the runs, and the ids of its findings that are not bound to their workspace."""

    run: RunInfo
    roaming: set[str] = Factory(set)

    def lacks(self, found: Iterable[Finding], other: "Side") -> tuple[Finding, ...]:
        """Those of the other run's findings that this one could have had, and has on no workspace."""
        could = (each for each in found if not self.run.rules or each.rule in self.run.rules)
        if self.run.unselected:  # with more workspaces it might have found it
            could = (each for each in could if each.id not in other.roaming)
        return new_findings(could, self.roaming)


def _roaming(stored: Stored | None) -> Iterator[str]:
    """Ids that do not follow from their workspace, as of a domain that several share: which of them is told of it may
    be another one in the next run."""
    if stored and stored.row:
        for each in stored.row.findings:
            own = finding(
                stored.workspace, each.rule, each.severity, agent_id=each.agent_id, subject=each.subject, message=""
            )
            if own.id != each.id:
                yield each.id


def _settled(change: WorkspaceChange, old: Side, new: Side) -> WorkspaceChange:
    """Without findings that the other run has elsewhere, or could not have."""
    return attrs.evolve(
        change,
        findings_new=old.lacks(change.findings_new, new),
        findings_fixed=new.lacks(change.findings_fixed, old),
    )


async def merged(old: Stream, new: Stream) -> AsyncGenerator[tuple[Stored | None, Stored | None], None]:
    """Pairs of the same workspace, by name; None where a run does not have it."""
    left, right = await anext(old, None), await anext(new, None)
    while left or right:
        if right is None or (left and left.workspace < right.workspace):
            yield left, None
            left = await anext(old, None)
        elif left is None or right.workspace < left.workspace:
            yield None, right
            right = await anext(new, None)
        else:
            yield left, right
            left, right = await anext(old, None), await anext(new, None)


def _notes(old: RunInfo, new: RunInfo) -> Iterator[str]:
    for run, name in ((old, "old"), (new, "new")):
        if run.unselected:
            some = f"{run.planned} of {run.planned + run.unselected}"
            yield f"The {name} run was to read {some} workspaces only. The others are not compared."
        if run.pending:
            yield f"The {name} run did not reach {run.pending} of its {run.planned} workspaces."
    if old.base_url != new.base_url:
        yield f"The runs read different addresses: {old.base_url} and {new.base_url}."
    if old.rules != new.rules:
        odd = ", ".join(sorted(set(old.rules) ^ set(new.rules)))
        yield f"Only one of the runs applied these rules: {odd}."
