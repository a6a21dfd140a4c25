"""The transport on httpx2: HTTP/1.1, HTTP/2, or an ASGI application in this process.

It uses httpx2's transports without its client, so there are no redirects, cookies, environment proxies, netrc entries
or default headers. Neither httpx2's types nor its exceptions leave this file.
"""

import asyncio
import logging
import ssl
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import cache, partial
from ssl import SSLContext
from typing import Any

from attrs import define

from ..wire.base_url import origin
from ..wire.errors import ClientClosedError, ConfigurationError, TransportError, needed_by
from ..wire.message import Request, Response
from ..wire.validation import COUNT
from . import failures
from .body import ACCEPTED, MAX_BODY, Body, received
from .network import MAX_CONNECTIONS, checked_proxy, default_tls, descriptor_share, warn_unclosed
from .per_loop import PerHeaders, PerLoop, key_of

with needed_by("Httpx2Transport", "h2", "httpcore2", "httpx2", extra="httpx2"):
    import h2  # noqa: F401  # httpx2 looks for it when the first connection is made
    import httpcore2  # noqa: F401  # httpx2 would import it when the first request is made, and the others would wait
    import httpx2

KEEP_ALIVE = 15.0  # seconds, like aiohttp

Open = Callable[[], httpx2.AsyncBaseTransport]


def network(context: ssl.SSLContext | None, proxy: str | None, *, http2: bool, reused: bool) -> Open:
    """Opens a transport over real sockets. Without reuse it is HTTP/1.1, because HTTP/2 shares a connection."""
    http2 = http2 and reused
    if http2:
        _quieten()
    limits = httpx2.Limits(
        max_connections=None, max_keepalive_connections=None if reused else 0, keepalive_expiry=KEEP_ALIVE
    )

    def open_() -> httpx2.AsyncBaseTransport:
        return httpx2.AsyncHTTPTransport(
            verify=context or default_tls(http2), http2=http2, proxy=proxy, limits=limits, trust_env=False
        )

    return open_


@cache
def _quieten() -> None:
    """Stops the debug messages of HTTP/2's header compression, which hold the headers, and so the key."""
    for name in ("hpack.hpack", "hpack.table"):
        logging.getLogger(name).addFilter(lambda record: record.levelno > logging.DEBUG)


@define(eq=False)
class Pool:
    """One key's transport, how many connections it may have, and how many requests are using it."""

    carrier: httpx2.AsyncBaseTransport
    connections: int = 0
    in_flight: int = 0


class Pools:
    """The pools of one event loop, by key, and what is under way on them. They have `most` connections, or as many as
    there are requests."""

    def __init__(self, open_: Open, most: int) -> None:
        self._open, self._most = open_, most
        self._pools: dict[object, Pool] = {}  # the one that was idle for longest comes first
        self._connections = 0
        self._under_way = set[asyncio.Timeout]()

    @asynccontextmanager
    async def serving(self, key: object) -> AsyncIterator[httpx2.AsyncBaseTransport]:
        """The transport for a request that is signed with `key`. Ends by ClientClosedError when it is closed."""
        pool = self._pools[key] = self._pools.pop(key) if key in self._pools else Pool(self._open())
        pool.in_flight += 1
        limit = asyncio.timeout(None)  # it never runs out, but `aclose` lets it
        self._under_way.add(limit)
        try:
            async with limit:
                if pool.in_flight > pool.connections:  # a new maximum of concurrent requests
                    pool.connections += 1
                    self._connections += 1
                    await self._trim()
                yield pool.carrier
        except TimeoutError:
            raise ClientClosedError("The transport was closed while this request was under way") from None
        finally:
            self._under_way.discard(limit)
            pool.in_flight -= 1

    async def aclose(self) -> None:
        """Ends the requests that are under way, and closes every connection."""
        for limit in self._under_way:
            limit.reschedule(0.0)
        for pool in [*self._pools.values()]:
            await pool.carrier.aclose()

    async def _trim(self) -> None:
        """Makes room for a connection: closes the pools that were idle for longest."""
        while self._connections > self._most:
            idle = next((key for key, pool in self._pools.items() if not pool.in_flight), None)
            if idle is None:
                return
            pool = self._pools.pop(idle)  # out of reach before anything is awaited
            self._connections -= pool.connections
            await pool.carrier.aclose()


