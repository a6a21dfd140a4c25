"""Opens aiohttp sessions without hidden behaviour. The only file that uses private names of aiohttp.

Switched off, and why: cookies; `trust_env` (a netrc entry breaks or leaks the authentication; a proxy is named
explicitly); aiohttp's hidden retries (they double the attempts); its decompression (it accepts truncated bodies, and
decompresses encodings that were not requested).

The behaviour of the private names is checked, without a network, each time a session is opened. If a guarantee of the
transport would be broken, an error is raised; a mere optimization is skipped (see exchange.py).
"""

import asyncio
import socket
import sys
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import inf
from types import FunctionType
from typing import Any, NoReturn

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.http_exceptions import HttpProcessingError
from multidict import istr
from yarl import URL

from ...wire.errors import ConfigurationError
from ..body import ACCEPTED
from ..network import ConnectionBound, ResumingContext

SUPPORTED = "aiohttp>=3.14.4,<3.15"
"""The versions that were tried, as in pyproject.toml."""

AUTHORIZATION, X_API_KEY = istr("Authorization"), istr("X-API-Key")


def for_key(connections: ConnectionKey, key: object) -> ConnectionKey:
    """The connections of one API key among those that aiohttp considers equal."""
    return connections._replace(proxy_headers_hash=hash((connections.proxy_headers_hash, key)))


class KeyedRequest(aiohttp.ClientRequest):
    """A request that shares connections only with requests of the same API key.

    Unsolicited bytes on an idle connection become the answer to its next request. This class makes sure that they
    cannot become the answer to a request with another key.
    """

    @property
    def owner(self) -> int:
        """Identifies the API key within this process."""
        return hash((self.headers.get(AUTHORIZATION), self.headers.get(X_API_KEY)))

    @property
    def connection_key(self) -> ConnectionKey:
        return for_key(super().connection_key, self.owner)


class Origin(aiohttp.ClientRequest):
    """The target of a connection as the connector needs it: a request that is never sent. It holds no API key."""

    def __init__(self, url: str, owner: object, **options: Any) -> None:
        super().__init__("GET", URL(url, encoded=True), **options)
        self.owner: object = owner
        self.host_field: str = f" HTTP/1.1\r\nHost: {self.headers['Host']}\r\n"
        self._key_for_owner = for_key(super().connection_key, owner)

    @property
    def connection_key(self) -> ConnectionKey:
        return self._key_for_owner


MAX_INTERIM = 100
"""The answers with a status of 1xx that may come before the answer to a request."""


class TooManyInterimError(HttpProcessingError):
    """More than MAX_INTERIM interim answers to one request."""


class WatchedConnection(ResponseHandler):
    """One connection, with information that aiohttp does not report, and a bound for interim answers.

    The exception that ends an exchange has the attribute `begun`: whether the answer had begun. The reader of a body
    gets an exception if the body is not valid HTTP (the C parser forgets the reader) or if the connection is closed
    on this side (all parsers do); otherwise it would wait until the attempt times out.
    """

    connections: "Connections | None" = None
    owner: object = None
    is_new = True  # it has brought no answer yet

    _begun = _interim = False
    _interims = 0
    _silent_until = inf

    def set_response_params(self, **options: Any) -> None:
        self._begun, self._interims = False, 0
        super().set_response_params(**options)

    def feed_data(self, data: Any, size: int = 0) -> None:
        self._interim = 100 <= data[0].code < 200
        self._interims += self._interim
        if self._interims <= MAX_INTERIM:
            super().feed_data(data, size)
            return
        self._interim = False
        self.close()
        self.set_exception(TooManyInterimError())

    def data_received(self, data: bytes) -> None:
        self._begun = True
        super().data_received(data)
        if self._interim:  # aiohttp takes it for the answer, and removes the read timeout
            self._interim = False
            self._reschedule_timeout()

    def set_exception(self, exc: BaseException, *cause: Any, **named: Any) -> None:
        exc.begun = self._begun  # type: ignore[attr-defined]
        if isinstance(exc, HttpProcessingError):
            self._end_body(exc)
        super().set_exception(exc, *cause, **named)

    def _reschedule_timeout(self) -> None:
        """The read timeout, with one timer for many requests: a timer that fires too early is set again."""
        self._silent_until = self._loop.time() + self._read_timeout if self._read_timeout else inf
        timer = self._read_timeout_handle
        if timer is not None and timer.when() > self._silent_until:
            timer.cancel()
            timer = None
        if timer is None and self._silent_until < inf:
            self._read_timeout_handle = self._loop.call_at(self._silent_until, self.ring)

    def _drop_timeout(self) -> None:
        self._silent_until = inf
        if self.transport is None or self.transport.is_closing():
            super()._drop_timeout()

    def ring(self) -> None:
        """Ends the exchange if the read timeout has passed, and otherwise continues to wait."""
        self._read_timeout_handle = None
        if self._loop.time() >= self._silent_until:
            self._on_read_timeout()
        elif self._silent_until < inf:
            self._read_timeout_handle = self._loop.call_at(self._silent_until, self.ring)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self.connections is not None:
            self.connections.lost(self)

    def close(self) -> None:
        self._end_body(aiohttp.ClientPayloadError("closed on this side"))
        super().close()

    def abort(self) -> None:
        self._end_body(aiohttp.ClientPayloadError("closed on this side"))
        super().abort()

    def _end_body(self, problem: BaseException) -> None:
        if self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(problem)


