"""The table, the default format: one line a workspace, then the findings by rule, the worst first."""

from collections import Counter
from collections.abc import Iterator, Sequence

from attrs import Factory, define, evolve, frozen

from ..summary import Summary
from ..values import SEVERITIES, Finding, Row, Severity, State
from .layout import STYLES, Cell, Columns, cell, folded, line
from .ranking import NO_TEXTS, RuleTexts, Worst, counted, why_and_fix

WORKSPACES_SHOWN, FINDINGS_SHOWN, FAILURES_SHOWN, DNS_GAPS_SHOWN = 10, 4, 50, 5
REST = "--format json has all"
NUMBERS = ("agents", "domains", "errors", "warnings", "info")
NARROW = 56
"""Below this width there are no columns of numbers, so that names have room."""
ROOMY = 72
"""Below this width the advice is printed below its rule, not next to it."""
INDENT = 2


@frozen
class Block:
    """The findings of one workspace: the worst, each with its agent's name, and how many there are of each severity."""

    workspace: str
    counts: tuple[int, ...]
    shown: tuple[tuple[Finding, str], ...]

    @property
    def gravity(self) -> tuple[object, ...]:
        return tuple(-count for count in self.counts)

    @classmethod
    def of(cls, row: Row) -> "Block":
        names = row.names
        order = sorted(row.findings, key=lambda finding: SEVERITIES.index(finding.severity))
        shown = tuple((finding, names.get(finding.agent_id or "", "")) for finding in order[:FINDINGS_SHOWN])
        return cls(row.workspace, tuple(row.counts.values()), shown)


@frozen
class FailedWorkspace:
    """A workspace that was not fully audited, and why."""

    state: State
    workspace: str
    text: str

    @property
    def gravity(self) -> tuple[object, ...]:
        return (self.state != "failed",)


@define
class FindingsSection:
    """Renders what follows the table: findings, how to fix them, and workspaces that were not fully audited."""

    columns: Columns
    texts: RuleTexts = NO_TEXTS
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
            self._rules.update((finding.severity, finding.rule) for finding in row.findings)

    def render(self) -> Iterator[str]:
        """The failed workspaces come last, where they stay on the screen."""
        for block in self._blocks.items():
            yield "\n" + "".join(self._block(block))
        if hidden := self._blocks.hidden:
            yield "\n" + self._text(cell(f"{counted(hidden, 'more workspace')} with findings; {REST}.", "dim"))
        if self._rules:
            yield "\n" + self._text(cell("How to fix", "bold")) + self._fixes()
        yield from self._workspaces(self._dns_gaps, "with unread hosts")
        yield from self._workspaces(self._failed, "not audited")

    def _workspaces(self, failed: Worst[FailedWorkspace], trouble: str) -> Iterator[str]:
        if failed.hidden:
            yield "\n" + self._text(cell(f"{counted(failed.hidden, 'more workspace')} {trouble}; {REST}.", "dim"))
        for item in reversed(failed.items()):
            head = line((item.state, STYLES[item.state]), (item.workspace, "bold"))
            yield "\n" + self._text(head) + self._text(cell(item.text), INDENT)

    def _block(self, block: Block) -> Iterator[str]:
        counts = zip(block.counts, SEVERITIES, strict=True)
        heads = ((severities(count, name), STYLES[name]) for count, name in counts if count)
        yield self._text(line((block.workspace, "bold"), *heads))
        table = evolve(self.columns, headings=("", ""), least=(len("warning"),))
        yield table.table(
            (cell(found.severity, STYLES[found.severity]), _finding(found, name)) for found, name in block.shown
        )
        if more := sum(block.counts) - len(block.shown):
            yield self._text(cell(f"and {more:,} more", "dim"), INDENT)

    def _fixes(self) -> str:
        narrow = self.columns.width is not None and self.columns.width < ROOMY
        headings = ("", ">", "") if narrow else ("", ">", "", "")
        table = evolve(self.columns, headings=headings, fixed=frozenset(() if narrow else (2,)))  # ids can be copied
        order = sorted(self._rules.items(), key=lambda item: (SEVERITIES.index(item[0][0]), -item[1], item[0][1]))
        rows: list[tuple[Cell | tuple[Cell, ...], ...]] = []
        for (severity, rule), count in order:
            advice = cell(rule, "bold"), cell(why_and_fix(self.texts, rule)[1])
            head = cell(severity, STYLES[severity]), cell(f"{count:,}")
            rows.append((*head, advice if advice[1].width else advice[:1]) if narrow else (*head, *advice))
        return table.table(rows)

    def _text(self, item: Cell, indent: int = 0) -> str:
        parts = folded(item, max(1, self.columns.width - indent)) if self.columns.width else (item,)
        return "".join(f"{' ' * indent}{part.rendered(color=self.columns.color)}".rstrip() + "\n" for part in parts)


def severities(count: int, severity: Severity) -> str:
    """`1 error`, `2 warnings`, `3 info`."""
    return f"{count:,} info" if severity == "info" else counted(count, severity)


def _finding(finding: Finding, agent: str) -> tuple[Cell, Cell]:
    """Rule and agent, and below them the message. The subject stands before a message that does not name it."""
    named = finding.subject in finding.message or finding.subject == agent
    message = finding.message if named else f"{finding.subject}: {finding.message}"
    return line((finding.rule, "bold"), (agent, ""), (finding.agent_id or "", "dim")), cell(message)


class TableFormat:
    """Aligned columns, at most `width` wide (None: as wide as they need), coloured only if `color`."""

    def __init__(self, texts: RuleTexts = NO_TEXTS, *, width: int | None = None, color: bool = False) -> None:
        self._texts, self._width, self._color = texts, width, color

    def pieces(self, rows: Sequence[Row], summary: Summary) -> Iterator[str]:
        numbers = () if self._width and self._width < NARROW else NUMBERS
        headings = ("workspace", "state", *(f">{name}" for name in numbers))
        table = Columns(headings, self._width, self._color)
        plain = Columns((), self._width, self._color, headed=False, indent=INDENT)
        section = FindingsSection(plain, self._texts)
        for row in rows:
            table.measure(*_cells(row, len(numbers)))
            section.add(row)
            yield ""
        yield table.heading()
        for row in rows:
            yield table.render(*_cells(row, len(numbers)))
        yield from section.render()


def _cells(row: Row, numbers: int) -> tuple[Cell, ...]:
    counts = row.counts
    values = (len(row.agents), row.domain_count, *counts.values())
    if row.state == "failed":
        shown = [cell("-", "dim")] * len(values)
    else:
        styles = ("", "", *(STYLES[severity] if counts[severity] else "dim" for severity in SEVERITIES))
        shown = [Cell(((str(value), style),)) for value, style in zip(values, styles, strict=True)]
    return (cell(row.workspace), cell(row.state, STYLES[row.state]), *shown[:numbers])
