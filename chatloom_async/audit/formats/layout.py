"""Lays out plain-text tables for terminals: aligned columns, folded to a width, with colour if asked for.

Rows can be measured first and rendered later, so that a table of any length needs no memory for its rows.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import zip_longest
from typing import cast
from unicodedata import category, east_asian_width

from attrs import define, field, frozen

from ...wire.cleaning import clean

STYLES = {"ok": "green", "partial": "yellow", "failed": "red", "error": "red", "warning": "yellow", "info": "cyan"}
"""Styles of states and severities."""

CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "magenta": "35", "cyan": "36"}
"""The terminal's code of each style. A style is one or several of these names, with blanks between them."""

GAP = "  "


@frozen
class Cell:
    """A line of texts, each with a style, and the columns that it takes on a terminal."""

    parts: tuple[tuple[str, str], ...]
    width: int

    @classmethod
    def of(cls, *parts: tuple[str, str]) -> "Cell":
        return cls(parts, sum(columns_of(text) for text, _ in parts))

    def rendered(self, *, color: bool) -> str:
        return "".join([_styled(text, style) if color else text for text, style in self.parts])


EMPTY = Cell.of()


def cell(text: str, style: str = "") -> Cell:
    """Text from outside without control characters and keys."""
    text = clean(text)
    return Cell(((text, style),), columns_of(text))


@lru_cache(maxsize=4096)
def fixed_cell(number: int | str, style: str = "") -> Cell:
    """A number, or a text of this package in ASCII. Cached, because a table repeats them."""
    text = str(number)
    return Cell(((text, style),), len(text))


def line(*parts: tuple[str, str]) -> Cell:
    """Texts from outside with their styles, two blanks apart; empty ones are left out."""
    shown = [(cleaned, style) for text, style in parts if (cleaned := clean(text))]
    return Cell.of(*tuple(part for pair in shown for part in ((GAP, ""), pair))[1:])


def columns_of(text: str) -> int:
    """Columns that the text takes on a terminal."""
    return len(text) if text.isascii() else sum(map(_column, text))


@lru_cache(maxsize=4096)
def _column(character: str) -> int:
    if category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if east_asian_width(character) in ("W", "F") else 1


def _styled(text: str, style: str) -> str:
    codes = ";".join(CODES[name] for name in style.split())
    return f"\x1b[{codes}m{text}\x1b[0m" if codes and text else text


def folded(item: Cell, width: int) -> Iterator[Cell]:
    """The cell in lines of at most `width` columns, broken at blanks where there are any. Nothing is cut off."""
    if item.width <= width:
        yield item
        return
    text = "".join(part for part, _ in item.parts)
    for start, end in _breaks(text, width):
        yield Cell.of(*_between(item.parts, start, end))


def _breaks(text: str, width: int) -> Iterator[tuple[int, int]]:
    start = taken = 0
    blank = -1
    for place, character in enumerate(text):
        size = columns_of(character)
        if character == " ":
            blank = place
        if taken + size > width and place > start:
            end = blank if blank > start else place
            yield start, end
            start = end + (text[end] == " ")
            taken = columns_of(text[start:place])
            size = 0 if start > place else size
        taken += size
    yield start, len(text)


def _between(parts: Iterable[tuple[str, str]], start: int, end: int) -> Iterator[tuple[str, str]]:
    for text, style in parts:
        if shown := text[max(0, start) : max(0, end)]:
            yield shown, style
        start, end = start - len(text), end - len(text)


@define
class Columns:
    """Aligned columns. A heading that begins with ">" marks a column of numbers, which is never folded.

    `measure` every row, then `render` each one. `width` is the width of the screen, None for no limit. `fixed` columns
    are not folded either. `least` is the smallest width of each column.
    """

    headings: tuple[str, ...]
    width: int | None = None
    color: bool = False
    headed: bool = True
    indent: int = 0
    fixed: frozenset[int] = frozenset()
    least: tuple[int, ...] = ()
    _widths: list[int] = field(factory=list, init=False)
    _fitted: list[int] | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._widths = [columns_of(heading.lstrip(">")) for heading in self.headings]
        for place, size in enumerate(self.least):
            self._widths[place] = max(size, self._widths[place])

    def measure(self, *row: Cell | tuple[Cell, ...]) -> None:
        """Makes the columns wide enough for the row. A tuple is one cell of several lines."""
        for place, item in enumerate(row):
            for part in item if isinstance(item, tuple) else (item,):
                self._widths[place] = max(self._widths[place], part.width)
        self._fitted = None

    def heading(self) -> str:
        return self.render(*(cell(heading.lstrip(">"), "dim") for heading in self.headings))

    def render(self, *row: Cell | tuple[Cell, ...]) -> str:
        """The row, as one or more lines of text."""
        if self._fitted is None:
            self._fitted = self._fit()
        if all(isinstance(item, Cell) and item.width <= width for item, width in zip(row, self._fitted, strict=True)):
            return self._line(cast("tuple[Cell, ...]", row), self._fitted)
        stacks = []
        for item, width in zip(row, self._fitted, strict=True):
            parts = item if isinstance(item, tuple) else (item,)
            stacks.append([line for part in parts for line in folded(part, width)])
        lines = zip_longest(*stacks, fillvalue=EMPTY)
        return "".join(self._line(cells, self._fitted) for cells in lines)

    def table(self, rows: Iterable[tuple[Cell | tuple[Cell, ...], ...]]) -> str:
        """All rows at once, under the headings if they are shown."""
        rows = list(rows)
        for row in rows:
            self.measure(*row)
        return (self.heading() if self.headed else "") + "".join(self.render(*row) for row in rows)

    def _line(self, items: tuple[Cell, ...], widths: list[int]) -> str:
        texts = []
        for item, heading, width in zip(items, self.headings, widths, strict=True):
            text, pad = item.rendered(color=self.color), " " * (width - item.width)
            texts.append(pad + text if heading.startswith(">") else text + pad)
        return f"{' ' * self.indent}{GAP.join(texts)}".rstrip() + "\n"

    def _fit(self) -> list[int]:
        """The widths. The widest columns are made narrower until the row fits on the screen."""
        widths = list(self._widths)
        free = [
            place for place, text in enumerate(self.headings) if not text.startswith(">") and place not in self.fixed
        ]
        if self.width is None or not free:
            return widths
        excess = self.indent + sum(widths) + len(GAP) * (len(widths) - 1) - self.width
        while excess > 0 and any(widths[place] > 1 for place in free):
            widest = max(widths[place] for place in free)
            next_widest = max((widths[place] for place in free if widths[place] < widest), default=1)
            group = [place for place in free if widths[place] == widest]
            step = min(widest - next_widest, -(-excess // len(group))) or 1
            for place in group:
                widths[place] -= step
                excess -= step
        return [max(1, width) for width in widths]
