"""Shows observations to people: a mark, what was looked at, what was found, and below that what to do next."""

from collections.abc import Sequence
from typing import TextIO

from ..audit.formats.table import cell, rendered
from ..diagnosis.observation import Observation
from .terminal import terminal_style

MARKS = {"ok": "✓", "warning": "!", "wrong": "✗", "skipped": "-", "advice": "→"}
PLAIN = {"ok": "+", "warning": "!", "wrong": "x", "skipped": "-", "advice": ">"}
"""For a stream whose encoding has no ticks."""

STYLES = {"ok": "green", "warning": "bold yellow", "wrong": "bold red", "skipped": "dim"}
WIDEST = 13
"""Cells of the longest subject, so that lines which come one by one are a table all the same."""


def line(each: Observation, stream: TextIO) -> str:
    """The observation as it may look on that stream."""
    from rich.table import Table

    style, marks = terminal_style(stream), _marks(stream)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=1)
    table.add_column(width=WIDEST, no_wrap=True)
    table.add_column(overflow="fold")
    faint = "dim" if each.state == "skipped" else ""
    table.add_row(
        cell(marks[each.state], STYLES[each.state]), cell(each.subject, faint or "bold"), cell(each.found, faint)
    )
    if each.advice:
        table.add_row("", "", cell(f"{marks['advice']} {each.advice}", "cyan"))
    return rendered([table], width=style.width, color=style.color)


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
