"""Shared parts of the socket transports: proxy URL, TLS, limits for connections, a warning."""

import asyncio
import re
import ssl
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from ipaddress import IPv6Address
from typing import Any, Self

from ..wire.errors import ConfigurationError

USER = r"(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*@"
PROXY_URL = re.compile(rf"https?://(?:{USER})?(?:[A-Za-z0-9._-]+|\[([0-9A-Fa-f:.]+)\])(?::([0-9]{{1,5}}))?/?")
PROXY_WANTED = (
    "proxy must be the URL of an HTTP proxy, such as http://proxy.example:3128. Percent-encode special characters "
    "of a user name or password; leave out path, query and fragment"
)


def checked_proxy(url: object) -> ConfigurationError | str | None:
    """The URL of the proxy, or the error to raise. The error never quotes the URL, which may contain a password."""
    if url is None:
        return None
    match = PROXY_URL.fullmatch(url) if isinstance(url, str) else None
    return match[0] if match and _has_place(match) else ConfigurationError(PROXY_WANTED)


def _has_place(match: re.Match[str]) -> bool:
    """Whether the port and the IPv6 address, if they are given, exist."""
    try:
        IPv6Address(match[1] or "::")
    except ValueError:
        return False
    return 0 < int(match[2] or 1) < 65536


@cache
def default_tls(http2: bool = False) -> ssl.SSLContext:
    """The certificates that the machine trusts. Reading them takes 20 ms; httpx2 changes the context for HTTP/2."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


SESSION_LIFETIME = 60.0  # seconds for which a TLS session is offered, counted from its full handshake


class ResumingContext(ssl.SSLContext):
    """Offers a host's last TLS session on new connections, so that only the first one pays for a full handshake.

    API keys stay isolated. A TLS session is what this process and the server agreed on in a handshake; it holds no
    HTTP. Every connection still carries the requests of one key and has encryption keys of its own, so nothing that is
    sent on one can appear on another. Sessions are kept for each host name apart, because the server's certificate was
    checked for that name and is not sent again; after a minute it is checked again.

    Measured with an ECDSA certificate and TLS 1.3: a call on a new connection takes 0.76 times the CPU time.

    Otherwise it behaves like `context()`. It wraps that context, so that a caller's context is not changed, and creates
    it on first use, because the default one reads the machine's certificates.
    """

    def __new__(cls, context: Callable[[], ssl.SSLContext]) -> Self:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, context: Callable[[], ssl.SSLContext]) -> None:
        self._context = context
        self._sessions: dict[object, tuple[ssl.SSLSession, float]] = {}  # by host name

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Called by event loops to begin a handshake."""
        last, until = self._sessions.get(server_hostname, (None, 0.0))
        offered = session or (last if time.monotonic() < until else None)
        return self._context().wrap_bio(incoming, outgoing, server_side, server_hostname, offered)

    def remember(self, connection: Any) -> None:
        """Stores the session of a connection that has received an answer. In TLS 1.3 the server sends the session
        ticket after the handshake, so it is not available earlier."""
        tls: ssl.SSLObject | None = connection.get_extra_info("ssl_object")
        if tls is None or tls.session_reused:
            return
        session = tls.session
        if session is not None and (session.has_ticket or session.id):
            self._sessions[tls.server_hostname] = session, time.monotonic() + SESSION_LIFETIME

    def forget(self) -> None:
        """Drops all sessions after a failed handshake."""
        self._sessions.clear()


REFUSAL_PAUSE = 0.005  # seconds between two tries to get a descriptor
REFUSAL_MEMORY = 1.0  # seconds without a refusal after which a lowered limit grows while requests wait for their turn

MAX_CONNECTIONS = 512
"""Twice as many as a client's requests in flight, so that a key keeps its connection while others have their turn."""


