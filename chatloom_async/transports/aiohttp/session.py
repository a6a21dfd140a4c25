"""Opens aiohttp sessions without hidden behaviour, and checks that the installed aiohttp can be relied upon.

Switched off, and why: cookies; `trust_env` (a netrc entry breaks or leaks the authentication; a proxy is named
explicitly); aiohttp's hidden retries (they double the attempts); its decompression (it accepts truncated bodies, and
decompresses encodings that were not requested).

The behaviour of the private names that connection.py uses is checked, without a network, each time a session is opened.
If a guarantee of the transport would be broken, an error is raised; a mere optimization is skipped (see exchange.py).
"""

import asyncio
from collections.abc import Callable
from types import FunctionType
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from ..body import ACCEPTED
from ..network import ConnectionBound, ResumingContext
from .connection import MAX_INTERIM, Connections, KeyedRequest, TooManyInterimError, WatchedConnection, unsupported


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
        left = len(connections.idle)
    except (AttributeError, TypeError, aiohttp.ClientError) as problem:
        unsupported(f"its pool of connections has changed ({type(problem).__name__})")
    finally:
        await connections.close()
    if not left:
        unsupported("the number of its connections cannot be bounded")
    if given[0] is given[1]:
        unsupported("it would share connections between API keys")
    if given[0] is not given[2] or any(connection.is_connected() for connection in connections.idle):
        unsupported("its connections would not be reused and closed")


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
