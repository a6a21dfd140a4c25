"""The table, the default format: a line per workspace, then the worst findings and how to fix them."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from attrs import Factory, define, evolve, frozen

from ..values import SEVERITIES, Finding, Row, Severity, State, Summary
from .layout import STYLES, Cell, Columns, cell, fixed_cell, folded, line
from .ranking import NewFindings, Worst, by_findings
from .text import NO_TEXTS, RuleTexts, counted, why_and_fix

WORKSPACES_SHOWN, FINDINGS_SHOWN, FAILURES_SHOWN, DNS_GAPS_SHOWN = 10, 4, 50, 5
REST = "--format json has all"
NUMBERS = ("agents", "domains", "errors", "warnings", "info")
NUMBER_STYLES = ("", "", *(STYLES[severity] for severity in SEVERITIES))
NARROW = 56  # below this width there are no columns of numbers, so that names have room
ROOMY = 72  # below this width the advice is printed below its rule, not next to it
INDENT = 2


@frozen
class FailedWorkspace:
    """A workspace that was not fully audited, and why."""

    state: State
    workspace: str
    text: str


def failed_first(workspace: FailedWorkspace) -> tuple[object, ...]:
    """Sorts workspaces: those that could not be read at all come first."""
    return (workspace.state != "failed",)


@define
class FindingsSection:
    """Renders what follows the table: findings, how to fix them, and workspaces that were not fully audited.

    `new` are the ids of the findings that come first and are marked.
    """

    columns: Columns
    texts: RuleTexts = NO_TEXTS
    new: Collection[str] = frozenset()
    _worst: Worst[Row] = Factory(lambda section: Worst(WORKSPACES_SHOWN, section.gravity), takes_self=True)
    _failed: Worst[FailedWorkspace] = Factory(lambda: Worst(FAILURES_SHOWN, failed_first))
    _dns_gaps: Worst[FailedWorkspace] = Factory(lambda: Worst(DNS_GAPS_SHOWN, failed_first))
    _rules: Counter[tuple[Severity, str]] = Factory(Counter)

    def gravity(self, row: Row) -> tuple[object, ...]:
        """Sorts rows: by their new findings, then by all."""
        new = [finding.severity for finding in row.findings if finding.id in self.new]
        return (*(-new.count(severity) for severity in SEVERITIES), *by_findings(row))

    def add(self, row: Row) -> None:
        if row.error:
            self._failed.add(FailedWorkspace(row.state, row.workspace, f"{row.error.type}: {row.error.message}"))
        if unread := str(row.dns or ""):
            self._dns_gaps.add(FailedWorkspace(row.state, row.workspace, unread))
        if row.findings:
            self._worst.add(row)
            self._rules.update((finding.severity, finding.rule) for finding in row.findings)

    def render(self) -> Iterator[str]:
        """The failed workspaces come last, because the end of the output stays on the screen."""
        for row in self._worst.items():
            yield "\n" + "".join(self._block(row))
        if hidden := self._worst.hidden:
            yield "\n" + self._text(cell(f"{counted(hidden, 'more workspace')} with findings; {REST}.", "dim"))
        if self._rules:
            yield "\n" + self._text(cell("How to fix", "bold")) + self._fixes()
        yield from self._workspaces(self._dns_gaps, "with unread hosts")
        yield from self._workspaces(self._failed, "not audited")

    def _workspaces(self, failed: Worst[FailedWorkspace], trouble: str) -> Iterator[str]:
        if failed.hidden:
            yield "\n" + self._text(cell(f"{counted(failed.hidden, 'more workspace')} {trouble}; {REST}.", "dim"))
        for item in sorted(failed.items(), key=failed_first, reverse=True):
            head = line((item.state, STYLES[item.state]), (item.workspace, "bold"))
            yield "\n" + self._text(head) + self._text(cell(item.text), INDENT)

    def _block(self, row: Row) -> Iterator[str]:
        """The findings of one workspace, the worst of them with the agent's name, and how many there are."""
        names, new = row.names, {finding.id for finding in row.findings}.intersection(self.new)
        findings = sorted(row.findings, key=lambda each: (each.id not in new, SEVERITIES.index(each.severity)))
        heads = ((severities(count, name), STYLES[name]) for name, count in row.counts.items() if count)
        yield self._text(line((row.workspace, "bold"), *heads, (f"{len(new):,} new" if new else "", "bold")))
        table = evolve(self.columns, headings=("", ""), least=(len("warning"),))
        yield table.table(
            (
                line(("new" if finding.id in new else "", "bold"), (finding.severity, STYLES[finding.severity])),
                _finding(finding, names.get(finding.agent_id or "", "")),
            )
            for finding in findings[:FINDINGS_SHOWN]
        )
        if (more := len(findings) - FINDINGS_SHOWN) > 0:
            yield self._text(cell(f"and {more:,} more; {REST}", "dim"), INDENT)

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
    """Aligned columns, at most `width` wide (None: as wide as they need), coloured only if `color`. With `news`, new
    findings come first and are marked."""

    def __init__(
        self,
        texts: RuleTexts = NO_TEXTS,
        *,
        width: int | None = None,
        color: bool = False,
        news: NewFindings | None = None,
    ) -> None:
        self._texts, self._width, self._color, self._news = texts, width, color, news

    def pieces(self, rows: Sequence[Row], summary: Summary) -> Iterator[str]:
        """The rows are read once, because reading them takes most of the time. Their totals stay in memory."""
        names = () if self._width and self._width < NARROW else NUMBERS
        table = Columns(("workspace", "state", *(f">{name}" for name in names)), self._width, self._color)
        columns = Columns((), self._width, self._color, headed=False, indent=INDENT)
        section = FindingsSection(columns, self._texts, self._news.findings if self._news else ())
        lines: list[tuple[str, State, tuple[int, ...]]] = []
        for row in rows:
            section.add(row)
            totals = (len(row.agents), row.domain_count, *row.counts.values())
            lines.append((row.workspace, row.state, totals[: len(names)]))
            table.measure(*_cells(*lines[-1]))
            yield ""
        yield table.heading()
        yield from (table.render(*_cells(*line)) for line in lines)
        yield from section.render()


def _cells(workspace: str, state: State, totals: tuple[int, ...]) -> tuple[Cell, ...]:
    if state == "failed":
        numbers = [fixed_cell("-", "dim")] * len(totals)
    else:
        numbers = [
            fixed_cell(total, style if total or not style else "dim")
            for total, style in zip(totals, NUMBER_STYLES, strict=False)
        ]
    return (cell(workspace), fixed_cell(state, STYLES[state]), *numbers)
