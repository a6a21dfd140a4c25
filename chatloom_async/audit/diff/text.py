"""A difference for people on a terminal: as a table where rich is installed, and as plain lines where it is not.

Text from outside loses its control characters, keys and markup.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...wire.cleaning import clean
from ..formats.terminal import cell, columns, rendered
from .values import Diff
from .wording import Foreign, Part, heading, sentences, totals

if TYPE_CHECKING:
    from rich.console import RenderableType

STYLES = {"+": "green", "-": "red", "~": "yellow", "?": "magenta"}


def table_diff(diff: Diff, *, width: int | None = None, color: bool = False) -> str:
    """One line a change, at most `width` wide (None: as wide as they need), coloured only if `color`."""
    try:
        import rich  # noqa: F401 - of the [cli] extra
    except ImportError:
        return plain_diff(diff)
    table = columns("workspace", "", "change")
    for change in diff.changes:
        name = change.workspace
        for each in sentences(change):
            table.add_row(cell(name), cell(each.mark, STYLES[each.mark]), cell("".join(map(_plain, each.parts))))
            name = ""  # once is enough
    changes: list[RenderableType] = ["", table] if diff.changes else []
    return rendered([*map(cell, _frame(diff)), *changes], width=width, color=color)


def plain_diff(diff: Diff) -> str:
    """The same in lines of text; a name, and under it what changed."""
    lines = [*_frame(diff)]
    for change in diff.changes:
        lines += ["", clean(change.workspace)]
        lines += [f"  {each.mark} {''.join(map(_plain, each.parts))}" for each in sentences(change)]
    return "".join(f"{line}\n" for line in lines)


def _frame(diff: Diff) -> Iterator[str]:
    yield heading(diff)
    yield from (f"note: {clean(each)}" for each in diff.notes)
    yield from totals(diff)


def _plain(part: Part) -> str:
    return clean(part.text) or '""' if isinstance(part, Foreign) else part
