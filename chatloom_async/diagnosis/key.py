"""Where the key comes from, whether others can read it there, and whether it can be one. Never what it is."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from attrs import frozen

from ..audit.keys import KeyFile, KeyUnavailableError
from ..wire.auth import ApiKey, api_key_or_error
from ..wire.errors import InvalidApiKeyError
from .observation import Observation, ok, skipped, wrong


class KeyReference(Protocol):
    """A place that may hold a key; its str names the place."""

    async def read(self) -> str | ApiKey | KeyUnavailableError | InvalidApiKeyError: ...


@frozen
class GivenKey:
    """A key that was read already, or what was wrong with it, and from where."""

    where: str
    key: ApiKey | InvalidApiKeyError

    def __str__(self) -> str:
        return self.where

    async def read(self) -> ApiKey | InvalidApiKeyError:
        return self.key


async def examine_key(reference: KeyReference) -> tuple[ApiKey | None, list[Observation]]:
    """The key, where there is one, and what there is to say of it."""
    told = list(_permissions(reference))
    if told and told[0].state == "wrong":
        return None, [*told, skipped("key", "not read from a file that others can read")]
    text = await reference.read()
    if isinstance(text, KeyUnavailableError):
        return None, [*told, wrong("key", text.message, InvalidApiKeyError.hint, source=str(reference), valid=False)]
    key = api_key_or_error(text) if isinstance(text, (str, ApiKey)) else text
    if isinstance(key, InvalidApiKeyError):
        found = f"{reference}: {key.message}"
        return None, [*told, wrong("key", found, key.hint, source=str(reference), valid=False)]
    shape = f"clf_ and {len(key.reveal()) - len('clf_')} more characters"
    return key, [*told, ok("key", f"{reference}: {shape}", source=str(reference), valid=True)]


def _permissions(reference: KeyReference, *, posix: bool = os.name == "posix") -> Iterator[Observation]:
    """What others may do with a key file; nothing for other references, nor for a file that is not there."""
    if not isinstance(reference, KeyFile) or not posix:
        return
    try:
        mode = stat.S_IMODE(reference.path.expanduser().stat().st_mode)
    except (OSError, RuntimeError):  # RuntimeError: no home directory for ~
        return
    yield _judged(reference.path, mode)


def _judged(path: Path, mode: int) -> Observation:
    shown = f"{path} has mode {mode:03o}"
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return wrong("key file", f"{shown}: others can read it", f"chmod 600 {path}", mode=f"{mode:03o}")
    return ok("key file", f"{shown}: only its owner can read it", mode=f"{mode:03o}")
