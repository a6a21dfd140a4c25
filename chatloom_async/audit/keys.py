"""Key references (an environment variable, a file, a command) and how they become keys. Never shows a key.

Opening a key file never blocks: a pipe without a writer would otherwise hang the audit.
"""

import asyncio
import errno
import json
import os
import shlex
import signal
import stat
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from attrs import field, frozen

from ..wire.auth import ApiKey, api_key_or_error
from ..wire.cleaning import clean
from ..wire.errors import ConfigurationError
from ..wire.validation import Requirement

LIMIT = 4096  # bytes of a key file: many times the longest key
PRINTED = 65536  # bytes of a command's output that are kept: more than any key has
COMMAND_TIMEOUT = 30.0
PAUSE = 0.05  # seconds between two attempts to start a command while there are no descriptors

FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


async def private_bytes(path: Path, patience: float) -> bytes | str:
    """The content of a file, or of a pipe that is written to within `patience` seconds; else the error as text.

    A file that others may read or write is refused (POSIX). A symbolic link is followed, and its target is judged.
    Raises OSError, and RuntimeError if ~ leads to no home directory. A file is opened by a thread of a small pool of
    its own, since a network drive may block. The event loop waits for a pipe, so it blocks no thread.
    """
    opening = _threads(os.getpid()).submit(_open, path)
    try:
        content = await asyncio.wrap_future(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_pipe)
        raise
    if isinstance(content, int):
        try:
            async with asyncio.timeout(patience):
                content = await _read_pipe(content)
        except TimeoutError:
            raise TimeoutError("nothing was written to this pipe in time") from None
    too_long = isinstance(content, bytes) and len(content) > LIMIT
    return f"holds more than {LIMIT} bytes, and so no key" if too_long else content


@cache
def _threads(_process: int) -> ThreadPoolExecutor:
    """The pool of this process: the default one of asyncio also resolves names, which must not wait for key files."""
    return ThreadPoolExecutor(4, "chatloom-key-files")


def _open(path: Path) -> bytes | str | int:
    """The content of a file, what is wrong with it, or the descriptor of a pipe."""
    file = os.open(path.expanduser(), FLAGS)
    pipe = False
    try:
        mode = os.fstat(file).st_mode  # of the opened file, which cannot be swapped in between
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            return f"is {'a directory' if stat.S_ISDIR(mode) else 'a device'}, not a file"
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            return f"can be read by others: chmod 600 {path}"
        pipe = stat.S_ISFIFO(mode)
        return file if pipe else os.read(file, LIMIT + 1)
    finally:
        if not pipe:
            os.close(file)


def _close_pipe(opening: Future[bytes | str | int]) -> None:
    """Closes a pipe whose caller was cancelled."""
    if not opening.cancelled() and opening.exception() is None and isinstance(pipe := opening.result(), int):
        os.close(pipe)


async def _read_pipe(pipe: int) -> bytes:
    """Reads the pipe to its end, or a little more than LIMIT. Closes it."""
    reader, raw = asyncio.StreamReader(), b""
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", buffering=0)
    )
    try:
        while len(raw) <= LIMIT and (piece := await reader.read(LIMIT)):
            raw += piece
    finally:
        transport.close()
    return raw


async def printed_bytes(argv: Sequence[str], timeout: float) -> bytes | str:  # noqa: ASYNC109 - the command's own
    """The standard output of the command, read within `timeout` seconds, or the error as text.

    There is no shell, and no input. Raises OSError or ValueError if the command cannot be started.
    """
    process = await _start_in_time(argv, timeout)
    try:
        async with asyncio.timeout(timeout):
            output, complaint = await asyncio.gather(_read_first(process.stdout), _read_first(process.stderr))
            await process.wait()
    except TimeoutError:
        await _end(process)
        return f"did not finish within {timeout:g} s"
    except asyncio.CancelledError:
        await _end(process)
        raise
    if process.returncode != 0:
        reason = clean(complaint.decode(errors="replace"), 200) or "it said nothing"
        return f"ended with status {process.returncode}: {reason}"
    return output


async def _read_first(stream: Any) -> bytes:
    """Reads to the end, and keeps the first bytes only."""
    first = b""
    while data := await stream.read(PRINTED):
        first += data[: PRINTED - len(first)]
    return first


async def _start_in_time(argv: Sequence[str], seconds: float) -> Process:
    """The process. Other workspaces may have all descriptors; it waits so many seconds for some to come free."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while True:
        try:
            return await _start(argv)
        except OSError as problem:
            if problem.errno not in (errno.EMFILE, errno.ENFILE) or loop.time() >= until:
                raise
        await asyncio.sleep(PAUSE)


async def _start(argv: Sequence[str]) -> Process:
    """The process. If the wait for it is cancelled, it is killed with its children: asyncio alone would kill the
    command without its children, and wait as long as one of them holds a pipe open."""
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(*argv, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, start_new_session=True)
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with suppress(asyncio.CancelledError):
            await _wait_for(starting)  # takes milliseconds; before that, the process is not known
        if starting.exception() is None:
            await _end(starting.result())
        raise


async def _end(process: Process) -> None:
    """Kills what still runs, children included, and closes the pipes, which a child in a session of its own may hold
    open."""
    with suppress(ProcessLookupError):
        if sys.platform == "win32":  # pragma: no cover
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)  # its children too, if it has ended already
    for number in (1, 2):  # not the transport as a whole, which would take the exit status from asyncio's own watcher
        pipe = process._transport.get_pipe_transport(number)  # type: ignore[attr-defined]  # noqa: SLF001 - there is no public way
        pipe.close()
    await _wait_for(asyncio.ensure_future(process.wait()))


async def _wait_for(task: asyncio.Future[Any]) -> None:
    """Returns when the task is done. A cancellation has to wait for that, and is raised then."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


