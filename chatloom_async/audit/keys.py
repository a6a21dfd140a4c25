"""Turns a reference to a key into the key, when it is needed. References are plain values and hold no secret.

Every failure is returned as data: a frame on a traceback would hold the key's text. No error quotes what was read.
"""

import asyncio
import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from attrs import field, frozen

from ..wire.auth import ApiKey, api_key_or_error
from ..wire.errors import ConfigurationError
from ..wire.validation import Requirement
from .key_command import printed_bytes
from .key_file import private_bytes

COMMAND_TIMEOUT = 30.0


class KeyUnavailableError(ConfigurationError):
    """The place that should hold a key does not give one. Nothing was sent."""

    hint = "Correct the reference, or run the audit where it leads to a key."


VARIABLE = Requirement("the name of a variable", lambda name: isinstance(name, str) and bool(name))
COMMAND = Requirement(
    "a command, as a list of words or one line",
    lambda words: bool(words) and all(isinstance(each, str) for each in words) and bool(words[0]),
)


def _words(command: str | Iterable[str]) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command) if isinstance(command, str) else command)
    except (ValueError, TypeError):  # an open quote, or nothing to go through
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
class KeyFile:
    """The key is the content of this file, which nobody but its owner may read (POSIX).

    It may be a pipe, as of `<(pass show chatloom)`, which is given `patience` seconds.
    """

    path: Path = field(converter=Path)
    patience: float = COMMAND_TIMEOUT

    def __str__(self) -> str:
        return f"key file {self.path}"

    async def read(self) -> str | KeyUnavailableError:
        try:
            raw = await asyncio.to_thread(private_bytes, self.path, self.patience)
        except (OSError, RuntimeError, ValueError) as problem:  # no home directory for ~; a NUL in the path
            return KeyUnavailableError(f"The {self} cannot be read: {_reason(problem)}")
        return _text(raw, self)


@frozen
class KeyCommand:
    """The key is what this command prints. It runs without shell and input, for `timeout` seconds at most, in the
    working directory of this process.

    Raises ConfigurationError for words that are no command. A line is split into words as a shell would.
    """

    argv: tuple[str, ...] = field(converter=_words, validator=COMMAND)
    timeout: float = COMMAND_TIMEOUT

    def __str__(self) -> str:
        return f"key command {self.argv[0]}"  # its arguments may be nobody's business

    async def read(self) -> str | KeyUnavailableError:
        try:
            raw = await printed_bytes(self.argv, self.timeout)
        except (OSError, ValueError) as problem:
            return KeyUnavailableError(f"The {self} cannot be started: {_reason(problem)}")
        return _text(raw, self)


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
    """The reference for a list of words, or a line that is split as a shell would; None where it is neither."""
    try:
        return KeyCommand(command) if isinstance(command, (str, list)) else None
    except ConfigurationError:
        return None


def _text(raw: bytes | str, reference: KeyFile | KeyCommand) -> str | KeyUnavailableError:
    """Without a byte order mark and one trailing newline, which editors and `echo` leave behind."""
    if isinstance(raw, str):  # the reason why there is nothing
        return KeyUnavailableError(f"The {reference} {raw}")
    try:
        text = raw.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        return KeyUnavailableError(f"The {reference} gives something that is not UTF-8 text")
    if lines := text.count("\n"):
        return KeyUnavailableError(f"The {reference} gives {lines + 1} lines, where the key alone should be")
    return text


def _reason(problem: Exception) -> str:
    return problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
