"""The table, the default format: one line a workspace, then the findings by rule, the worst first."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from attrs import Factory, define, frozen

from ..summary import Summary
from ..values import SEVERITIES, Finding, Row, Severity, State
from .ranking import NO_TEXTS, RuleTexts, Worst, counted, why_and_fix
from .text import STYLES, cell, columns, line, rendered

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text


WORKSPACES_SHOWN, FINDINGS_SHOWN, FAILURES_SHOWN, DNS_GAPS_SHOWN = 10, 4, 50, 5
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
        names = row.names
        order = sorted(row.findings, key=lambda each: SEVERITIES.index(each.severity))
        shown = tuple((each, names.get(each.agent_id or "", "")) for each in order[:FINDINGS_SHOWN])
        return cls(row.workspace, tuple(row.counts.values()), shown)


@frozen
class FailedWorkspace:
    """A workspace that was not fully audited, and why."""

    state: State
    workspace: str
    text: str

    @property
    def gravity(self) -> tuple[object, ...]:
        return self.state != "failed", self.workspace


@define
class FindingsSection:
    """Renders the findings of all added rows; `narrow` uses a one-column layout."""

    texts: RuleTexts = NO_TEXTS
    narrow: bool = False
    _blocks: Worst[Block] = Factory(lambda: Worst(WORKSPACES_SHOWN))
    _failed: Worst[FailedWorkspace] = Factory(lambda: Worst(FAILURES_SHOWN))
    _dns_gaps: Worst[FailedWorkspace] = Factory(lambda: Worst(DNS_GAPS_SHOWN))
    _rules: Counter[tuple[Severity, str]] = Factory(Counter)

    def add(self, row: Row) -> None:
        if row.error:
            self._failed.add(FailedWorkspace(row.state, row.workspace, f"{row.error.type}: {row.error.message}"))
        if unread := str(row.dns or ""):
            self._dns_gaps.add(FailedWorkspace(row.state, row.workspace, unread))
        if row.findings:
            self._blocks.add(Block.of(row))
            self._rules.update((each.severity, each.rule) for each in row.findings)

    def render(self) -> Iterator["RenderableType"]:
        """Findings first; what failed comes last, where it stays on the screen."""
        for block in self._blocks.items():
            yield from ("", *_block(block))
        if self._blocks.hidden:
            yield from ("", cell(f"{counted(self._blocks.hidden, 'more workspace')} with findings; {REST}.", "dim"))
        if self._rules:
            yield from ("", cell("How to fix", "bold"), self._fixes())
        yield from _workspaces(self._dns_gaps, "with unread hosts")
        yield from _workspaces(self._failed, "not audited")

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


def _workspaces(failed: Worst[FailedWorkspace], trouble: str) -> Iterator["RenderableType"]:
    if failed.hidden:
        yield from ("", cell(f"{counted(failed.hidden, 'more workspace')} {trouble}; {REST}.", "dim"))
    for each in reversed(failed.items()):
        yield from ("", line((each.state, STYLES[each.state]), (each.workspace, "bold")), _indented(cell(each.text)))


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


__all__ = ["TableFormat", "cell", "columns", "rendered"]

STATES: tuple[State, ...] = ("ok", "partial", "failed")  # the last lines are those that stay on the screen
NUMBERS = ("agents", "domains", "errors", "warnings", "info")
NARROW = 56  # below this width, the columns of numbers leave too little for names
ROOMY = 72  # below this one, what is to be done stands below the rule, not beside it


@frozen
class Line:
    """What the table keeps of a row."""

    workspace: str
    state: State
    counts: tuple[int, ...]


class TableFormat:
    """Aligned columns, at most `width` wide (None: as wide as they need), coloured only if `color`."""

    def __init__(self, texts: RuleTexts = NO_TEXTS, *, width: int | None = None, color: bool = False) -> None:
        self._width, self._color = width, color
        self._lines: list[Line] = []
        self._section = FindingsSection(texts, narrow=width is not None and width < ROOMY)

    def start(self) -> str:
        return ""

    def row(self, row: Row) -> str:
        counts = (len(row.agents), row.domain_count, *row.counts.values())
        self._lines.append(Line(row.workspace, row.state, counts))
        self._section.add(row)
        return ""

    def end(self, summary: Summary) -> str:
        headings = () if self._width and self._width < NARROW else NUMBERS
        table = columns("workspace", "state", *(f">{each}" for each in headings))
        for row in sorted(self._lines, key=lambda row: (STATES.index(row.state), row.workspace)):
            numbers = (_number(row, place) for place in range(len(headings)))
            table.add_row(cell(row.workspace), cell(row.state, STYLES[row.state]), *numbers)
        return rendered([table, *self._section.render()], width=self._width, color=self._color)


def _number(line: Line, place: int) -> "Text":
    severity = dict(zip(range(2, 5), SEVERITIES, strict=True)).get(place)
    count = line.counts[place]
    if line.state == "failed":
        return cell("-", "dim")
    return cell(str(count), "" if severity is None else STYLES[severity] if count else "dim")
