"""Files that commands write: no output overwrites an input, and a report replaces the old one only when it is whole."""

import errno
import os
import re
import stat
import sys
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TextIO, cast

from attrs import define, field, frozen

from ..wire.errors import ChatloomError
from . import inherited
from .terminal import STDIN, CommandLineError, Content, require_open, stdout

WRITABLE_PATH = "Choose a path in a directory that exists and that you may write to."
OTHER_PATH = "Choose another file to write to."
TEXT: Final[dict[str, Any]] = {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""}
MAX_LINKS = 40
DESCRIPTOR = re.compile(r"(?:/dev|/proc/(?P<process>\d+)(?:/task/\d+)?)/fd/(?P<number>\d+)")

unfinished: set[Path] = set()
"""Temporary files of reports that are being written, for a program that has to end at once."""


class OutputError(ChatloomError):
    """An output could not be completed, e.g. because the disk is full. An old file of that name is unchanged."""

    hint = "Make space or choose another file, then run the command again."


@define(eq=False)
class OutputFile:
    """Where a command writes its text: a file, a pipe or standard output. Errors name it.

    Use `write` to write; `stream` is only to look at. `commit` puts a regular file in its place.
    """

    stream: TextIO
    name: str
    _owned: bool = field(default=True, alias="owned")
    _target: Path | None = field(default=None, alias="target")
    _temporary: Path | None = field(default=None, alias="temporary")
    _committed: bool = field(default=False, init=False)

    def write(self, text: str) -> None:
        with self._named_errors():
            self.stream.write(text)

    def flush(self) -> None:
        with self._named_errors():
            self.stream.flush()

    def commit(self) -> None:
        """Call this when the text is complete. Until then, an old file of that name is unchanged."""
        if not self._committed:
            with self._named_errors():
                self.stream.flush()
                if self._target is not None:
                    self._replace(self._target)
        self._committed = True

    def close(self) -> None:
        """Without `commit`, the text of a regular file is discarded."""
        if self._owned:
            with suppress(OSError):  # it was flushed, or is discarded
                self.stream.close()
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)
            unfinished.discard(self._temporary)

    def _replace(self, target: Path) -> None:
        os.fsync(self.stream.fileno())
        if self._temporary is not None:
            try:
                self._temporary.replace(target)
            except OSError:  # e.g. a single file that is mounted into a container
                if not target.exists():
                    raise
            else:
                return
        self._copy(target)

    def _copy(self, target: Path) -> None:
        """Copies the complete text into the existing file, if no file can be created in its directory."""
        self.stream.seek(0)
        with target.open("r+", **TEXT) as file:
            while text := self.stream.read(1 << 16):
                file.write(text)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as problem:
            raise OutputError(f"{self.name} cannot be written: {problem.strerror or problem}") from None


def open_output(path: Path | None, *, content: Content) -> AbstractContextManager[OutputFile]:
    """The file of --output, or standard output for None. A regular file changes only if the block succeeds.

    Files are UTF-8 with line ends as they are written, and so is standard output unless its content is for people.
    Raises CommandLineError for a path that cannot be written, and OutputError later.
    """
    if path:
        return open_file(path, "--output")
    return _completed(OutputFile(stdout(content), "Standard output", owned=False))


def open_file(path: Path, option: str) -> AbstractContextManager[OutputFile]:
    """The file of this option, like that of --output."""
    return _completed(_opened(path, option))


@contextmanager
def _completed(output: OutputFile) -> Iterator[OutputFile]:
    try:
        yield output
        output.commit()
    finally:
        output.close()


def _opened(path: Path, option: str) -> OutputFile:
    with _usable(name := f"{option} {path}"):
        return _open(path, name)


@contextmanager
def _usable(name: str) -> Iterator[None]:
    """Raises CommandLineError if the operating system refuses the path."""
    try:
        yield
    except CommandLineError:
        raise
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the path
        reason = getattr(problem, "strerror", None) or str(problem)
        raise CommandLineError(f"{name} cannot be written: {reason}", hint=WRITABLE_PATH) from None


def _open(path: Path, name: str) -> OutputFile:
    """Raises OSError."""
    number = _descriptor(path)
    if number is not None:
        return OutputFile(os.fdopen(os.dup(number), "w", **TEXT), name)
    old = _stat(path)
    if old is not None and not stat.S_ISREG(old.st_mode):
        return OutputFile(path.open("w", **TEXT), name)
    if old is not None and not os.access(path, os.W_OK):
        raise _error(errno.EACCES)
    target = Path(os.path.realpath(path))
    try:
        number, temporary = tempfile.mkstemp(prefix=".chatloom-", suffix=".tmp", dir=target.parent)
    except OSError:
        if old is None:
            raise
        if not old.st_mode & 0o222:  # root may open it, but e.g. /proc/version cannot be written
            raise _error(errno.EACCES) from None
        os.close(os.open(path, os.O_WRONLY))
        return OutputFile(cast(TextIO, tempfile.TemporaryFile("w+", **TEXT)), name, target=target)
    unfinished.add(Path(temporary))
    _set_owner_and_mode(temporary, old)
    return OutputFile(os.fdopen(number, "w+", **TEXT), name, target=target, temporary=Path(temporary))


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _set_owner_and_mode(path: str, old: os.stat_result | None) -> None:
    """Owner and mode of the file that will be replaced, or the mode of any new file."""
    if old is None:
        umask = os.umask(0)
        os.umask(umask)
        Path(path).chmod(0o666 & ~umask)
        return
    with suppress(OSError):  # only root may give a file away
        os.chown(path, old.st_uid, old.st_gid)
    Path(path).chmod(stat.S_IMODE(old.st_mode))


