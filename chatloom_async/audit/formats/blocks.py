"""Turns rows into what a terminal shows below its table: findings by workspace, how to fix them, and what failed.

Only the worst is kept, however many rows there are; the rest is counted.
"""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from attrs import Factory, define, frozen

from ..values import Finding, Row, Severity, State
from .guidance import NO_TEXTS, SEVERITIES, RuleTexts, counted, why_and_fix
from .terminal import STYLES, cell, columns, line
from .worst import WorstOf

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

WORKSPACES_SHOWN, FINDINGS_SHOWN, FAILURES_SHOWN = 10, 4, 50
REST = "--format json has all"


@frozen
class Block:
    """The findings of one workspace: the gravest, each with its agent's name, and how many there are of each kind."""

    workspace: str
    counts: tuple[int, ...]
    shown: tuple[tuple[Finding, str], ...]

    @property
    def gravity(self) -> tuple[object, ...]:
        return tuple(-count for count in self.counts), self.workspace

    @classmethod
    def of(cls, row: Row) -> "Block":
        names = {each.agent.id: each.agent.name for each in row.agents}
        order = sorted(row.findings, key=lambda each: SEVERITIES.index(each.severity))
        shown = tuple((each, names.get(each.agent_id or "", "")) for each in order[:FINDINGS_SHOWN])
        severities = [each.severity for each in order]
        return cls(row.workspace, tuple(map(severities.count, SEVERITIES)), shown)


@frozen
class Trouble:
    """A workspace that was not fully audited, and why."""

    state: State
    workspace: str
    text: str

    @property
    def gravity(self) -> tuple[object, ...]:
        return self.state != "failed", self.workspace


@define
class Blocks:
    """`told()` is all that is to be said of the rows that were added. `narrow` is for screens without room beside."""

    texts: RuleTexts = NO_TEXTS
    narrow: bool = False
    _blocks: WorstOf[Block] = Factory(lambda: WorstOf(WORKSPACES_SHOWN))
    _troubles: WorstOf[Trouble] = Factory(lambda: WorstOf(FAILURES_SHOWN))
    _rules: Counter[tuple[Severity, str]] = Factory(Counter)

    def add(self, row: Row) -> None:
        if row.error:
            self._troubles.add(Trouble(row.state, row.workspace, f"{row.error.type}: {row.error.message}"))
        if row.findings:
            self._blocks.add(Block.of(row))
            self._rules.update((each.severity, each.rule) for each in row.findings)

    def told(self) -> Iterator["RenderableType"]:
        """Findings first; what failed comes last, where it stays on the screen."""
        for block in self._blocks.items():
            yield from ("", *_block(block))
        if self._blocks.hidden:
            yield from ("", cell(f"{counted(self._blocks.hidden, 'more workspace')} with findings; {REST}.", "dim"))
        if self._rules:
            yield from ("", cell("How to fix", "bold"), self._fixes())
        if self._troubles.hidden:
            yield from ("", cell(f"{counted(self._troubles.hidden, 'more workspace')} not audited; {REST}.", "dim"))
        for each in reversed(self._troubles.items()):
            yield from (
                "",
                line((each.state, STYLES[each.state]), (each.workspace, "bold")),
                _indented(cell(each.text)),
            )

    def _fixes(self) -> "RenderableType":
        from rich.text import Text

        table = columns("", ">", *([""] if self.narrow else ["", ""]), headed=False)
        order = sorted(self._rules.items(), key=lambda item: (SEVERITIES.index(item[0][0]), -item[1], item[0][1]))
        for (severity, rule), count in order:
            told = cell(rule, "bold"), cell(why_and_fix(self.texts, rule)[1])
            cells = [Text("\n").join(part for part in told if part)] if self.narrow else told
            table.add_row(cell(severity, STYLES[severity]), cell(f"{count:,}"), *cells)
        table.columns[2].no_wrap = not self.narrow  # an id in two pieces cannot be copied
        return _indented(table)


def _block(block: Block) -> Iterator["RenderableType"]:
    counts = zip(block.counts, SEVERITIES, strict=True)
    yield line((block.workspace, "bold"), *((severities(count, name), STYLES[name]) for count, name in counts if count))
    table = columns("", "", headed=False)
    for found, agent in block.shown:
        table.add_row(cell(found.severity, STYLES[found.severity]), _finding(found, agent))
    table.columns[0].min_width = len("warning")
    yield _indented(table)
    if more := sum(block.counts) - len(block.shown):
        yield _indented(cell(f"and {more:,} more", "dim"))


def severities(count: int, severity: Severity) -> str:
    """`1 error`, `2 warnings`, `3 info`."""
    return f"{count:,} info" if severity == "info" else counted(count, severity)


def _finding(found: Finding, agent: str) -> "Text":
    """Rule and agent, and below them what was found. The subject stands before a message that does not name it."""
    named = found.subject in found.message or found.subject == agent
    message = found.message if named else f"{found.subject}: {found.message}"
    head = line((found.rule, "bold"), (agent, ""), (found.agent_id or "", "dim"))
    return head.append("\n").append_text(cell(message))


def _indented(item: "RenderableType") -> "RenderableType":
    from rich.padding import Padding

    return Padding(item, (0, 0, 0, 2))
