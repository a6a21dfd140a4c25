"""A table for people: one line a workspace, then what went wrong or was found, most telling last.

Needs rich, of the [cli] extra; it is imported when text is made. Text from outside goes through `cell`, which
leaves neither control characters nor markup in it.
"""

from collections.abc import Iterable
from io import StringIO
from typing import TYPE_CHECKING

from attrs import frozen

from ...wire.errors import clean
from ..summary import Summary
from ..values import Finding, Row, State

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

STYLES = {"ok": "green", "partial": "yellow", "failed": "red", "error": "red", "warning": "yellow", "info": "cyan"}
STATES: tuple[State, ...] = ("ok", "partial", "failed")  # the last lines are those that stay on the screen
SEVERITIES = ("info", "warning", "error", "partial", "failed")
NOTES_SHOWN = 50
NARROW = 50  # below this width, the columns of numbers leave too little for names


@frozen
class Line:
    """What the table keeps of a row."""

    workspace: str
    state: State
    agents: int
    domains: int
    findings: int


@frozen
class Note:
    """One thing worth telling, with the kind that gives it its colour and its place."""

    kind: str
    heading: str
    text: str


class TableFormat:
    """Aligned columns, at most `width` wide (None: as wide as they need), coloured only if `color`."""

    def __init__(self, *, width: int | None = None, color: bool = False) -> None:
        self._width, self._color = width, color
        self._lines: list[Line] = []
        self._notes: list[Note] = []

    def start(self) -> str:
        return ""

    def row(self, row: Row) -> str:
        domains = sum(len(agent.domains or ()) for agent in row.agents)
        self._lines.append(Line(row.workspace, row.state, len(row.agents), domains, len(row.findings)))
        self._notes += [Note(each.severity, f"{each.rule}  {row.workspace}", _told(each)) for each in row.findings]
        if row.error:
            self._notes.append(Note(row.state, row.workspace, f"{row.error.type}: {row.error.message}"))
        return ""

    def end(self, summary: Summary) -> str:
        headings = () if self._width and self._width < NARROW else (">agents", ">domains", ">findings")
        table = columns("workspace", "state", *headings)
        for line in sorted(self._lines, key=lambda line: (STATES.index(line.state), line.workspace)):
            counts = ("-",) * 3 if line.state == "failed" else (line.agents, line.domains, line.findings)
            cells = (str(count) for count in counts[: len(headings)])
            table.add_row(cell(line.workspace), cell(line.state, STYLES[line.state]), *cells)
        return rendered([table, *self._told()], width=self._width, color=self._color)

    def _told(self) -> Iterable["RenderableType"]:
        from rich.padding import Padding
        from rich.text import Text

        notes = sorted(self._notes, key=lambda note: (SEVERITIES.index(note.kind), note.heading))
        if hidden := notes[:-NOTES_SHOWN]:
            yield ""
            yield Text(f"{len(hidden)} less important notes are left out; --format json has all.", "dim")
        for note in notes[-NOTES_SHOWN:]:
            yield ""
            yield Text.assemble(cell(note.kind, STYLES[note.kind]), "  ", cell(note.heading, "bold"))
            yield Padding(cell(note.text), (0, 0, 0, 2))


def _told(found: Finding) -> str:
    place = f" (agent {found.agent_id})" if found.agent_id else ""
    return f"{found.subject}{place}: {found.message}" if found.subject else found.message


def cell(text: str, style: str = "") -> "Text":
    """Text from outside, as it may be shown: without control characters, keys and markup."""
    from rich.text import Text

    return Text(clean(text), style, overflow="fold")


def columns(*headings: str) -> "Table":
    """An empty table without lines; a heading that starts with ">" is of a column of numbers."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in headings:
        number = heading.startswith(">")
        table.add_column(heading.lstrip(">"), justify="right" if number else "left", no_wrap=number, overflow="fold")
    return table


def rendered(items: Iterable["RenderableType"], *, width: int | None, color: bool) -> str:
    """The items as text, each on lines of its own, without blanks at the ends of lines."""
    from rich.console import Console

    screen = Console(
        file=StringIO(),
        width=width or 10_000,
        force_terminal=color,
        color_system="standard" if color else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    with screen.capture() as captured:
        for item in items:
            screen.print(item)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())