class KeyUnavailableError(ConfigurationError):
    """The key reference gives no key. Nothing was sent."""

    hint = "Correct the reference, or run the audit on a machine that has the key."


VARIABLE = Requirement("the name of a variable", lambda name: isinstance(name, str) and bool(name))
MEMBER = Requirement("the name of a member", lambda name: isinstance(name, str) and bool(name))
COMMAND = Requirement(
    "a command, as a list of words or one line",
    lambda words: bool(words) and all(isinstance(word, str) for word in words) and bool(words[0]),
)


def _words(command: str | Iterable[str]) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command) if isinstance(command, str) else command)
    except (ValueError, TypeError):  # an open quote, or not iterable
        return ()


@frozen
class KeyEnv:
    """The key is the value of this environment variable."""

    name: str = field(validator=VARIABLE)

    def __str__(self) -> str:
        return f"environment variable {self.name}"

    async def read(self) -> str | KeyUnavailableError:
        text = os.environ.get(self.name)
        return KeyUnavailableError(f"The {self} is not set") if text is None else text


@frozen
class KeyJson:
    """The key is a member of the JSON object that is the value of this environment variable: many keys, one secret."""

    variable: str = field(validator=VARIABLE)
    member: str = field(validator=MEMBER)

    def __str__(self) -> str:
        return f"member {self.member!r} of the JSON object in environment variable {self.variable}"

    async def read(self) -> str | KeyUnavailableError:
        place = f"environment variable {self.variable}"
        text = os.environ.get(self.variable)
        if not text:  # CI services give an empty text for a secret that does not exist
            return KeyUnavailableError(f"The {place} is {'not set' if text is None else 'empty'}")
        try:
            value = json.loads(text, object_pairs_hook=tuple)
        except json.JSONDecodeError as problem:
            return KeyUnavailableError(f"The {place} holds no JSON: see line {problem.lineno}, column {problem.colno}")
        except (ValueError, RecursionError):  # a number of thousands of digits, or too many nested brackets
            return KeyUnavailableError(f"The {place} holds no JSON that can be read")
        if not isinstance(value, tuple):
            return KeyUnavailableError(f'The {place} holds JSON, but not an object such as {{"{self.member}": KEY}}')
        keys = [key for name, key in value if name == self.member]
        if len(keys) != 1:
            count = f"{len(keys)} members" if keys else "no member"
            return KeyUnavailableError(f"The JSON object in {place} has {count} {self.member!r}")
        (key,) = keys
        return key if isinstance(key, str) else KeyUnavailableError(f"The {self} is not a text")


@frozen
class KeyFile:
    """The key is the content of this file, which only its owner may read (POSIX).

    It may be a pipe, such as `<(pass show chatloom)`, which has `patience` seconds to deliver.
    """

    path: Path = field(converter=Path)
    patience: float = COMMAND_TIMEOUT

    def __str__(self) -> str:
        return f"key file {self.path}"

    async def read(self) -> str | KeyUnavailableError:
        try:
            raw = await private_bytes(self.path, self.patience)
        except (OSError, RuntimeError, ValueError) as problem:  # no home directory for ~; a NUL in the path
            return KeyUnavailableError(f"The {self} cannot be read: {_reason(problem)}")
        return _text(raw, self)


@frozen
class KeyCommand:
    """The key is what this command prints. It runs without shell and input, for `timeout` seconds at most, in the
    working directory of this process.

    Raises ConfigurationError for an invalid command. A line is split into words as a shell would.
    """

    argv: tuple[str, ...] = field(converter=_words, validator=COMMAND)
    timeout: float = COMMAND_TIMEOUT

    def __str__(self) -> str:
        return f"key command {self.argv[0]}"  # its arguments may be secret

    async def read(self) -> str | KeyUnavailableError:
        try:
            raw = await printed_bytes(self.argv, self.timeout)
        except (OSError, ValueError) as problem:
            return KeyUnavailableError(f"The {self} cannot be started: {_reason(problem)}")
        return _text(raw, self)


KeyReference = KeyEnv | KeyJson | KeyFile | KeyCommand | ApiKey


async def resolve_key(reference: KeyReference) -> ApiKey | ConfigurationError:
    """The key, or the error that says why there is none and names the reference. The error is returned, not raised."""
    if isinstance(reference, ApiKey):
        return reference
    text = await reference.read()
    if isinstance(text, KeyUnavailableError):
        return text
    key = api_key_or_error(text)
    if isinstance(key, ApiKey):
        return key
    place = str(reference)
    return type(key)(f"{place[:1].upper()}{place[1:]}: {key.message}")


def command_key(command: object) -> KeyCommand | None:
    """The reference for a list of words, or a line that is split as a shell would; None if it is neither."""
    try:
        return KeyCommand(command) if isinstance(command, (str, list)) else None
    except ConfigurationError:
        return None


def _text(raw: bytes | str, reference: KeyFile | KeyCommand) -> str | KeyUnavailableError:
    """The text without a byte order mark and one trailing newline, which editors and `echo` add."""
    if isinstance(raw, str):  # the reason why there is nothing
        return KeyUnavailableError(f"The {reference} {raw}")
    try:
        text = raw.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        return KeyUnavailableError(f"The {reference} gives something that is not UTF-8 text")
    if lines := text.count("\n"):
        return KeyUnavailableError(f"The {reference} gives {lines + 1} lines instead of the key alone")
    return text


def _reason(problem: Exception) -> str:
    return problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
