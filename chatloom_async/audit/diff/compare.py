"""Compares two runs, each a stream of workspaces in the order of their names, and keeps only the changes.

Data that a run could not read is unknown, not absent: nothing is concluded from it.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Container, Iterable, Iterator
from itertools import filterfalse

import attrs

from ..formats.text import counted
from ..rules.hostname import parse_domain
from ..rules.registry import RULES
from ..spool import DiskList
from ..store.runs import RunInfo, StoredWorkspace
from ..values import AuditedAgent, Finding, IncompleteListError, Row, State
from .values import AgentChange, Diff, FieldChange, WorkspaceChange, counted_changes

FindingFilter = Callable[[Finding], bool]
BATCH = 64  # changes that are looked at between two pauses for other tasks
OVERLAP_RULES = frozenset(rule.id for rule in RULES if rule.scope == "overlap")
"""Their findings depend on other workspaces, too."""

DNS_RULES = frozenset(rule.id for rule in RULES if rule.needs == "dns")
"""Their findings depend on what the DNS answered."""

EXPECT_RULES = frozenset(rule.id for rule in RULES if rule.needs == "expect")
"""Their findings depend on what the list of workspaces expects."""


def new_findings(findings: Iterable[Finding], known: Container[str]) -> tuple[Finding, ...]:
    """The findings whose id is not among `known`, such as `await store.known_findings(baseline, ids)`.

    If the baseline could not read a workspace, all findings about it are new.
    """
    return tuple(finding for finding in findings if finding.id not in known)


def compare(old: StoredWorkspace | None, new: StoredWorkspace | None) -> WorkspaceChange | None:
    """What differs, or None if nothing does. A side is None if its run did not include the workspace."""
    if old is None or new is None:
        if new is not None:
            findings = new.row.findings if new.row else ()
            return WorkspaceChange(new.workspace, "added", new_state=_state(new), findings_new=findings)
        return None if old is None else WorkspaceChange(old.workspace, "removed", old_state=_state(old))
    rotated = None not in (old.key, new.key) and old.key != new.key
    states = (_state(old), _state(new))
    reasons = [f"{run} run: {reason}" for run, side in (("old", old), ("new", new)) if (reason := _missing(side.row))]
    if old.row is None or new.row is None or reasons:
        reason = "; ".join(reasons)
        return WorkspaceChange(new.workspace, "not_comparable", *states, reason=reason, key_rotated=rotated)
    before, after = _by_id(old.row), _by_id(new.row)
    gone, could_find = _only_in(old.row, new.row), _could_find(new, new.row)
    change = WorkspaceChange(
        new.workspace,
        "changed",
        *states,
        key_rotated=rotated,
        agents_added=tuple(after[name] for name in after if name not in before and _listed(old.row)),
        agents_removed=tuple(before[name] for name in before if name not in after and _listed(new.row)),
        agents_changed=tuple(_changes(before, after)),
        findings_new=tuple(filter(_could_find(old, old.row), _only_in(new.row, old.row))),
        findings_fixed=tuple(filter(could_find, gone)),
        findings_unchecked=tuple(filterfalse(could_find, gone)),
    )
    return change or None


def _state(stored: StoredWorkspace) -> State | None:
    return stored.row.state if stored.row else None


def _missing(row: Row | None) -> str | None:
    if row is None:
        return "not reached"
    if row.state == "failed":
        return f"failed ({row.error.type if row.error else 'no reason was recorded'})"  # its report has the message
    return None


def _by_id(row: Row) -> dict[str, AuditedAgent]:
    return {audited.agent.id: audited for audited in row.agents}


def _listed(row: Row) -> bool:
    """Whether an agent that is not in the row did not exist. False if the list contradicted itself."""
    return row.error is None or row.error.type != IncompleteListError.__name__


def _changes(before: dict[str, AuditedAgent], after: dict[str, AuditedAgent]) -> Iterator[AgentChange]:
    for name, new in after.items():
        old = before.get(name)
        if old is None or old == new:  # most are the same, and looking closer takes long
            continue
        added, removed = _without(new.domains, old.domains), _without(old.domains, new.domains)
        fields: list[FieldChange] = []
        if old.agent != new.agent:
            one, other = (version.agent.to_dict(python_names=True) for version in (old, new))
            fields += (FieldChange(key, str(one[key]), str(value)) for key, value in other.items() if one[key] != value)
        if fields or added or removed:
            yield AgentChange(name, new.agent.name, tuple(fields), added, removed)


def _without(domains: tuple[str, ...] | None, others: tuple[str, ...] | None) -> tuple[str, ...]:
    """The domains that are not among the others; none if a run could not read them."""
    if domains is None or others is None:
        return ()
    return tuple(dict.fromkeys(domain for domain in domains if domain not in others))


def _only_in(row: Row, other: Row) -> tuple[Finding, ...]:
    known = {finding.id for finding in other.findings}
    return tuple(finding for finding in row.findings if finding.id not in known)


def _could_find(stored: StoredWorkspace, row: Row) -> FindingFilter:
    """A function that says whether the run could find this in the workspace, from what it read and expected."""
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
    """The changes from the old run to the new one; the streams are what `Store.workspaces` gives for them.

    Nothing is concluded from what one of the runs was not to read, or could not read, nor from a rule that it did not
    apply: what only the old run found is then no longer checked, rather than fixed. The changes lie on disk.
    """
    changes = DiskList(WorkspaceChange)
    compared = not_compared = 0
    old_lacks = new_lacks = False
    async for before, after in merged(old_workspaces, new_workspaces):
        old_lacks |= _lacks(before, after)
        new_lacks |= _lacks(after, before) or (after is None and before is not None and before.row is not None)
        selected = [stored.selected for stored in (before, after) if stored]
        if not all(selected):
            not_compared += any(selected)
            continue
        compared += 1
        change = compare(before, after)
        if change and (change := _settled(change, _applied_by(old), _applied_by(new))):
            changes.append(change)
    notes = list(_notes(old, new))
    if old_lacks or new_lacks:
        changes, doubtful = await _without_overlaps(changes, _decided(old_lacks), _decided(new_lacks))
        if doubtful:
            runs = " and the ".join(name for name, lacks in (("old", old_lacks), ("new", new_lacks)) if lacks)
            notes.append(
                f"Some findings that concern several workspaces are not compared: the {runs} run did not read them all."
            )
    counts = Counter(counted_changes(()))
    for start in range(0, len(changes), BATCH):
        counts.update(counted_changes(changes[start : start + BATCH]))
        await asyncio.sleep(0)
    return Diff(old, new, tuple(notes), changes, compared - len(changes), not_compared, counts)


async def _without_overlaps(
    changes: DiskList[WorkspaceChange], is_new: FindingFilter, is_fixed: FindingFilter
) -> tuple[DiskList[WorkspaceChange], int]:
    """The changes without doubtful findings about several workspaces, and how many changes had one."""
    settled = DiskList(WorkspaceChange)
    doubtful = 0
    for place, change in enumerate(changes):
        final = change if change.kind == "added" else _settled(change, is_new, is_fixed)
        doubtful += final is not change
        if final:
            settled.append(final)
        if place % BATCH == 0:
            await asyncio.sleep(0)
    return settled, doubtful


def _applied_by(run: RunInfo) -> FindingFilter:
    return lambda finding: not run.rules or finding.rule in run.rules


def _decided(lacks: bool) -> FindingFilter:
    """Whether a run that lacks a workspace could find this: not if it depends on several workspaces."""
    return lambda finding: not (lacks and finding.rule in OVERLAP_RULES)


def _lacks(stored: StoredWorkspace | None, other: StoredWorkspace | None) -> bool:
    """Whether a run did not read a workspace of its list as a whole, while the other run read it."""
    if stored is None or other is None or other.row is None or other.row.state == "failed":
        return False
    return not stored.selected or stored.row is None or stored.row.state != "ok"


def _settled(change: WorkspaceChange, is_new: FindingFilter, is_fixed: FindingFilter) -> WorkspaceChange:
    """Without new findings that are not `is_new`; fixed ones that are not `is_fixed` are no longer checked."""
    new, fixed = tuple(filter(is_new, change.findings_new)), tuple(filter(is_fixed, change.findings_fixed))
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
        yield f"Only one of the runs applied these rules, so their findings are not compared: {odd}."
