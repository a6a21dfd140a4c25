"""Says things to people, on stderr, and tells how stdout may be written to. Data goes to stdout, and only data."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

from attrs import frozen

from ..wire.cleaning import clean
from ..wire.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console

FormatName = Literal["table", "json", "jsonl"]


class OutputFileError(ConfigurationError):
    """A file that a report was to be written to cannot be written. Nothing was sent."""

    hint = "Choose a path in a directory that is there and that you may write to."


def readable_streams() -> None:
    """A character that a stream's encoding lacks is escaped, where it would otherwise end the program."""
    handlers = ((sys.stdin, "surrogateescape"), (sys.stdout, "backslashreplace"), (sys.stderr, "backslashreplace"))
    for stream, errors in handlers:
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors=errors)


def people() -> "Console":
    """Standard error, for everything that is not data."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def notice(text: str, style: str = "", *, command: bool = False) -> None:
    """Says it. Wraps at words on a terminal, unless it is a command, which must stay in one piece to be copied."""
    console = people()
    console.print(clean(text), style=style, soft_wrap=command or not console.is_terminal)


def gap() -> None:
    """A blank line between data and what is said about it, where both are on a terminal."""
    if people().is_terminal:
        people().print()


def error_line(text: str) -> None:
    """The one line in which a command fails; `text` is clean already."""
    from rich.text import Text

    console = people()
    console.print(Text.assemble(("error:", "bold red"), f" {text}"), soft_wrap=not console.is_terminal)


@frozen
class Look:
    """How a table may look where it is going: `width` None is as wide as it needs."""

    width: int | None = None
    color: bool = False


def look(stream: TextIO) -> Look:
    """Colour only on a terminal that has it (NO_COLOR and TERM are honoured), and lines no wider than the terminal."""
    from rich.console import Console

    console = Console(file=stream)
    if not console.is_terminal:
        return Look()
    return Look(console.width, console.color_system is not None and not console.no_color)


@contextmanager
def destination(output: Path | None, option: str = "--output") -> Iterator[TextIO]:
    """Where data goes: stdout, or the file of this option, which is emptied first. Raises OutputFileError."""
    if output is None:
        yield sys.stdout
        return
    with _opened(output, "w", option) as file:
        yield file


def try_out(output: Path, option: str) -> None:
    """Raises OutputFileError where `destination` would. What is in the file stays, and no file is left behind."""
    new = not output.exists()
    if new or output.is_file() or output.is_dir():  # a pipe would take this for all that comes
        _opened(output, "a", option).close()
    if new:
        output.unlink()


def _opened(output: Path, mode: Literal["w", "a"], option: str) -> TextIO:
    try:
        return output.open(mode, encoding="utf-8", newline="\n")
    except OSError as problem:
        raise OutputFileError(f"{option} {output} cannot be written: {problem.strerror}") from None