DNS_THREADS = 4
FLAGS = 0 if sys.platform == "win32" else socket.AI_ADDRCONFIG  # on Windows it hides localhost without a network
NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class ThreadResolver(AbstractResolver):
    """Resolves host names as the operating system does, in threads of its own.

    asyncio's default executor is open to any blocking work of a program. If that hangs, for example on a network drive
    that does not answer, lookups in the same executor would wait behind it.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(DNS_THREADS, "chatloom_async-dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, look_up, host, port, family)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def look_up(host: str, port: int, family: int) -> list[ResolveResult]:
    """The addresses of a host. Blocks. Raises OSError."""
    try:
        addresses: list[Any] = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=FLAGS)
    except socket.gaierror:
        socket.socket().close()  # the resolver does not report a lack of descriptors; this raises it
        raise
    results: list[ResolveResult] = []
    for kind, _, protocol, _, address in addresses:
        scope = address[3] if kind == socket.AF_INET6 else 0  # of a link-local address
        numeric = f"{address[0]}%{scope}" if scope else address[0]
        result = ResolveResult(hostname=host, host=numeric, port=address[1], family=kind, proto=protocol, flags=NUMERIC)
        results.append(result)
    return results


class Connections(aiohttp.TCPConnector):
    """The connections of one session. Their number is bounded, idle ones included: the one that was idle for longest
    is closed when a new one needs its place."""

    def __init__(
        self,
        bound: ConnectionBound,
        *,
        tls: ResumingContext | None = None,
        reused: bool = True,
        on_connect: Callable[[], object] | None = None,
    ) -> None:
        self.resolver: ThreadResolver = ThreadResolver()
        super().__init__(limit=0, force_close=not reused, resolver=self.resolver)
        self._factory: Any = partial(WatchedConnection, loop=asyncio.get_running_loop())
        self.bound: ConnectionBound = bound
        self.tls: ResumingContext | None = tls
        self.on_connect: Callable[[], object] | None = on_connect
        self.idle: OrderedDict[ResponseHandler, ConnectionKey] = OrderedDict()  # the one idle for longest comes first

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> ResponseHandler:  # noqa: ASYNC109
        while self.idle and self.bound.is_exceeded(len(self.idle)):
            self.close_idle(next(iter(self.idle)))
            await asyncio.sleep(0)  # the event loop closes the socket in its next round
        with self.bound.opening():
            try:
                connection = await self._connect(req, traces, timeout)
            except aiohttp.ClientConnectorError:
                if self.tls:
                    self.tls.forget()
                raise
            if not isinstance(connection, WatchedConnection):
                unsupported("its connections are not of the configured class")
        connection.connections, connection.owner = self, getattr(req, "owner", None)
        if not connection.is_connected():  # lost already
            self.lost(connection)
        if self.on_connect:
            self.on_connect()
        return connection

    async def close(self, *, abort_ssl: bool = False) -> None:
        await super().close(abort_ssl=abort_ssl)
        await self.resolver.close()

    def __del__(self, *_: object) -> None:
        """Replaces aiohttp's warning: the transport gives one."""

    async def _connect(self, req: Any, traces: Any, limits: Any) -> ResponseHandler:
        return await super()._create_connection(req, traces, limits)

    def _release(self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        if self.tls and isinstance(protocol, WatchedConnection) and protocol.is_new and not should_close:
            protocol.is_new = False
            if protocol.transport is not None:
                self.tls.remember(protocol.transport)
        super()._release(key, protocol, should_close=should_close)
        if protocol.is_connected() and not self.closed:
            self.idle[protocol] = key
            self.idle.move_to_end(protocol)

    def close_idle(self, connection: ResponseHandler) -> None:
        """Closes a connection, unless aiohttp has given it to a request in the meantime."""
        key = self.idle.pop(connection)
        entries = self._conns.get(key, ())
        for entry in [entry for entry in entries if entry[0] is connection]:
            self._conns[key].remove(entry)
            if not self._conns[key]:
                del self._conns[key]
            transport = connection.transport
            connection.close()  # notifies a TLS peer
            if transport is not None:
                transport.abort()  # does not wait for the peer: the descriptor is needed now

    def close_idle_of(self, owner: object) -> None:
        """Closes the idle connections of one API key."""
        for connection in [idle for idle in self.idle if getattr(idle, "owner", None) == owner]:
            self.close_idle(connection)

    def lost(self, connection: WatchedConnection) -> None:
        """Forgets a connection that has ended."""
        connection.connections = None
        self.idle.pop(connection, None)
        self.bound.closed()


def unsupported(what: str) -> NoReturn:
    """The error for an aiohttp that would break a guarantee."""
    raise ConfigurationError(f"aiohttp {aiohttp.__version__} cannot be used: {what}. Install {SUPPORTED}")


async def open_session(
    bound: ConnectionBound,
    *,
    shared: bool,
    tls: ResumingContext | None = None,
    reused: bool = True,
    on_connect: Callable[[], object] | None = None,
) -> aiohttp.ClientSession:
    """A session for the running loop; the caller closes it. Unless `shared`, its connections never mix API keys. Unless
    `reused`, each serves one request, with `Connection: close`. Raises ConfigurationError if the installed aiohttp
    cannot guarantee this.
    """
    session = aiohttp.ClientSession(
        connector=Connections(bound, tls=tls, reused=reused, on_connect=on_connect),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": ACCEPTED},
        request_class=aiohttp.ClientRequest if shared else KeyedRequest,
        auto_decompress=False,
        trust_env=False,
    )
    try:
        if getattr(session, "_retry_connection", None) is not True:
            unsupported("its hidden repetition of requests cannot be switched off")
        session._retry_connection = False  # noqa: SLF001 - there is no option for it
        await check_isolation(session)
        await check_bodies()
    except BaseException:
        await session.close()
        raise
    return session


class MemoryTransport(asyncio.Transport):
    """Replaces a socket in the checks below."""

    def __init__(self, protocol: ResponseHandler) -> None:
        super().__init__()
        self.protocol: ResponseHandler = protocol
        self._closed = False
        protocol.connection_made(self)

    def write(self, data: Any) -> None:
        """Ignores the data."""

    def is_closing(self) -> bool:
        return self._closed

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.protocol.connection_lost(None)

    abort = close


class MemoryConnections(Connections):
    """Connections without a network. A real connection would fail, because the name has no address."""

    async def _connect(self, req: Any, traces: Any, limits: Any) -> ResponseHandler:
        connection: ResponseHandler = self._factory()
        MemoryTransport(connection)
        return connection


NOWHERE = URL("http://127.0.0.1:0")
CHECK_LIMITS = aiohttp.ClientTimeout(total=None)


async def check_isolation(session: aiohttp.ClientSession) -> None:
    """Makes sure that aiohttp still keeps the connections of two API keys apart, and reuses those of one."""
    connections = MemoryConnections(ConnectionBound(9))
    given: list[object] = []
    try:
        for key in ("1", "2", "1"):
            headers = {"Authorization": key}
            loop = asyncio.get_running_loop()
            request = KeyedRequest("GET", NOWHERE, headers=headers, loop=loop, session=session)
            connection = await connections.connect(request, [], CHECK_LIMITS)
            given.append(connection.protocol)
            connection.release()
        bounded = len(connections.idle) == 2
        for idle in list(connections.idle):
            connections.close_idle(idle)
        bounded = bounded and not connections._conns  # noqa: SLF001 - the pool has no public name
    except (AttributeError, TypeError, aiohttp.ClientError) as problem:
        unsupported(f"its pool of connections has changed ({type(problem).__name__})")
    finally:
        await connections.close()
    if given[0] is given[1] or given[0] is not given[2]:
        unsupported("it would share connections between API keys")
    if not bounded:
        unsupported("the number of its connections cannot be bounded")


INTERIM_ANSWER = b"HTTP/1.1 103 Early Hints\r\n\r\n"
HALF_AN_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n["


async def check_bodies() -> None:
    """Makes sure that the reader of a body is notified if the connection is closed or times out, and that interim
    answers are counted."""
    loop = asyncio.get_running_loop()
    closed, silent, flooded = WatchedConnection(loop), WatchedConnection(loop), WatchedConnection(loop)
    problems: list[BaseException | None] = []
    try:
        for connection in (closed, silent, flooded):
            MemoryTransport(connection)
            connection.set_response_params(read_until_eof=True, auto_decompress=False, read_timeout=-1.0)
        flooded.data_received(INTERIM_ANSWER * (MAX_INTERIM + 1))
        for connection, ending in ((closed, closed.close), (silent, silent.ring)):
            connection.data_received(HALF_AN_ANSWER)
            _, payload = await connection.read()
            ending()
            problems.append(payload.exception())
        silent.abort()
    except (AttributeError, TypeError, LookupError) as problem:
        unsupported(f"its connections have changed ({type(problem).__name__})")
    if [type(problem) for problem in problems] != [aiohttp.ClientPayloadError, aiohttp.SocketTimeoutError]:
        unsupported("a connection that ends would not be noticed")
    if not isinstance(flooded.exception(), TooManyInterimError):
        unsupported("a flood of interim answers would not be noticed")


_request: Any = aiohttp.ClientSession._request  # noqa: SLF001 - what others patch
AS_SHIPPED = (  # None if it was patched before; a wrapper may look like the original in all but the place of its code
    _request
    if isinstance(_request, FunctionType) and _request.__code__.co_filename == aiohttp.client.__file__
    else None
)


def is_unpatched() -> bool:
    """Whether `ClientSession` is unmodified; aioresponses and some monitors patch it."""
    return aiohttp.ClientSession._request is AS_SHIPPED  # noqa: SLF001 - what others patch
