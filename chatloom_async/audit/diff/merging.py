"""Turns two runs, each a stream of workspaces in the order of their names, into the difference. Keeps only changes."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator

import attrs

from ..store.values import RunInfo, Stored
from ..values import finding
from .baseline import new_findings
from .comparing import compare
from .values import Diff, WorkspaceChange

Stream = AsyncIterator[Stored]


async def diff_runs(old: RunInfo, new: RunInfo, old_workspaces: Stream, new_workspaces: Stream) -> Diff:
    """What changed from the old run to the new one; the streams are what `Store.workspaces` gives for them."""
    changes: list[WorkspaceChange] = []
    roaming: tuple[set[str], set[str]] = (set(), set())
    compared = 0
    async for pair in merged(old_workspaces, new_workspaces):
        compared += 1
        changes += [change] if (change := compare(*pair)) else []
        for ids, side in zip(roaming, pair, strict=True):
            ids.update(_roaming(side))
    left = tuple(change for each in changes if (change := _settled(each, *roaming)))
    return Diff(old, new, tuple(_notes(old, new)), left, compared - len(left))


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


def _settled(change: WorkspaceChange, old: set[str], new: set[str]) -> WorkspaceChange:
    """Without findings that the other run has elsewhere."""
    return attrs.evolve(
        change,
        findings_new=new_findings(change.findings_new, old),
        findings_fixed=new_findings(change.findings_fixed, new),
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
        if run.pending:
            yield f"The {name} run did not reach {run.pending} of its {run.planned} workspaces."
    if old.base_url != new.base_url:
        yield f"The runs read different addresses: {old.base_url} and {new.base_url}."
    if old.rules != new.rules:
        odd = ", ".join(sorted(set(old.rules) ^ set(new.rules)))
        yield f"Only one of the runs applied these rules: {odd}."