def _stat(path: Path) -> os.stat_result | None:
    """None if there is no such file yet."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _descriptor(path: Path) -> int | None:
    """The number of the open file that a path such as /dev/stdout or /proc/self/fd/3 stands for, or None.

    Raises CommandLineError for a standard stream that is closed, and OSError for any other descriptor that the program
    was not started with, or that cannot be written.
    """
    place = path
    for _ in range(MAX_LINKS):
        place = Path(os.path.realpath(place.parent), place.name)
        if match := DESCRIPTOR.fullmatch(str(place)):
            if match["process"] not in (None, str(os.getpid())):
                return None
            require_open(number := int(match["number"]))
            if number not in inherited:
                raise _error(errno.EBADF)
            import fcntl  # not on Windows, where no path gets this far

            if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
                raise OSError(errno.EBADF, "It is open for reading only")
            return number
        if not place.is_symlink():
            break
        place = place.parent / place.readlink()
    return None


@frozen
class Place:
    """The identity of a file: device and inode if it exists, else its directory and name."""

    identity: tuple[object, ...]
    regular: bool

    @classmethod
    def of(cls, path: Path) -> "Place":
        """Follows links. A name that does not exist yet counts without its case, which some file systems ignore."""
        with suppress(OSError, ValueError):
            return cls.of_stat(path.stat())
        real = path if "\0" in str(path) else Path(os.path.realpath(path))
        return cls((str(real.parent), unicodedata.normalize("NFC", real.name).casefold()), regular=True)

    @classmethod
    def of_stat(cls, info: os.stat_result) -> "Place":
        return cls((info.st_dev, info.st_ino), stat.S_ISREG(info.st_mode))


def check_outputs(
    outputs: Iterable[tuple[str, Path | None]], inputs: Iterable[tuple[str, Path]], *, db: Path | None = None
) -> None:
    """Raises CommandLineError if an output (option, path) would overwrite an input (what it is, path), the database or
    another output, under any spelling or link, or if it cannot be written. Opens none of them for writing.

    An output of None is standard output, an input of "-" is standard input. The database is no input either.
    """
    places: dict[Place, str] = {}
    paths, inputs = list(outputs), list(inputs)
    for option, path in paths:
        place = Place.of(path) if path else _standard(sys.stdout)
        if place is None or not (place.regular or path is None or path.is_fifo()):
            continue
        name = f"{option} {path}" if path else "standard output"
        if place in places:
            raise CommandLineError(
                f"{name} is the same file as {places[place]}: one would overwrite the other", hint=OTHER_PATH
            )
        places[place] = name
    if db is not None:
        _check_inputs({Place.of(db): f"--db {db}"}, inputs)
        inputs += database_files(db)
    _check_inputs(places, inputs)
    for option, path in paths:
        if path is not None:
            check_writable(path, option)


def _check_inputs(places: Mapping[Place, str], inputs: Iterable[tuple[str, Path]]) -> None:
    for what, path in inputs:
        place = _standard(sys.stdin) if path == STDIN else Place.of(path)
        if place is not None and place.regular and place in places:
            raise CommandLineError(f"{places[place]} is {what}, which would be overwritten", hint=OTHER_PATH)


def _standard(stream: TextIO | None) -> Place | None:
    """The place of a standard stream; None if it is closed or not a file."""
    with suppress(OSError, ValueError, AttributeError):
        return Place.of_stat(os.fstat(stream.fileno()))  # type: ignore[union-attr]
    return None


def database_files(db: Path) -> Iterator[tuple[str, Path]]:
    """A SQLite database and the files that belong to it, as inputs that no output may overwrite."""
    yield "the database of --db", db
    for name in {db, Path(os.path.realpath(db))}:
        for suffix in ("-wal", "-shm", "-journal"):
            yield "a file of the database of --db", Path(f"{name}{suffix}")


def check_writable(path: Path, option: str) -> None:
    """Raises CommandLineError if `open_output` would. Changes no file, and creates none."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        mode = stat.S_IFREG
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        _opened(path, option).close()
        return
    with _usable(f"{option} {path}"):
        if _descriptor(path) is not None:
            return
        if not os.access(path, os.W_OK):
            raise _error(errno.EACCES)
        if not stat.S_ISFIFO(mode):  # opening a pipe would end its reader
            os.close(os.open(path, os.O_WRONLY))
