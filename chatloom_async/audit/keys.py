"""Turns a reference to a key into the key, when it is needed. References are plain values and hold no secret.

Every failure is returned as data: a frame on a traceback would hold the key's text. No error quotes what was read.
"""

import asyncio
import os
import shlex
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

from attrs import field, frozen

from ..wire.auth import ApiKey, api_key_or_error
from ..wire.errors import ConfigurationError, clean
from .key_file import private_bytes

COMMAND_TIMEOUT = 30.0


class KeyUnavailableError(ConfigurationError):
    """The place that should hold a key does not give one. Nothing was sent."""

    hint = "Correct the reference, or run the audit where it leads to a key."


@frozen
class KeyEnv:
    """The key is the value of this environment variable."""

    name: str

    def __str__(self) -> str:
        return f"environment variable {self.name}"

    async def read(self) -> str | KeyUnavailableError:
        text = os.environ.get(self.name)
        return KeyUnavailableError(f"The {self} is not set") if text is None else text


@frozen
class KeyFile:
    """The key is the content of this file, which nobody but its owner may read (POSIX).

    It may be a pipe, as of `<(pass show chatloom)`, which is given `patience` seconds.
    """

    path: Path = field(converter=Path)
    patience: float = COMMAND_TIMEOUT

    def __str__(self) -> str:
        return f"key file {self.path}"

    async def read(self) -> str | KeyUnavailableError:
        return await asyncio.to_thread(_file_text, self)


@frozen
class KeyCommand:
    """The key is what this command prints. It runs without shell and input, for `timeout` seconds at most."""

    argv: tuple[str, ...] = field(converter=tuple)
    timeout: float = COMMAND_TIMEOUT

    def __str__(self) -> str:
        return f"key command {self.argv[0]}"  # its arguments may be nobody's business

    async def read(self) -> str | KeyUnavailableError:
        try:
            process = await asyncio.create_subprocess_exec(
                *self.argv, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, start_new_session=True
            )
        except (OSError, ValueError) as problem:
            return KeyUnavailableError(f"The {self} cannot be started: {_reason(problem)}")
        try:
            async with asyncio.timeout(self.timeout):
                output, complaint = await process.communicate()
        except TimeoutError:
            return KeyUnavailableError(f"The {self} did not finish within {self.timeout:g} s")
        finally:
            await _end(process)
        if process.returncode != 0:
            said = clean(complaint.decode(errors="replace"), 200) or "it said nothing"
            return KeyUnavailableError(f"The {self} ended with status {process.returncode}: {said}")
        return _text(output, self)


KeyReference = KeyEnv | KeyFile | KeyCommand | ApiKey


async def resolve_key(reference: KeyReference) -> ApiKey | ConfigurationError:
    """The key, or as data the error that says why there is none and names the reference."""
    if isinstance(reference, ApiKey):
        return reference
    text = await reference.read()
    if isinstance(text, KeyUnavailableError):
        return text
    key = api_key_or_error(text)
    return (
        key
        if isinstance(key, ApiKey)
        else type(key)(f"{str(reference)[:1].upper()}{str(reference)[1:]}: {key.message}")
    )


def command_key(command: object) -> KeyCommand | None:
    """The reference for an argv list, or a string that is split as a shell would; None where it is neither."""
    try:
        argv = shlex.split(command) if isinstance(command, str) else command
    except ValueError:  # an open quote
        return None
    if isinstance(argv, list) and argv and all(isinstance(each, str) for each in argv) and argv[0]:
        return KeyCommand(argv)
    return None


def _file_text(reference: KeyFile) -> str | KeyUnavailableError:
    try:
        raw = private_bytes(reference.path, reference.patience)
    except (OSError, RuntimeError) as problem:  # RuntimeError: no home directory for ~
        return KeyUnavailableError(f"The {reference} cannot be read: {_reason(problem)}")
    return _text(raw, reference) if isinstance(raw, bytes) else KeyUnavailableError(f"The {reference} {raw}")


def _text(raw: bytes, reference: KeyFile | KeyCommand) -> str | KeyUnavailableError:
    """Without a byte order mark and one trailing newline, which editors and `echo` leave behind."""
    try:
        text = raw.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        return KeyUnavailableError(f"The {reference} gives something that is not UTF-8 text")
    if lines := text.count("\n"):
        return KeyUnavailableError(f"The {reference} gives {lines + 1} lines, where the key alone should be")
    return text


def _reason(problem: Exception) -> str:
    return problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)


async def _end(process: Process) -> None:
    """Kills what still runs, children included: one of them could hold the pipe open, and the audit with it."""
    if process.returncode is not None:
        return
    if sys.platform == "win32":  # pragma: no cover
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