async def open_pools(open_: Open) -> AsyncGenerator[Pools]:
    """Yields the pools of one event loop, and closes them."""
    pools = Pools(open_, min(MAX_CONNECTIONS, descriptor_share()))
    try:
        yield pools
    finally:
        await pools.aclose()


BODILESS = frozenset({204, 304})

Fields = list[tuple[str, str]]
Application = Callable[[Any, Any, Any], Awaitable[None]]


def _asked(request: Request, added: Fields) -> httpx2.Request:
    """The request for httpx2. Built in a separate frame, because it holds the signed headers."""
    fields: Any = [*added, *request.headers.pairs]  # of a request, so they are text
    connect, read = request.timeouts.connect, request.timeouts.read
    limits = {"connect": connect, "read": read, "write": read, "pool": None}  # requests never wait in httpx2's pool
    extensions = {"timeout": limits, "trace": Handshake()}
    return httpx2.Request(request.method, request.url, headers=fields, content=request.body, extensions=extensions)


class Handshake:
    """Traces a request, to close the connection if its TLS handshake is cancelled. httpx2 would leave that to the
    garbage collector."""

    _connection: Any = None

    async def __call__(self, step: str, details: dict[str, Any]) -> None:
        if step.endswith(".connect_tcp.complete"):
            self._connection = details["return_value"]
        elif step.endswith(".start_tls.failed") and self._connection is not None:
            await self._connection.aclose()


class Httpx2Transport:
    """HTTP/2 if the server offers it over TLS, else HTTP/1.1, with keep-alive; or an ASGI application.

        client = AsyncChatloom(key, base_url="http://localhost", transport=Httpx2Transport(app=sandbox.asgi()))

    It has the guarantees of AiohttpTransport: one `send` is one request on the wire; connections are never shared
    between keys, unless `share_connections=True`; reading stops after `max_body` bytes of the decompressed body. It
    works on any event loop, and on several one after the other. You close it; after closing, requests in flight and
    later ones raise ClientClosedError. With `app` it opens no socket, ignores timeouts, and answers 500 if the
    application raises.

    Differences: a call takes six to seven times the CPU time, and more with hundreds of concurrent calls.
    `Timeouts.connect` counts twice over TLS, once for each handshake. `ConnectionLostError.received` is always False.
    Heads may have up to 100 kB. Interim answers (1xx) are not counted: only the client's limit for an attempt ends a
    flood of them. Over HTTP/1.1, an answer with both a length and chunks is read by its chunks, and a
    second answer in the same packet is taken for the key's next one. `http2` makes the context `ssl` offer HTTP/2: do
    not share it with an AiohttpTransport.
    """

    def __init__(
        self,
        *,
        ssl: SSLContext | None = None,
        proxy: str | None = None,
        max_body: int = MAX_BODY,
        share_connections: bool = False,
        connection_reuse: bool = True,
        http2: bool = True,
        app: Application | None = None,
        name: str = "Httpx2Transport",
    ) -> None:
        proxy = checked_proxy(proxy)  # type: ignore[assignment]  # the URL is no longer in this frame if it is refused
        if isinstance(proxy, ConfigurationError):
            raise proxy
        COUNT.check("max_body", max_body)
        if app is not None and (ssl or proxy):
            raise ConfigurationError("app is called in this process: ssl and proxy are for connections")
        opened: Open = partial(httpx2.ASGITransport, app, raise_app_exceptions=False)  # type: ignore[arg-type]
        if app is None:
            opened = network(ssl, proxy, http2=http2, reused=connection_reuse)
        self._pools = PerLoop(partial(open_pools, opened))
        self._keys = PerHeaders(key_of)
        self._added = [("Accept-Encoding", ACCEPTED), *([] if connection_reuse else [("Connection", "close")])]
        self._proxied, self._max_body, self._share, self._name = bool(proxy), max_body, share_connections, name

    async def send(self, request: Request) -> Response | TransportError:
        key = None if self._share else self._keys.of(request.headers)
        pools = self._pools.current() or await self._pools.open()
        async with pools.serving(key) as carrier:
            try:
                return await self._exchange(carrier, request)
            except httpx2.TransportError as problem:
                return transport_error(problem, request.url, proxied=self._proxied)
            except BaseException as problem:
                traceback.clear_frames(problem.__traceback__)  # httpx2's frames hold the signed headers
                raise

    async def _exchange(self, carrier: httpx2.AsyncBaseTransport, request: Request) -> Response | TransportError:
        answer = await carrier.handle_async_request(_asked(request, self._added))
        try:
            body = await self._read(answer, request)
        finally:
            await answer.aclose()  # after the body is read, the connection is back in the pool
        return received(answer.status_code, answer.headers.raw, body)

    async def _read(self, answer: httpx2.Response, request: Request) -> bytes | TransportError:
        empty = request.method == "HEAD" or answer.status_code in BODILESS
        headers: Mapping[str, str] = {} if empty else answer.headers  # they describe a body that was not received
        body = Body(headers.get("content-encoding"), headers.get("content-length"), self._max_body)
        try:
            return await body.read(answer.aiter_raw())
        except httpx2.TransportError as problem:
            return body_error(problem, request.url, body)

    async def aclose(self) -> None:
        await self._pools.aclose()

    def __del__(self) -> None:
        if "_pools" in self.__dict__ and self._pools.unclosed:
            warn_unclosed(self._name)


