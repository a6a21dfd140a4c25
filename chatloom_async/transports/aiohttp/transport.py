"""The transport on aiohttp, and its pool: one session per event loop and generation of keys.

Redirects are not followed: aiohttp would send X-API-Key to any host. The pool starts no tasks: each request closes
what is no longer needed. What else of aiohttp is switched off: see connection.py.
"""

import asyncio
import ssl
import traceback
from collections.abc import Callable
from functools import lru_cache, partial
from math import inf

import aiohttp
from yarl import URL

from ...wire.errors import ClientClosedError, ConfigurationError, TransportError
from ...wire.message import DEFAULT_TIMEOUTS, Request, Response, Timeouts
from ...wire.validation import COUNT
from ..body import MAX_BODY, received
from ..network import checked_proxy, warn_unclosed
from .connection import DirectExchange, Sessions, open_session, prepare, read_body
from .errors import transport_error

KEYS_PER_SESSION = 64
SESSIONS = 2


class Generation:
    """One session and the keys it serves.

    The session is held by an asynchronous generator: an event loop finishes those when it shuts down, so the
    connections of an `asyncio.run()` end with it even where nobody closed the client.
    """

    def __init__(self, sessions: Sessions, session: aiohttp.ClientSession, direct: DirectExchange) -> None:
        self.session: aiohttp.ClientSession = session
        self.direct: DirectExchange = direct
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.keys: set[object] = set()
        self.in_flight: int = 0
        self._sessions = sessions

    def enter(self, key: object) -> None:
        """Counts one request in; who leaves takes it from `in_flight` again."""
        self.keys.add(key)
        self.in_flight += 1

    async def aclose(self) -> None:
        await self._sessions.aclose()


class Pool:
    """The generations that requests go to, for whatever event loop is running.

    A fan-out over thousands of keys would leave idle connections behind for each of them. After `KEYS_PER_SESSION`
    keys a new session takes over; the one before it still serves its own keys, so that a key keeps its connection
    from one call to the next, and the one before that closes when its last request is done.
    """

    def __init__(
        self, open_session: Callable[[], Sessions], direct: Callable[[aiohttp.ClientSession], DirectExchange]
    ) -> None:
        self.closed: bool = False
        self.open_session: Callable[[], Sessions] = open_session
        self._direct = direct
        self._current: list[Generation] = []  # the newest first
        self.retired: set[Generation] = set()

    @property
    def is_open(self) -> bool:
        return any(not each.session.closed for each in self._current)

    def serving(self, key: object) -> Generation | None:
        """The generation for requests signed with `key`, or None where one has to be opened."""
        if self.closed:
            raise ClientClosedError("The transport is closed; nothing was sent")
        if self._current and self._current[0].loop is not asyncio.get_running_loop():
            self._retire(0)
        for generation in self._current:
            if key in generation.keys:
                return generation
        newest = self._current[0] if self._current else None
        return newest if newest and len(newest.keys) < KEYS_PER_SESSION else None

    async def open(self) -> Generation:
        """A new generation."""
        self._retire(SESSIONS - 1)
        sessions = self.open_session()
        session = await anext(sessions)
        generation = Generation(sessions, session, self._direct(session))
        self._current.insert(0, generation)
        return generation

    async def close_idle(self) -> None:
        """Closes the retired generations that no request uses any more."""
        while idle := next((each for each in self.retired if not each.in_flight), None):
            self.retired.discard(idle)  # before the first await, so that nobody else closes it too
            await idle.aclose()

    async def aclose(self) -> None:
        """Closes every connection, those in use as well. Requests under way fail."""
        self.closed = True
        self._retire(0)
        while self.retired:
            await self.retired.pop().aclose()

    def _retire(self, kept: int) -> None:
        """All but the newest ones. Those of another event loop are dropped: that loop closes them, if it still can."""
        loop = asyncio.get_running_loop()
        self.retired.update(each for each in self._current[kept:] if each.loop is loop or each.loop.is_closed())
        del self._current[kept:]


@lru_cache(maxsize=1024)
def _url(text: str) -> URL:
    return URL(text, encoded=True)


