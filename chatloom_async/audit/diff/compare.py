"""Compares two runs, each a stream of workspaces in the order of their names, and keeps only the changes.

Data that a run could not read is unknown, not absent: no conclusion is drawn from it.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Container, Iterable, Iterator
from itertools import filterfalse

import attrs

from ...endpoints.agents import Agent
from ..document import agent_document
from ..formats.text import counted
from ..rules.hostname import parse_domain
from ..rules.registry import RULES
from ..spool import DiskList
from ..store.runs import RunInfo, StoredWorkspace
from ..values import AuditedAgent, Finding, IncompleteListError, Row, State
from .values import AgentChange, Diff, FieldChange, WorkspaceChange, counted_changes

BATCH = 64
"""Changes that are counted between two pauses for other tasks."""

OVERLAP_RULES = frozenset(rule.id for rule in RULES if rule.scope == "overlap")
"""Their findings depend on other workspaces, too."""

DNS_RULES = frozenset(rule.id for rule in RULES if rule.needs == "dns")
"""Their findings depend on what the DNS answered."""

EXPECT_RULES = frozenset(rule.id for rule in RULES if rule.needs == "expect")
"""Their findings depend on what the list of workspaces expects."""


def new_findings(findings: Iterable[Finding], known: Container[str]) -> tuple[Finding, ...]:
    """Those whose id is not among `known`, such as `await store.known_findings(baseline, ids)`.

    Where the baseline could not read, nothing is known, so all that is found there is new.
    """
    return tuple(each for each in findings if each.id not in known)


def compare(old: StoredWorkspace | None, new: StoredWorkspace | None) -> WorkspaceChange | None:
    """What differs, or None if nothing does. A side is None if its run did not include the workspace."""
    if new is None:
        return _removed(old) if old else None
    if old is None:
        return _added(new)
    rotated = None not in (old.key, new.key) and old.key != new.key
    return attrs.evolve(_compared(old, new), key_rotated=rotated) or None


def _removed(old: StoredWorkspace) -> WorkspaceChange:
    return WorkspaceChange(old.workspace, "removed", old_state=_state(old))


def _added(new: StoredWorkspace) -> WorkspaceChange:
    findings = new.row.findings if new.row else ()
    return WorkspaceChange(new.workspace, "added", new_state=_state(new), findings_new=findings)


def _state(stored: StoredWorkspace) -> State | None:
    return stored.row.state if stored.row else None


def _compared(old: StoredWorkspace, new: StoredWorkspace) -> WorkspaceChange:
    states = (_state(old), _state(new))
    reasons = [f"{run} run: {reason}" for run, side in (("old", old), ("new", new)) if (reason := _missing(side.row))]
    if old.row is None or new.row is None or reasons:
        return WorkspaceChange(new.workspace, "not_comparable", *states, reason="; ".join(reasons))
    before, after = _by_id(old.row), _by_id(new.row)
    gone, could_find = _only_in(old.row, new.row), _could_find(new, new.row)
    return WorkspaceChange(
        new.workspace,
        "changed",
        *states,
        agents_added=tuple(each for name, each in after.items() if name not in before and _listed(old.row)),
        agents_removed=tuple(each for name, each in before.items() if name not in after and _listed(new.row)),
        agents_changed=tuple(_changes(before, after)),
        findings_new=tuple(filter(_could_find(old, old.row), _only_in(new.row, old.row))),
        findings_fixed=tuple(filter(could_find, gone)),
        findings_unchecked=tuple(filterfalse(could_find, gone)),
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
    """Whether an agent that is not in the row did not exist. False if the list contradicted itself."""
    return row.error is None or row.error.type != IncompleteListError.__name__


def _changes(before: dict[str, AuditedAgent], after: dict[str, AuditedAgent]) -> Iterator[AgentChange]:
    for name, new in after.items():
        if name in before and before[name] != new:  # most are the same, and looking closer takes long
            change = _changed(before[name], new)
            if change != AgentChange(name, new.agent.name):
                yield change


def _changed(old: AuditedAgent, new: AuditedAgent) -> AgentChange:
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    if old.domains is not None and new.domains is not None:
        added, removed = _without(new.domains, old.domains), _without(old.domains, new.domains)
    fields = () if old.agent == new.agent else tuple(_fields(old.agent, new.agent))
    return AgentChange(new.agent.id, new.agent.name, fields, added, removed)


def _fields(old: Agent, new: Agent) -> Iterator[FieldChange]:
    before, after = agent_document(old), agent_document(new)
    for name, value in after.items():
        if before[name] != value:
            yield FieldChange(name, str(before[name]), str(value))


def _without(domains: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for each in domains if each not in others))


def _only_in(row: Row, other: Row) -> tuple[Finding, ...]:
    known = {finding.id for finding in other.findings}
    return tuple(finding for finding in row.findings if finding.id not in known)


def _could_find(stored: StoredWorkspace, row: Row) -> Callable[[Finding], bool]:
    """A function that says whether this run could find something in the workspace, from what it read and was told."""
    unread_agents = {audited.agent.id for audited in row.agents if audited.domains is None}
    unread_hosts = {host for host, _ in row.dns.unread} if row.dns else set()
    agents = None if _listed(row) else {audited.agent.id for audited in row.agents}

    def could(finding: Finding) -> bool:
        if finding.rule in DNS_RULES and (row.dns is None or parse_domain(finding.subject).sent in unread_hosts):
            return False
        if finding.rule in EXPECT_RULES and not stored.expects:
            return False
        if finding.agent_id is None:
            return row.state == "ok"
        return finding.agent_id not in unread_agents and (agents is None or finding.agent_id in agents)

    return could


Stream = AsyncIterator[StoredWorkspace]


async def diff_runs(old: RunInfo, new: RunInfo, old_workspaces: Stream, new_workspaces: Stream) -> Diff:
    """What changed from the old run to the new one; the streams are what `Store.workspaces` gives for them.

    Nothing is concluded from what one of the runs was not to read, or could not read, nor from a rule that it did not
    apply: what only the old run found is then no longer checked, rather than fixed. The changes lie on disk.
    """
    changes = DiskList(WorkspaceChange)
    compared = not_compared = 0
    unread = {"old": False, "new": False}
    async for before, after in merged(old_workspaces, new_workspaces):
        unread["old"] |= _lacks(before, after)
        unread["new"] |= _lacks(after, before) or (after is None and before is not None and before.row is not None)
        selected = [stored.selected for stored in (before, after) if stored]
        if not all(selected):
            not_compared += any(selected)
            continue
        compared += 1
        change = compare(before, after)
        if change and (change := _applied(change, old, new)):
            changes.append(change)
    notes = list(_notes(old, new))
    if any(unread.values()):
        left = DiskList(WorkspaceChange)
        doubtful = 0
        for change in changes:
            settled = _without_overlaps(change, **unread)
            doubtful += settled is not change
            if settled:
                left.append(settled)
        changes = left
        if doubtful:
            runs = " and the ".join(name for name, lacking in unread.items() if lacking)
            notes.append(
                f"Some findings that concern several workspaces are not compared: the {runs} run did not read them all."
            )
    counts = Counter(counted_changes(()))
    for start in range(0, len(changes), BATCH):
        counts.update(counted_changes(changes[start : start + BATCH]))
        await asyncio.sleep(0)
    return Diff(old, new, tuple(notes), changes, compared - len(changes), not_compared, counts)


def _lacks(stored: StoredWorkspace | None, other: StoredWorkspace | None) -> bool:
    """Whether a workspace is on the list of a run, which did not read it whole, while the other run read it."""
    if stored is None or other is None or other.row is None or other.row.state == "failed":
        return False
    return not stored.selected or stored.row is None or stored.row.state != "ok"


def _applied(change: WorkspaceChange, old: RunInfo, new: RunInfo) -> WorkspaceChange:
    """Without new findings of rules that the old run did not apply; those of the new run are no longer checked."""
    return _settled(
        change,
        lambda finding: not old.rules or finding.rule in old.rules,
        lambda finding: not new.rules or finding.rule in new.rules,
    )


def _without_overlaps(change: WorkspaceChange, *, old: bool, new: bool) -> WorkspaceChange:
    """The same for findings that a run may have missed, because it did not read another workspace."""
    if change.kind == "added":
        return change
    return _settled(
        change,
        lambda finding: not old or finding.rule not in OVERLAP_RULES,
        lambda finding: not new or finding.rule not in OVERLAP_RULES,
    )


def _settled(
    change: WorkspaceChange, is_new: Callable[[Finding], bool], is_fixed: Callable[[Finding], bool]
) -> WorkspaceChange:
    new, fixed = (tuple(filter(*pair)) for pair in ((is_new, change.findings_new), (is_fixed, change.findings_fixed)))
    if (new, fixed) == (change.findings_new, change.findings_fixed):
        return change
    unchecked = (*change.findings_unchecked, *filterfalse(is_fixed, change.findings_fixed))
    return attrs.evolve(change, findings_new=new, findings_fixed=fixed, findings_unchecked=unchecked)


async def merged(
    old: Stream, new: Stream
) -> AsyncGenerator[tuple[StoredWorkspace | None, StoredWorkspace | None], None]:
    """Pairs of the same workspace, by name; None if a run does not have it."""
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
            yield f"The {name} run was to read only {some} workspaces. The others are not compared."
        if run.pending:
            yield f"The {name} run did not reach {run.pending} of its {counted(run.planned, 'workspace')}."
    if old.base_url != new.base_url:
        yield f"The runs read different addresses: {old.base_url} and {new.base_url}."
    if old.rules != new.rules:
        odd = ", ".join(sorted(set(old.rules) ^ set(new.rules)))
        yield f"Only one of the runs applied these rules: {odd}."
