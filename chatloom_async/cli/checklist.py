"""Shows observations to people: a mark, what was looked at, what was found, and below that what to do next."""

from collections.abc import Sequence
from typing import TextIO

from ..audit.formats.layout import Columns, cell
from ..diagnosis.observation import Observation
from .terminal import terminal_style

MARKS = {"ok": "✓", "warning": "!", "wrong": "✗", "skipped": "-", "advice": "→"}
PLAIN = {"ok": "+", "warning": "!", "wrong": "x", "skipped": "-", "advice": ">"}
"""For a stream whose encoding has no ticks."""

STYLES = {"ok": "green", "warning": "bold yellow", "wrong": "bold red", "skipped": "dim"}
WIDEST = 13
"""Width of the longest subject, so that lines printed one by one form a table."""


def line(each: Observation, stream: TextIO) -> str:
    """The observation as it may look on that stream."""
    style, marks = terminal_style(stream), _marks(stream)
    table = Columns(("", "", ""), style.width, style.color, headed=False, fixed=frozenset((0, 1)), least=(1, WIDEST))
    faint = "dim" if each.state == "skipped" else ""
    mark = cell(marks[each.state], STYLES[each.state])
    rows = [(mark, cell(each.subject, faint or "bold"), cell(each.found, faint))]
    if each.advice:
        rows.append((cell(""), cell(""), cell(f"{marks['advice']} {each.advice}", "cyan")))
    return table.table(rows)


def _marks(stream: TextIO) -> dict[str, str]:
    try:
        "".join(MARKS.values()).encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return PLAIN
    return MARKS


def summary(observations: Sequence[Observation]) -> tuple[str, str]:
    """The closing line, and its style."""
    counts = {state: sum(each.state == state for each in observations) for state in ("ok", "warning", "wrong")}
    told = ", ".join(f"{count} {_plural(state, count)}" for state, count in counts.items() if count)
    style = "red" if counts["wrong"] else "yellow" if counts["warning"] else "green"
    total = sum(counts.values())
    return f"{total} check{'' if total == 1 else 's'}: {told}", style


def _plural(state: str, count: int) -> str:
    return "warnings" if state == "warning" and count > 1 else state
