"""Where an audit's workspaces come from: a file, standard input, the one key of the environment, or the sandbox."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from attrs import frozen

from ..audit.keys import KeyEnv
from ..audit.loading import load_ndjson, load_workspaces
from ..audit.values import Workspace
from ..policy.keys import ENVIRONMENT_VARIABLE
from ..wire.base_url import BASE_URL, normalize_base_url
from ..wire.errors import ConfigurationError
from .embedded import planted
from .options import Choice
from .screen import notice

STDIN = Path("-")
EMBEDDED = {"workspaces": 12, "agents": 12, "seed": 7}


class SourceError(ConfigurationError):
    """What is asked for contradicts itself, or there is nothing to audit. Nothing was sent."""

    hint = "See `chatloom audit --help`."


@frozen
class Source:
    """Workspaces, and the address at which they are. `kind` is file, key or sandbox."""

    kind: str
    workspaces: tuple[Workspace, ...]
    base_url: str | None

    @property
    def identity(self) -> str:
        """The address as a run remembers it. The embedded sandbox has another port every time, so it has a name."""
        return "http://sandbox.localhost" if self.kind == "sandbox" else self.address

    @property
    def address(self) -> str:
        """Where requests go. Raises InvalidBaseUrlError."""
        return normalize_base_url(self.base_url or os.environ.get("CHATLOOM_BASE_URL") or BASE_URL)


@asynccontextmanager
async def opened(given: Path | None, choice: Choice, base_url: str | None) -> AsyncIterator[Source]:
    """The source; the embedded sandbox serves as long as the context is open. Raises SourceError or a file's error."""
    sandbox = choice.sandbox
    if sandbox and (given or base_url):
        raise SourceError("--sandbox brings its own workspaces and address: leave out WORKSPACES and --base-url")
    if given:
        yield Source("file", _loaded(given, inline_keys=choice.inline_keys), base_url)
    elif not sandbox and ENVIRONMENT_VARIABLE in os.environ:
        yield Source("key", (Workspace("default", KeyEnv(ENVIRONMENT_VARIABLE)),), base_url)
    elif base_url:
        raise SourceError(f"--base-url needs workspaces: name a file, or set {ENVIRONMENT_VARIABLE}")
    else:
        reason = "As asked" if sandbox else f"No workspaces file and no {ENVIRONMENT_VARIABLE}"
        notice(f"{reason}: auditing an embedded sandbox on this machine. Its data is fictional.", "dim")
        grown = planted(**EMBEDDED)
        async with grown.serve() as url:
            yield Source("sandbox", tuple(Workspace(each.name, each.key) for each in grown), url)


def _loaded(given: Path, *, inline_keys: bool) -> tuple[Workspace, ...]:
    if given == STDIN:
        return load_ndjson(sys.stdin.read(), inline_keys=inline_keys)
    return load_workspaces(given, inline_keys=inline_keys)