def descriptor_share() -> int:
    """How many connections the process can afford now: half of its soft limit of descriptors (the rest is for files,
    other clients and servers)."""
    try:
        import resource
    except ImportError:  # pragma: no cover  # Windows has no such limit for sockets
        return sys.maxsize
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else max(1, soft // 2)


class ConnectionBound:
    """How many connections may be open on one event loop: in use, being opened, and idle.

    A request holds at most one connection, so requests are counted: `enter` (or `turn`) before, `leave` after it.
    """

    def __init__(self, most: int) -> None:
        self.most: int = most
        self.held: int = 0  # connections that are open or being opened
        self._limit = most
        self._in_use = 0
        self._refused_at = 0.0
        self._queue: deque[asyncio.Future[bool]] = deque()

    def is_exceeded(self, idle: int) -> bool:
        """Whether the requests under way and `idle` idle connections exceed the limit."""
        return self._in_use + idle > self.most

    def enter(self) -> bool:
        """Counts a request in if there is room. As long as others wait there is none."""
        if self._in_use >= self.most:
            return False
        self._in_use += 1
        return True

    async def turn(self, seconds: float | None) -> bool:
        """Counts a request in when it is its turn; returns False if that takes longer than this."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        timer = None if seconds is None else loop.call_later(seconds, _too_late, turn)
        self._queue.append(turn)
        self._let_in()
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.result():  # it was let in at the same moment
                self.leave()
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def leave(self) -> None:
        """Counts a request out, and lets the next ones in."""
        self._in_use -= 1
        if self._queue:
            self._let_in()

    def _let_in(self) -> None:
        """Lets those in who are next. Descriptors may be free again some time after a refusal."""
        if self.most < self._limit and time.monotonic() >= self._refused_at + REFUSAL_MEMORY:
            self.most += 1
        while self._queue and self._in_use < self.most:
            turn = self._queue.popleft()
            if not turn.done():
                self._in_use += 1
                turn.set_result(True)

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Counts a connection in, unless it cannot be opened."""
        self.held += 1
        try:
            yield
        except BaseException:
            self.held -= 1
            raise
        if self.held >= self.most:  # there may be room for one more again
            self.most = min(self.most + 1, self._limit)

    def closed(self) -> None:
        """Counts a connection out."""
        self.held -= 1

    async def refused(self, until: float) -> bool:
        """Handles a refused descriptor: the current number becomes the limit. Returns whether to try again: not if no
        connection is open here, nor after `until`. Before that, the event loop closes those that are just closing."""
        self._refused_at = now = time.monotonic()
        self.most = max(1, min(self.held, self._limit))
        if not self.held or now >= until:
            return False
        await asyncio.sleep(REFUSAL_PAUSE)
        return True


BEGUN_AT_ONCE = 8
"""Connections that are begun in one step of the event loop."""


class Turnstile:
    """Spreads the beginnings of connections over the steps of an event loop, in the order in which they are wanted.

    If a thousand connections were begun in one step, the first request would be sent only after the last of them was
    begun, and the API would have nothing to do until then. An audit of 1,000 workspaces at 200 ms, 256 at once, takes
    3.5 s instead of 4.4 s.
    """

    def __init__(self) -> None:
        self._left = BEGUN_AT_ONCE
        self._turning = False
        self._queue: deque[asyncio.Future[None]] = deque()

    async def turn(self) -> None:
        """Returns when a connection may be begun."""
        loop = asyncio.get_running_loop()
        if not self._turning:
            self._turning = True
            loop.call_soon(self._next_step, loop)
        if self._left:
            self._left -= 1
            return
        turn: asyncio.Future[None] = loop.create_future()
        self._queue.append(turn)
        await turn

    def _next_step(self, loop: asyncio.AbstractEventLoop) -> None:
        self._left = BEGUN_AT_ONCE
        while self._queue and self._left:
            turn = self._queue.popleft()
            if not turn.done():  # else it was cancelled
                turn.set_result(None)
                self._left -= 1
        if self._left < BEGUN_AT_ONCE:
            loop.call_soon(self._next_step, loop)
        else:
            self._turning = False


def _too_late(turn: asyncio.Future[bool]) -> None:
    if not turn.done():  # else it was let in or cancelled at the same moment
        turn.set_result(False)


def warn_unclosed(name: str) -> None:
    """Warns that a transport is collected with open connections. Called by its `__del__`."""
    text = f"{name} was not closed: use `async with`, or await its aclose()"
    warnings.warn(text, ResourceWarning, stacklevel=3)
