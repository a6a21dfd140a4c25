"""The sandbox's public face: set up workspaces, then call them in memory, over ASGI or over HTTP."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager

from ..wire.auth import ApiKey
from ..wire.errors import ConfigurationError
from .answers import Reply
from .routes import LogEntry, SandboxRequest, State, handle
from .skins import SandboxApp, SandboxTransport, Sleep, serving
from .workspace import Origin, Rate, SandboxWorkspace


class Sandbox:
    """A stateful stand-in for the whole documented Chatloom API. It needs no account, and no network unless you serve.

        sandbox = Sandbox(seed=7)
        acme = sandbox.add_workspace("acme", agents=12)
        client = AsyncChatloom(acme.key, transport=sandbox.transport())

    The same seed and the same calls give the same keys, ids, agents and domains, in every process.
    `trouble` is the share of agents (0 to 1) with a problem for an audit to find.
    `rate_limit` is in requests per minute and key, with bursts of `burst`; None: no limit. The documentation says: "a
    few hundred requests per minute per API key is comfortably within fair use". `clock` is the rate limit's clock, in
    seconds; `sleep` delays slow responses. Use a sandbox in one event loop at a time.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        trouble: float = 0.25,
        rate_limit: float | None = 300,
        burst: int = 60,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        if not 0 <= trouble <= 1:
            raise ConfigurationError("trouble= is a share of the agents, from 0 to 1")
        if rate_limit is not None and (rate_limit <= 0 or burst < 1):
            raise ConfigurationError("rate_limit= and burst= are numbers above 0; rate_limit=None lifts the limit")
        self._origin = Origin(seed, trouble)
        self._state = State(None if rate_limit is None else Rate(per_minute=rate_limit, burst=burst))
        self._clock, self._sleep = clock, sleep

    def __repr__(self) -> str:
        return f"Sandbox(seed={self._origin.seed}, workspaces={len(self)})"

    def add_workspace(self, name: str, agents: int = 12) -> SandboxWorkspace:
        """A new workspace with a key and this many seeded agents. Add more with `add_agent()`.

        Raises ConfigurationError if the name is empty or taken, or the number is negative.
        """
        if not name or name in self._state.workspaces:
            raise ConfigurationError(f"A workspace needs a name of its own, not {name!r}")
        if agents < 0:
            raise ConfigurationError("agents= is a number from 0")
        workspace = self._state.workspaces[name] = SandboxWorkspace(name, agents, self._origin, self._state.keys)
        return workspace

    def __getitem__(self, name: str) -> SandboxWorkspace:
        """The workspace with this name. Raises KeyError if there is none."""
        if name not in self._state.workspaces:
            raise KeyError(f"There is no workspace {name!r}: there are {', '.join(self._state.workspaces) or 'none'}")
        return self._state.workspaces[name]

    def __iter__(self) -> Iterator[SandboxWorkspace]:
        """The workspaces, in the order of adding."""
        return iter(self._state.workspaces.values())

    def __len__(self) -> int:
        return len(self._state.workspaces)

    def __bool__(self) -> bool:
        return True  # an empty sandbox is not "no sandbox"

    def __contains__(self, item: object) -> bool:
        """Whether a workspace, or one with this name, is in this sandbox."""
        return item in self._state.workspaces if isinstance(item, str) else item in self._state.workspaces.values()

    @property
    def requests(self) -> int:
        """The number of requests received, including those without a valid key."""
        return self._state.requests

    @property
    def log(self) -> tuple[LogEntry, ...]:
        """The last 1,000 requests, oldest first, without keys: workspace, method, path and outcome."""
        return tuple(self._state.log)

    def keys(self) -> Iterator[tuple[str, ApiKey]]:
        """Every key that was ever issued, including rotated ones, each with its workspace's name."""
        for workspace in self:
            for key in workspace.issued_keys():
                yield workspace.name, key

    def handle(self, request: SandboxRequest) -> Reply:
        """The response to one request. The caller carries out a scripted fault (a wait, a broken connection).

        `transport()`, `asgi()` and `serve()` are ready-made callers.
        """
        return handle(self._state, request, self._clock())

    def transport(self) -> SandboxTransport:
        """An in-memory `Transport` to this sandbox, for `AsyncChatloom(transport=...)` with any base URL."""
        return SandboxTransport(self.handle, self._sleep)

    def asgi(self) -> SandboxApp:
        """An ASGI 3 application of this sandbox. On most servers a "lost" fault becomes a 500."""
        return SandboxApp(self.handle, self._sleep)

    def serve(
        self, *, host: str = "127.0.0.1", port: int = 0, sleep: Sleep | None = None
    ) -> AbstractAsyncContextManager[str]:
        """Serves over plain HTTP: `async with sandbox.serve() as url` gives a base URL. Port 0: any free port.

        `sleep` replaces the sandbox's own for slow responses. Several servers may run at once. Needs aiohttp.
        Entering raises OSError if the port is taken.
        """
        return serving(self.handle, sleep or self._sleep, host, port)
