"""Standard streams: messages for people on stderr, data on stdout, and what a terminal can show."""

import codecs
import os
import re
import shlex
import sys
from collections.abc import Iterable
from contextlib import suppress
from io import BufferedWriter, RawIOBase, TextIOWrapper
from pathlib import Path
from typing import Literal, TextIO

from attrs import field, frozen

from ..audit.formats.layout import Cell, Columns
from ..wire.cleaning import clean
from ..wire.errors import ConfigurationError

STDIN = Path("-")


@frozen(slots=False, eq=False, repr=False, str=False)
class CommandLineError(ConfigurationError):
    """The command line contradicts itself, or names something that cannot be used. Nothing was sent."""

    hint: str = field(default="See `chatloom audit --help`.", kw_only=True)  # type: ignore[misc]  # for each one what to do next


def prepare_streams() -> None:
    """Makes standard streams safe to use. Characters that an encoding lacks are escaped.

    The descriptors of closed streams are occupied: the next file to be opened would get them, and with them the output.
    """
    with suppress(OSError):
        while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(number)
    raw, encoding = getattr(sys.stdout, "buffer", None), getattr(sys.stdout, "encoding", None)
    if isinstance(raw, RawIOBase) and sys.stdout is sys.__stdout__:
        # With PYTHONUNBUFFERED, Python drops what a file or a pipe does not take at once.
        sys.stdout = TextIOWrapper(BufferedWriter(raw), encoding)
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")


Content = Literal["locale", "utf-8", "json"]
"""How text is encoded on standard output: as the locale says, for people; or the same everywhere, for programs."""


def _escape(error: UnicodeError) -> tuple[str, int]:
    """A codec error handler: characters as JSON escapes them, which is right in every encoding."""
    assert isinstance(error, UnicodeEncodeError)  # noqa: S101 - the handler is for no other
    pairs = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{pairs[n]:02x}{pairs[n + 1]:02x}" for n in range(0, len(pairs), 2)), error.end


codecs.register_error("chatloom-json", _escape)


def stdout(content: Content) -> TextIO:
    """Standard output for this content, with line ends as they are written unless it is for people.

    Raises CommandLineError if it is closed.
    """
    require_open(1)
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is None or content == "locale":
        return sys.stdout
    if content == "json" and codecs.lookup(sys.stdout.encoding).name != "utf-8":
        reconfigure(encoding="ascii", errors="chatloom-json", newline="")
    else:
        reconfigure(encoding="utf-8", newline="")
    return sys.stdout


def require_open(number: int) -> None:
    """Raises CommandLineError if this standard stream is closed. Its descriptor discards what is written then."""
    if 0 <= number <= 2 and (sys.stdin, sys.stdout, sys.stderr)[number] is None:
        name = ("input", "output", "error")[number]
        raise CommandLineError(f"Standard {name} is closed", hint="Redirect it to a file or a pipe.")


def forget_stream(stream: TextIO | None) -> None:
    """Discards the buffer of a stream that cannot be written. It would fail again at exit."""
    with suppress(OSError, ValueError, AttributeError):
        number = os.open(os.devnull, os.O_WRONLY)
        os.dup2(number, stream.fileno())  # type: ignore[union-attr]
        os.close(number)


ONE_LINE = 1 << 20
"""Bytes of a line that are read."""


def read_stdin(*, one_line: bool = False) -> str:
    """Standard input, or its first line, as UTF-8 with or without a byte order mark. Raises CommandLineError."""
    from ..audit.entries import whole

    if sys.stdin is None:
        reason = "Standard input is closed"
    else:
        try:
            raw = sys.stdin.buffer.readline(ONE_LINE) if one_line else whole(sys.stdin.buffer)
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            reason = "Standard input is not UTF-8 text"
        except OSError as problem:
            reason = f"Standard input cannot be read: {problem.strerror}"
    raise CommandLineError(reason, hint="Redirect it from a file or a pipe.")


def _print(*parts: tuple[str, str], wrap: bool) -> None:
    """Prints a line of texts with their styles to standard error. If that is full or closed, the command continues."""
    stream = sys.stderr
    if stream is None:
        return
    style = terminal_style(stream)
    columns = Columns(("",), style.width if wrap else None, style.color, headed=False)
    try:
        stream.write(columns.table([(Cell.of(*parts),)]))
        stream.flush()
    except OSError:
        forget_stream(stream)


def notice(text: str, style: str = "", *, command: bool = False) -> None:
    """Prints a line to people. It wraps on a terminal, unless it is a command, which must stay in one piece."""
    _print((clean(text), style), wrap=not command)


def print_lines(lines: Iterable[str]) -> None:
    """Prints lines with their indentation, without keys and control characters."""
    for line in lines:
        indentation = line[: len(line) - len(line.lstrip())]
        _print((indentation + clean(line), ""), wrap=False)


def blank_line() -> None:
    """A blank line between data and the lines about it, on a terminal."""
    if terminal_style(sys.stderr).width is not None:
        _print(wrap=False)


def error_line(text: str) -> None:
    """The one line in which a command fails; `text` is clean already."""
    _print(("error:", "bold red"), (f" {text}", ""), wrap=True)


@frozen
class TerminalStyle:
    """How text may look on a stream; `width` None is as wide as it needs, for what is not a terminal."""

    width: int | None = None
    color: bool = False


NARROWEST, WIDEST = 20, 1000  # columns for layout. A terminal may claim any number of them, and so may COLUMNS


def terminal_style(stream: TextIO | None) -> TerminalStyle:
    """No lines wider than the terminal, and color if it has any.

    The variables COLUMNS, TERM, NO_COLOR, FORCE_COLOR and TTY_COMPATIBLE are respected, as rich does.
    """
    environment = os.environ.get
    forced = bool(environment("FORCE_COLOR")) or environment("TTY_COMPATIBLE") == "1"
    if stream is None or not (forced or (stream.isatty() and environment("TTY_COMPATIBLE") != "0")):
        return TerminalStyle()
    width = 0
    with suppress(OSError, ValueError):
        width = int(environment("COLUMNS") or os.get_terminal_size(stream.fileno()).columns)
    color = not environment("NO_COLOR") and environment("TERM") not in ("dumb", "unknown")
    return TerminalStyle(min(max(width or 80, NARROWEST), WIDEST), color)


def shell_command(*words: str) -> str:
    """A command of this program, ready to be copied into a shell."""
    return " ".join(["chatloom", *map(_quoted, words)])


def _quoted(word: str) -> str:
    """The word for a shell. What cannot be shown, e.g. a byte that is not UTF-8, is escaped as in bash and zsh."""
    if clean(word) == word:
        return shlex.quote(word)
    escaped = re.sub(rb"[^ -~]|['\\]", lambda match: b"\\%03o" % ord(match[0]), os.fsencode(word))
    return f"$'{escaped.decode()}'"
