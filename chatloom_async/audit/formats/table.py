"""A table for people: one line a workspace, what was found in the worst of them, and how to fix it."""

from typing import TYPE_CHECKING

from attrs import frozen

from ..summary import Summary
from ..values import Row, State
from .blocks import Blocks
from .guidance import NO_TEXTS, SEVERITIES, RuleTexts
from .terminal import STYLES, cell, columns, rendered

if TYPE_CHECKING:
    from rich.text import Text

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
        self._blocks = Blocks(texts, narrow=width is not None and width < ROOMY)

    def start(self) -> str:
        return ""

    def row(self, row: Row) -> str:
        domains = sum(len(agent.domains or ()) for agent in row.agents)
        severities = [each.severity for each in row.findings]
        counts = (len(row.agents), domains, *map(severities.count, SEVERITIES))
        self._lines.append(Line(row.workspace, row.state, counts))
        self._blocks.add(row)
        return ""

    def end(self, summary: Summary) -> str:
        headings = () if self._width and self._width < NARROW else NUMBERS
        table = columns("workspace", "state", *(f">{each}" for each in headings))
        for line in sorted(self._lines, key=lambda line: (STATES.index(line.state), line.workspace)):
            numbers = (_number(line, place) for place in range(len(headings)))
            table.add_row(cell(line.workspace), cell(line.state, STYLES[line.state]), *numbers)
        return rendered([table, *self._blocks.told()], width=self._width, color=self._color)


def _number(line: Line, place: int) -> "Text":
    severity = dict(zip(range(2, 5), SEVERITIES, strict=True)).get(place)
    count = line.counts[place]
    if line.state == "failed":
        return cell("-", "dim")
    return cell(str(count), "" if severity is None else STYLES[severity] if count else "dim")