def _limits(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    """The attempt as a whole is bounded by the client, so aiohttp needs no timer of its own for that."""
    limits = {"connect": timeouts.connect, "sock_read": timeouts.read}
    return aiohttp.ClientTimeout(total=None, **limits, ceil_threshold=inf)  # else those above 5 s are rounded up


class AiohttpTransport:
    """Real HTTP/1.1 over TCP and TLS, with keep-alive.

    Guarantees: one `send` is one request on the wire. Connections are never shared between keys, unless
    `share_connections=True` says so. A body of more than `max_body` bytes, counted after decompression, is not read
    to its end. Works on any event loop, on several in turn too. `ssl` is for a private CA; `proxy` is the URL of an
    HTTP proxy. The creator closes it; a client closes only the transport that it made itself. Closed, it stays so:
    requests under way, and later ones, raise ClientClosedError.

    Bytes that a server sends unasked on an idle connection are taken for the answer to that key's next request. With
    `connection_reuse=False` they reach nobody: each request has a connection of its own, and pays for its handshakes.

        transport = AiohttpTransport(max_body=2**20)
        print(len(await AsyncChatloom(transport=transport).list_agents()))  # 2
        await transport.aclose()
    """

    def __init__(
        self,
        *,
        ssl: ssl.SSLContext | None = None,
        proxy: str | None = None,
        max_body: int = MAX_BODY,
        share_connections: bool = False,
        connection_reuse: bool = True,
        name: str = "AiohttpTransport",
    ) -> None:
        proxy = checked_proxy(proxy)  # type: ignore[assignment]  # the URL is no longer in this frame if it is refused
        if isinstance(proxy, ConfigurationError):
            raise proxy
        COUNT.check("max_body", max_body)
        direct = partial(DirectExchange, ssl=ssl or True, most=max_body)
        self._pool = Pool(partial(open_session, shared=share_connections, reused=connection_reuse), direct)
        self._ssl, self._proxy, self._max_body, self._name = ssl or True, proxy, max_body, name
        self._share = share_connections
        self._limits = DEFAULT_TIMEOUTS, _limits(DEFAULT_TIMEOUTS)  # of the last request: they are hardly ever others

    async def send(self, request: Request) -> Response | TransportError:
        key = (request.headers.prepared or prepare(request.headers)).key  # no headers in this frame: it may be seen
        key = None if self._share else key
        generation = self._pool.serving(key) or await self._pool.open()
        generation.enter(key)
        try:
            limits = self._limits
            if request.timeouts is not limits[0]:
                self._limits = limits = request.timeouts, _limits(request.timeouts)
            target = None if self._proxy else generation.direct.target(request)
            if target:
                outcome = await generation.direct.exchange(request, target, key, limits[1])
            else:
                outcome = await self._by_session(generation.session, request, limits[1])
        except BaseException as problem:
            failure = transport_error(problem, request.url, proxied=self._proxy is not None)
            if failure is None:
                traceback.clear_frames(problem.__traceback__)  # aiohttp's frames hold the signed headers
                raise
            outcome = failure
        finally:
            generation.in_flight -= 1
            if self._pool.retired:
                await self._pool.close_idle()
        if self._pool.closed and isinstance(outcome, TransportError):
            raise ClientClosedError("The transport was closed while this request was under way")
        return outcome

    async def _by_session(
        self, session: aiohttp.ClientSession, request: Request, limits: aiohttp.ClientTimeout
    ) -> Response | TransportError:
        response = await session.request(
            request.method,
            _url(request.url),
            headers=request.headers.prepared.fields,
            data=request.body,
            allow_redirects=False,
            timeout=limits,
            ssl=self._ssl,
            proxy=self._proxy,
        )
        try:
            body = await read_body(response.content, response.headers, self._max_body)
        finally:
            response.close()  # once the body is read, the connection has gone back to the pool already
        return received(response.status, response.raw_headers, body)

    async def aclose(self) -> None:
        await self._pool.aclose()

    def __del__(self) -> None:
        if "_pool" in self.__dict__ and self._pool.is_open:
            warn_unclosed(self._name)
