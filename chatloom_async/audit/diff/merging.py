"""Turns two runs, each a stream of workspaces in the order of their names, into the difference. Keeps only changes."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator

import attrs
from attrs import Factory, define

from ..store.values import RunInfo, Stored
from ..values import Finding, finding
from .baseline import new_findings
from .comparing import compare
from .values import Diff, WorkspaceChange

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
