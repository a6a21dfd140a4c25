"""Puts a difference into sentences, once for every format. Text from outside stays marked, and is not escaped here."""

from collections.abc import Iterable, Iterator

from attrs import frozen

from ..store.values import RunInfo
from ..values import Finding
from .values import AgentChange, Diff, WorkspaceChange


@frozen
class Foreign:
    """Text from a tenant, a server or a file: a format must escape it."""

    text: str


Part = str | Foreign


@frozen
class Sentence:
    """One thing that changed. `mark` is one of + - ~ ? (came, went, became other, unknown)."""

    mark: str
    parts: tuple[Part, ...]


KINDS = {"added": "+", "removed": "-", "not_comparable": "?"}
TITLES: dict[str, tuple[str, ...]] = {
    "workspaces": ("added", "removed", "changed", "not_comparable", "not_compared"),
    "agents": ("added", "removed", "changed", "renamed", "recoloured"),
    "domains": ("added", "removed"),
    "findings": ("new", "fixed"),
    "keys": ("rotated",),
}
"""The totals that a person wants to see, grouped as they are told."""


def heading(diff: Diff) -> str:
    """Which runs are compared."""
    return f"From {_run(diff.old)} to {_run(diff.new)}"


def totals(diff: Diff) -> tuple[str, ...]:
    """One line for each kind of thing of which any changed, then the number of workspaces that did not."""
    counts = diff.summary()
    lines = []
    for noun, words in TITLES.items():
        told = ", ".join(
            f"{counts[f'{noun}_{word}']} {word.replace('_', ' ')}" for word in words if counts[f"{noun}_{word}"]
        )
        lines += [f"{noun}: {told}"] if told else []
    return (*lines, f"{diff.unchanged} workspaces did not change")


def sentences(change: WorkspaceChange) -> Iterator[Sentence]:
    """All that changed in one workspace, without its name."""
    if change.kind != "changed":
        reason: tuple[Part, ...] = (": ", Foreign(change.reason)) if change.reason else ()
        yield Sentence(KINDS[change.kind], (f"workspace {change.kind.replace('_', ' ')}", *reason))
    elif change.old_state != change.new_state:
        yield Sentence("~", (f"state {change.old_state} -> {change.new_state}",))
    if change.key_rotated:
        yield Sentence("~", ("key rotated",))
    for mark, agents in (("+", change.agents_added), ("-", change.agents_removed)):
        for each in agents:
            yield Sentence(mark, ("agent ", Foreign(each.agent.name), " (", Foreign(each.agent.id), ")"))
    for agent in change.agents_changed:
        yield from _agent(agent)
    yield from _findings("+", "new", change.findings_new)
    yield from _findings("-", "fixed", change.findings_fixed)


def _agent(change: AgentChange) -> Iterator[Sentence]:
    who: tuple[Part, ...] = ("agent ", Foreign(change.name), " (", Foreign(change.agent_id), "): ")
    for each in change.fields:
        yield Sentence("~", (*who, f"{each.field} ", Foreign(each.old), " -> ", Foreign(each.new)))
    for mark, domains in (("+", change.domains_added), ("-", change.domains_removed)):
        for domain in domains:
            yield Sentence(mark, (*who, "domain ", Foreign(domain)))


def _findings(mark: str, word: str, findings: Iterable[Finding]) -> Iterator[Sentence]:
    for each in findings:
        where: tuple[Part, ...] = (" in agent ", Foreign(each.agent_id)) if each.agent_id else ()
        subject: tuple[Part, ...] = (" ", Foreign(each.subject)) if each.subject else ()
        yield Sentence(
            mark, (f"{word} {each.severity} ", Foreign(each.rule), *subject, *where, ": ", Foreign(each.message))
        )


def _run(run: RunInfo) -> str:
    return f"run {run.id} ({run.started:%Y-%m-%d %H:%M} UTC, {run.state})"