NO_ANSWER = ("Server disconnected", "Connection closed", "ConnectionTerminated")  # HTTP/1.1, and two of HTTP/2
UNFINISHED = (ssl.SSLWantReadError, ssl.SSLWantWriteError)  # the state of a TLS handshake that was broken off
TOO_LARGE = "Receive buffer too long"
CUT = "peer closed connection"


def transport_error(problem: httpx2.TransportError, url: str, *, proxied: bool) -> TransportError:
    """The error for an exception of httpx2 before the head of the answer was complete."""
    where, text = origin(url), str(problem)
    match problem:
        case httpx2.ConnectTimeout():
            return failures.connect_timeout(where)
        case httpx2.TimeoutException():
            return failures.read_timeout(where)
        case httpx2.ProxyError():
            return failures.proxy_refused(where, text[:3])
        case httpx2.ConnectError():
            return _no_connection(problem, where, proxied=proxied)
        case httpx2.NetworkError():
            how = next((failures.name_of(cause) for cause in _chain(problem) if isinstance(cause, OSError)), "reset")
            return failures.connection_lost(where, how)
        case httpx2.RemoteProtocolError() if text.lstrip("<").startswith(NO_ANSWER):
            return failures.connection_lost(where, "closed")
        case httpx2.RemoteProtocolError():
            return failures.invalid_answer(where, too_large=text == TOO_LARGE)
    return failures.exchange_failed(where, problem)


def body_error(problem: httpx2.TransportError, url: str, body: Body) -> TransportError:
    """The error for an exception of httpx2 while it read the body; `body` is the part received so far."""
    if isinstance(problem, httpx2.TimeoutException):
        return failures.read_timeout(origin(url))
    if isinstance(problem, httpx2.RemoteProtocolError) and not str(problem).startswith((CUT, "<ConnectionTerminated")):
        return failures.invalid_body()
    return body.broken()


def _no_connection(problem: httpx2.ConnectError, where: str, *, proxied: bool) -> TransportError:
    causes = [cause for cause in _chain(problem) if isinstance(cause, OSError) and not isinstance(cause, UNFINISHED)]
    cause = causes[-1] if causes else None  # anyio wraps the others into one without details
    at_proxy = proxied and not isinstance(cause, (*failures.BROKEN_HANDSHAKE, ssl.SSLError))
    return failures.no_connection(cause, where, at_proxy=at_proxy, name=type(problem).__name__)


def _chain(problem: BaseException) -> Iterator[BaseException]:
    """The exception and its causes; of a group of exceptions, the last one's."""
    link: BaseException | None = problem
    while link is not None:
        yield link
        link = link.exceptions[-1] if isinstance(link, BaseExceptionGroup) else link.__cause__ or link.__context__
