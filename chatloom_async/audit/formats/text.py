"""Text from outside made safe to show, and plain-text tables for terminals."""

from collections.abc import Iterable
from io import StringIO
from typing import TYPE_CHECKING

from ...wire.cleaning import KEY_LIKE, clean

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text


LIMIT = 2000  # characters: more of one name or message helps nobody, and would be somebody's way to fill a report


def visible(text: str, limit: int = LIMIT) -> str:
    """The text, with keys masked. Control, direction and other invisible characters are spelled as in JSON, blanks of
    any kind are spaces, and what is longer than `limit` characters ends in "..."."""
    text = KEY_LIKE.sub("clf_***", text)
    if not text.isprintable():
        text = "".join(map(_spelled, text))
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _spelled(character: str) -> str:
    if character.isprintable():
        return character
    if character.isspace():
        return " "
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


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
