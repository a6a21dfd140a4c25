"""Renders a difference as text, as a table, as Markdown or as one JSON document.

Text from outside loses its control characters, keys and markup. In Markdown it stands in code spans, so that links,
mentions and HTML stay text; there is no table whose cells it could break out of.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from ...wire.cleaning import clean
from ..document import agent_document, json_text
from ..formats.markdown import code_span
from ..formats.text import LIMIT, cell, columns, rendered
from ..store.values import RunInfo
from ..values import Finding
from .values import AgentChange, Diff, WorkspaceChange

if TYPE_CHECKING:
    from rich.console import RenderableType


@frozen
class Untrusted:
    """Text from a tenant, a server or a file: a format must escape it."""

    text: str


Fragment = str | Untrusted


@frozen
class ChangeLine:
    """One thing that changed. `mark` is one of + - ~ ? (came, went, became other, unknown)."""

    mark: str
    parts: tuple[Fragment, ...]


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
        for each in agents:
            yield ChangeLine(mark, ("agent ", Untrusted(each.agent.name), " (", Untrusted(each.agent.id), ")"))
    for agent in change.agents_changed:
        yield from _agent(agent)
    yield from _findings("+", "new", change.findings_new)
    yield from _findings("-", "fixed", change.findings_fixed)


def _agent(change: AgentChange) -> Iterator[ChangeLine]:
    who: tuple[Fragment, ...] = ("agent ", Untrusted(change.name), " (", Untrusted(change.agent_id), "): ")
    for each in change.fields:
        yield ChangeLine("~", (*who, f"{each.field} ", Untrusted(each.old), " -> ", Untrusted(each.new)))
    for mark, domains in (("+", change.domains_added), ("-", change.domains_removed)):
        for domain in domains:
            yield ChangeLine(mark, (*who, "domain ", Untrusted(domain)))


def _findings(mark: str, word: str, findings: Iterable[Finding]) -> Iterator[ChangeLine]:
    for each in findings:
        where: tuple[Fragment, ...] = (" in agent ", Untrusted(each.agent_id)) if each.agent_id else ()
        subject: tuple[Fragment, ...] = (" ", Untrusted(each.subject)) if each.subject else ()
        yield ChangeLine(
            mark, (f"{word} {each.severity} ", Untrusted(each.rule), *subject, *where, ": ", Untrusted(each.message))
        )


def _run(run: RunInfo) -> str:
    return f"run {run.id} ({run.started:%Y-%m-%d %H:%M} UTC, {run.state})"


STYLES = {"+": "green", "-": "red", "~": "yellow", "?": "magenta"}


def table_diff(diff: Diff, *, width: int | None = None, color: bool = False) -> str:
    """One line a change, at most `width` wide (None: as wide as they need), coloured only if `color`."""
    try:
        import rich  # noqa: F401 - of the [cli] extra
    except ImportError:
        return plain_diff(diff)
    table = columns("workspace", "", "change")
    for change in diff.changes:
        name = change.workspace
        for each in change_lines(change):
            table.add_row(cell(name), cell(each.mark, STYLES[each.mark]), cell("".join(map(_plain, each.parts))))
            name = ""  # once is enough
    changes: list[RenderableType] = ["", table] if diff.changes else []
    return rendered([*map(cell, _frame(diff)), *changes], width=width, color=color)


def plain_diff(diff: Diff) -> str:
    """The same in lines of text; a name, and under it what changed."""
    lines = [*_frame(diff)]
    for change in diff.changes:
        lines += ["", clean(change.workspace)]
        lines += [f"  {each.mark} {''.join(map(_plain, each.parts))}" for each in change_lines(change)]
    return "".join(f"{line}\n" for line in lines)


def _frame(diff: Diff) -> Iterator[str]:
    yield heading(diff)
    yield from (f"note: {clean(each)}" for each in diff.notes)
    yield from totals(diff)


def _plain(part: Fragment) -> str:
    return clean(part.text) or '""' if isinstance(part, Untrusted) else part


def markdown_diff(diff: Diff) -> str:
    """Headings and lists of CommonMark."""
    lines = [f"# {heading(diff)}", "", *(f"- {line}" for line in totals(diff))]
    lines += ["", *(f"> {code_span(each)}\n>" for each in diff.notes)] if diff.notes else []
    for change in diff.changes:
        lines += ["", f"## {code_span(change.workspace)}", ""]
        lines += [f"- **{each.mark}** {''.join(map(_part, each.parts))}" for each in change_lines(change)]
    return "".join(f"{line}\n" for line in lines)


def _part(part: Fragment) -> str:
    return code_span(part.text, LIMIT) if isinstance(part, Untrusted) else part


SCHEMA_VERSION = 1
"""Raised when a reader of the last version could misread a document; new members do not count."""


def json_diff(diff: Diff) -> str:
    """The document, with a newline at its end."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "old": _run_document(diff.old),
        "new": _run_document(diff.new),
        "notes": list(diff.notes),
        "workspaces": [_change(change) for change in diff.changes],
        "summary": diff.summary(),
    }
    return json_text(document, indent=True) + "\n"


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
    agents = ("agents_added", "agents_removed")
    members = attrs.asdict(change, filter=lambda each, _: each.name not in agents)
    return {**members, **{name: [agent_document(each.agent) for each in getattr(change, name)] for name in agents}}
