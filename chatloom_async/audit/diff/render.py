"""Renders the changes between two runs as a table, as Markdown or as one JSON document.

Text from outside loses its control characters and keys. In Markdown it is in code spans, so links, mentions and HTML
stay text. The Markdown has no table, so there is no cell that text could break out of.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from attrs import frozen

from ...wire.cleaning import clean
from ...wire.encode import json_text
from ..formats.github import code_span
from ..formats.layout import EMPTY, Cell, Columns, cell, folded
from ..formats.text import LIMIT, counted
from ..store.runs import RunInfo
from ..values import Finding
from .values import AgentChange, Diff, WorkspaceChange


@frozen
class Untrusted:
    """Text from a tenant, a server or a file: a format must escape it."""

    text: str


Fragment = str | Untrusted


@frozen
class ChangeLine:
    """One thing that changed. `mark` is + (added), - (removed), ~ (changed) or ? (unknown)."""

    mark: str
    parts: tuple[Fragment, ...]


KINDS = {"added": "+", "removed": "-", "not_comparable": "?"}
TITLES: dict[str, tuple[str, ...]] = {
    "workspaces": ("added", "removed", "changed", "not_comparable", "not_compared"),
    "agents": ("added", "removed", "changed", "renamed", "recoloured"),
    "domains": ("added", "removed"),
    "findings": ("new", "fixed", "unchecked"),
    "keys": ("rotated",),
}
"""The totals of a comparison, in groups for the output."""

WORDS = {"not_comparable": "not comparable", "not_compared": "not compared", "unchecked": "no longer checked"}
"""The totals that have another name in the output."""


def heading(diff: Diff) -> str:
    """Which runs are compared."""
    return f"From {_run(diff.old)} to {_run(diff.new)}"


def totals(diff: Diff) -> tuple[str, ...]:
    """One line for each kind with changes, then the number of unchanged workspaces."""
    counts = diff.summary()
    lines = []
    for noun, words in TITLES.items():
        numbers = [(counts[f"{noun}_{word}"], WORDS.get(word, word)) for word in words]
        if parts := ", ".join(f"{number} {word}" for number, word in numbers if number):
            lines.append(f"{noun}: {parts}")
    return (*lines, f"{counted(diff.unchanged, 'workspace')} did not change")


def change_lines(change: WorkspaceChange) -> Iterator[ChangeLine]:
    """All that changed in one workspace, without its name."""
    if change.kind != "changed":
        reason: tuple[Fragment, ...] = (": ", Untrusted(change.reason)) if change.reason else ()
        yield ChangeLine(KINDS[change.kind], (f"workspace {change.kind.replace('_', ' ')}", *reason))
    elif change.old_state != change.new_state:
        yield ChangeLine("~", (f"state {change.old_state} -> {change.new_state}",))
    if change.key_rotated:
        yield ChangeLine("~", ("key rotated",))
    for mark, agents in (("+", change.agents_added), ("-", change.agents_removed)):
        for audited in agents:
            yield ChangeLine(mark, ("agent ", Untrusted(audited.agent.name), " (", Untrusted(audited.agent.id), ")"))
    for agent in change.agents_changed:
        yield from _agent(agent)
    yield from _findings("+", "new", change.findings_new)
    yield from _findings("-", "fixed", change.findings_fixed)
    yield from _findings("?", "no longer checked:", change.findings_unchecked)


def _agent(change: AgentChange) -> Iterator[ChangeLine]:
    who: tuple[Fragment, ...] = ("agent ", Untrusted(change.name), " (", Untrusted(change.agent_id), "): ")
    for field in change.fields:
        yield ChangeLine("~", (*who, f"{field.field} ", Untrusted(field.old), " -> ", Untrusted(field.new)))
    for mark, domains in (("+", change.domains_added), ("-", change.domains_removed)):
        for domain in domains:
            yield ChangeLine(mark, (*who, "domain ", Untrusted(domain)))


def _findings(mark: str, word: str, findings: Iterable[Finding]) -> Iterator[ChangeLine]:
    for finding in findings:
        parts: list[Fragment] = [f"{word} {finding.severity} ", Untrusted(finding.rule)]
        parts += (" ", Untrusted(finding.subject)) if finding.subject else ()
        parts += (" in agent ", Untrusted(finding.agent_id)) if finding.agent_id else ()
        yield ChangeLine(mark, (*parts, ": ", Untrusted(finding.message)))


def _run(run: RunInfo) -> str:
    return f"run {run.id} ({run.started:%Y-%m-%d %H:%M} UTC, {run.state})"


MARKS = {mark: cell(mark, style) for mark, style in {"+": "green", "-": "red", "~": "yellow", "?": "magenta"}.items()}


def table_diff(diff: Diff, *, width: int | None = None, color: bool = False) -> Iterator[str]:
    """One line a change, at most `width` wide (None: as wide as they need), coloured only if `color`."""
    for text in (heading(diff), *(f"note: {clean(note)}" for note in diff.notes), *totals(diff)):
        yield from (f"{part.rendered(color=False)}\n" for part in folded(cell(text), width or 10_000))
    if not diff.changes:
        return
    table = Columns(("workspace", "", "change"), width, color)
    for change in diff.changes:
        for row in _rows(change):
            table.measure(*row)
        yield ""
    yield "\n" + table.heading()
    for change in diff.changes:
        yield "".join(table.render(*row) for row in _rows(change))


def _rows(change: WorkspaceChange) -> Iterator[tuple[Cell, Cell, Cell]]:
    name = cell(change.workspace)
    for item in change_lines(change):
        yield name, MARKS[item.mark], Cell.of(("".join(map(_plain, item.parts)), ""))
        name = EMPTY


def _plain(part: Fragment) -> str:
    return clean(part.text) or '""' if isinstance(part, Untrusted) else part


def markdown_diff(diff: Diff) -> Iterator[str]:
    """Headings and lists of CommonMark."""
    yield f"# {heading(diff)}\n\n" + "".join(f"- {line}\n" for line in totals(diff))
    if diff.notes:
        yield "\n" + "".join(f"> {code_span(note)}\n>\n" for note in diff.notes)
    for change in diff.changes:
        lines = (f"- **{item.mark}** {''.join(map(_part, item.parts))}\n" for item in change_lines(change))
        yield f"\n## {code_span(change.workspace)}\n\n" + "".join(lines)


def _part(part: Fragment) -> str:
    return code_span(part.text, LIMIT) if isinstance(part, Untrusted) else part


SCHEMA_VERSION = 1  # raised when a reader of the last version could misread a document; new members do not count


def json_diff(diff: Diff) -> Iterator[str]:
    """The document, with a newline at its end."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "old": _run_document(diff.old),
        "new": _run_document(diff.new),
        "notes": list(diff.notes),
        "workspaces": [],
        "summary": diff.summary(),
    }
    begin, workspaces, end = json_text(document, indent=True).partition('"workspaces": [')
    yield begin + workspaces
    separator = ""
    for change in diff.changes:
        yield f"{separator}\n    " + json_text(_change(change), indent=True).replace("\n", "\n    ")
        separator = ","
    yield ("\n  " if separator else "") + end + "\n"


def _run_document(run: RunInfo) -> dict[str, Any]:
    return {
        "id": run.id,
        "started": run.started.isoformat(timespec="seconds"),
        "state": run.state,
        "workspaces": run.planned,
        "unselected": run.unselected,
        "pending": run.pending,
    }


def _change(change: WorkspaceChange) -> dict[str, Any]:
    members: dict[str, Any] = msgspec.to_builtins(change)  # `attrs.asdict` takes ten times as long
    for name in ("agents_added", "agents_removed"):
        del members[name]
        members[name] = [audited.agent.to_dict(python_names=True) for audited in getattr(change, name)]
    return members
