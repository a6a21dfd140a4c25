"""Standard streams: messages for people on stderr, data on stdout, and what a terminal can show."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

from attrs import field, frozen

from ..wire.cleaning import clean
from ..wire.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console

WRITABLE_PATH = "Choose a path in a directory that exists and that you may write to."


@frozen(slots=False, eq=False, repr=False, str=False)
class CommandLineError(ConfigurationError):
    """The command line contradicts itself, or names something that cannot be used. Nothing was sent."""

    hint: str = field(default="See `chatloom audit --help`.", kw_only=True)  # type: ignore[misc]  # for each one what to do next


def readable_streams() -> None:
    """A character that a stream's encoding lacks is escaped, where it would otherwise end the program."""
    handlers = ((sys.stdin, "surrogateescape"), (sys.stdout, "backslashreplace"), (sys.stderr, "backslashreplace"))
    for stream, errors in handlers:
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors=errors)


def stderr_console() -> "Console":
    """Standard error, for everything that is not data."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def notice(text: str, style: str = "", *, command: bool = False) -> None:
    """Says it. Wraps at words on a terminal, unless it is a command, which must stay in one piece to be copied."""
    console = stderr_console()
    console.print(clean(text), style=style, soft_wrap=command or not console.is_terminal)


def blank_line() -> None:
    """A blank line between data and the lines about it, on a terminal."""
    if stderr_console().is_terminal:
        stderr_console().print()


def error_line(text: str) -> None:
    """The one line in which a command fails; `text` is clean already."""
    from rich.text import Text

    console = stderr_console()
    console.print(Text.assemble(("error:", "bold red"), f" {text}"), soft_wrap=not console.is_terminal)


@frozen
class TerminalStyle:
    """How a table may look on a stream; `width` None is as wide as it needs."""

    width: int | None = None
    color: bool = False


def terminal_style(stream: TextIO) -> TerminalStyle:
    """Colour only on a terminal that has it (NO_COLOR and TERM are honoured), and lines no wider than the terminal."""
    from rich.console import Console

    console = Console(file=stream)
    if not console.is_terminal:
        return TerminalStyle()
    return TerminalStyle(console.width, console.color_system is not None and not console.no_color)


@contextmanager
def destination(output: Path | None, option: str = "--output") -> Iterator[TextIO]:
    """Where data goes: stdout, or the file of this option, which is emptied first. Raises CommandLineError."""
    if output is None:
        yield sys.stdout
        return
    with _opened(output, "w", option) as file:
        yield file


def check_writable(output: Path, option: str) -> None:
    """Raises CommandLineError where `destination` would. What is in the file stays, and no file is left behind."""
    new = not output.exists()
    if new or output.is_file() or output.is_dir():  # a pipe would take this for all that comes
        _opened(output, "a", option).close()
    if new:
        output.unlink()


def _opened(output: Path, mode: Literal["w", "a"], option: str) -> TextIO:
    try:
        return output.open(mode, encoding="utf-8", newline="\n")
    except OSError as problem:
        raise CommandLineError(f"{option} {output} cannot be written: {problem.strerror}", hint=WRITABLE_PATH) from None


def shell_command(*words: str) -> str:
    """A command of this program, ready to be copied into a shell."""
    return shlex.join(["chatloom", *words])
