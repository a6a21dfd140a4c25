"""Where the workspaces of an audit come from: a file, standard input, the key of the environment, or the sandbox."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from attrs import frozen

from ..audit.keys import KeyEnv, resolve_key
from ..audit.loading import load_ndjson, load_workspaces
from ..audit.values import Workspace
from ..policy.keys import ENVIRONMENT_VARIABLE
from ..wire.auth import ApiKey
from ..wire.base_url import BASE_URL, normalize_base_url
from .options import Selection
from .sandbox import make_sandbox
from .terminal import STDIN, CommandLineError, notice, read_stdin

EMBEDDED = {"workspaces": 12, "agents": 7, "seed": 2}  # 8 requests a key: no wait for the rate limit

Kind = Literal["file", "key", "sandbox"]


@frozen
class Source:
    """Workspaces and the address that serves them."""

    kind: Kind
    workspaces: tuple[Workspace, ...]
    base_url: str | None

    @property
    def identity(self) -> str:
        """The address that is kept with a run. The port of the embedded sandbox changes, so it has a name instead."""
        return "http://sandbox.localhost" if self.kind == "sandbox" else self.address

    @property
    def address(self) -> str:
        """Where requests go. Raises InvalidBaseUrlError."""
        return normalize_base_url(self.base_url or os.environ.get("CHATLOOM_BASE_URL") or BASE_URL)


@asynccontextmanager
async def open_source(path: Path | None, selection: Selection, base_url: str | None) -> AsyncIterator[Source]:
    """The source; the embedded sandbox serves while the context is open. Raises a ConfigurationError."""
    sandbox = selection.sandbox
    if sandbox and (path or base_url):
        raise CommandLineError("--sandbox brings its own workspaces and address: leave out WORKSPACES and --base-url")
    if path == STDIN:
        yield Source("file", load_ndjson(read_stdin(), inline_keys=selection.inline_keys), base_url)
    elif path:
        workspaces = load_workspaces(path, inline_keys=selection.inline_keys, notice=notice)
        yield Source("file", workspaces, base_url)
    elif not sandbox and ENVIRONMENT_VARIABLE in os.environ:
        key = await resolve_key(reference := KeyEnv(ENVIRONMENT_VARIABLE))
        if not isinstance(key, ApiKey):
            raise key
        yield Source("key", (Workspace("default", reference),), base_url)
    elif base_url:
        raise CommandLineError(f"--base-url needs workspaces: name a file, or set {ENVIRONMENT_VARIABLE}")
    else:
        reason = "--sandbox" if sandbox else f"No workspaces file and no {ENVIRONMENT_VARIABLE}"
        notice(f"{reason}: auditing an embedded sandbox on this machine. Its data is fictional.", "dim")
        embedded = make_sandbox(**EMBEDDED)
        async with embedded.serve() as url:
            yield Source("sandbox", tuple(Workspace(stored.name, stored.key) for stored in embedded), url)
