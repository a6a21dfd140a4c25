"""Turns values into text for a terminal: aligned, wrapped, coloured, and harmless.

Needs rich, of the [cli] extra; it is imported when text is made. Text from outside goes through `cell`, which
leaves neither control characters nor markup in it.
"""

from collections.abc import Iterable
from io import StringIO
from typing import TYPE_CHECKING

from ...wire.cleaning import clean

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

STYLES = {"ok": "green", "partial": "yellow", "failed": "red", "error": "red", "warning": "yellow", "info": "cyan"}
"""By state and by severity."""


def cell(text: str, style: str = "") -> "Text":
    """Text from outside, as it may be shown: without control characters, keys and markup."""
    from rich.text import Text

    return Text(clean(text), style, overflow="fold")


def line(*parts: tuple[str, str]) -> "Text":
    """Texts from outside with their styles, two blanks apart; empty ones are left out."""
    from rich.text import Text

    shown = (part for text, style in parts if (part := cell(text, style)))
    return Text("  ", overflow="fold").join(shown)


def columns(*headings: str, headed: bool = True) -> "Table":
    """An empty table without lines; a heading that starts with ">" is of a column of numbers."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_header=headed)
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
        no_color=not color,  # whoever asks has honoured NO_COLOR already
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    with screen.capture() as captured:
        for item in items:
            screen.print(item)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())
