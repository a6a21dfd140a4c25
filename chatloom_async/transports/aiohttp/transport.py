"""The transport on aiohttp: one session for each event loop, with a bound on its connections.

Redirects are not followed, because aiohttp would send X-API-Key to any host. It starts no tasks. session.py lists
the other features of aiohttp that are switched off.
"""

import ssl
import time
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import lru_cache, partial
from math import inf
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from yarl import URL

from ...wire.base_url import origin
from ...wire.errors import ClientClosedError, ConfigurationError, TransportError
from ...wire.message import DEFAULT_TIMEOUTS, Headers, Request, Response, Timeouts
from ...wire.validation import COUNT, FUNCTION
from .. import failures
from ..body import MAX_BODY, received
from ..network import (
    MAX_CONNECTIONS,
    ConnectionBound,
    ResumingContext,
    checked_proxy,
    default_tls,
    descriptor_share,
    warn_unclosed,
)
from ..per_loop import PerLoop
from .connection import MAX_INTERIM, TooManyInterimError
from .exchange import DirectExchange, prepare, read_body, works
from .session import open_session


@lru_cache(maxsize=1024)
def _url(text: str) -> URL:
    return URL(text, encoded=True)


def _limits(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    """aiohttp needs no timer for the attempt as a whole, since the client bounds it."""
    limits = {"connect": timeouts.connect, "sock_read": timeouts.read}
    return aiohttp.ClientTimeout(total=None, **limits, ceil_threshold=inf)  # else aiohttp rounds up above 5 s


async def open_exchange(
    *, max_connections: int, session: Callable[[ConnectionBound], Awaitable[aiohttp.ClientSession]], **options: Any
) -> AsyncGenerator[DirectExchange]:
    """Yields an exchange for the running event loop, and closes it."""
    bound = ConnectionBound(min(max_connections, descriptor_share()))
    opened = await session(bound)
    connections: Any = opened.connector
    try:
        yield DirectExchange(opened, works=await works(opened), **options)
    finally:
        opened.detach()
        await connections.close()


class AiohttpTransport:
    """Real HTTP/1.1 over TCP and TLS, with keep-alive.

    Guarantees: one `send` is one request on the wire. Connections are never shared between keys, unless
    `share_connections=True`. Reading stops after `max_body` bytes of the decompressed body, and after 100 interim
    answers (1xx). It works on any event loop, and on several one after the other. `ssl` is for a private CA; `proxy` is
    the URL of an HTTP proxy. You close it; a client closes only its default transport. After closing, requests in
    flight and later ones raise ClientClosedError.

    At most `max_connections` connections are open on an event loop, including idle ones, and at most half of the
    process's descriptor limit. If a new one is needed, the connection that was idle for longest is closed. If the
    system refuses a descriptor, the request waits until another request releases one, at most `Timeouts.connect`.
    `on_connect` is called for each new connection.

    New connections to a host resume its TLS session for a minute, independent of the key. `tls_resumption=False`
    disables that.

    Unsolicited bytes on an idle connection end it. If they arrive just after the key's next request was sent, they are
    taken for its answer. To prevent that, pass `connection_reuse=False`: each request then opens its own connection and
    pays for its handshakes.

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
        max_connections: int = MAX_CONNECTIONS,
        share_connections: bool = False,
        connection_reuse: bool = True,
        tls_resumption: bool = True,
        on_connect: Callable[[], object] | None = None,
        name: str = "AiohttpTransport",
    ) -> None:
        proxy = checked_proxy(proxy)  # type: ignore[assignment]  # the URL is no longer in this frame if it is refused
        if isinstance(proxy, ConfigurationError):
            raise proxy
        COUNT.check("max_body", max_body)
        COUNT.check("max_connections", max_connections)
        if on_connect is not None:
            FUNCTION.check("on_connect", on_connect)
        tls = ResumingContext(lambda: ssl or default_tls()) if tls_resumption else None
        self._ssl, self._proxy, self._max_body, self._name = tls or ssl or True, proxy, max_body, name
        self._share = share_connections
        self._limits = DEFAULT_TIMEOUTS, _limits(DEFAULT_TIMEOUTS)  # of the last request: they rarely change
        opened = partial(
            open_exchange,
            max_connections=max_connections,
            session=partial(
                open_session, tls=tls, shared=share_connections, reused=connection_reuse, on_connect=on_connect
            ),
            ssl=self._ssl,
            max_body=max_body,
        )
        self._exchanges = PerLoop(opened)  # no reference to self, so that an unused transport can be collected

    async def send(self, request: Request) -> Response | TransportError:
        key = (request.headers.prepared or prepare(request.headers)).key  # no signed headers in locals
        key = None if self._share else key
        direct = self._exchanges.current() or await self._exchanges.open()
        bound, until = direct.connections.bound, inf
        while True:
            if not bound.enter() and not await bound.turn(request.timeouts.connect):
                return failures.no_turn(origin(request.url))
            try:  # closed while this request waited: nothing is sent
                outcome = None if self._exchanges.closed else await self._exchange(direct, request, key)
            finally:
                bound.leave()
            if isinstance(outcome, Response):
                return outcome
            if outcome is None or self._exchanges.closed:
                raise ClientClosedError("The transport was closed while this request was under way")
            if outcome.reason != "local":
                return outcome
            until = min(until, time.monotonic() + (request.timeouts.connect or inf))
            if not await bound.refused(until):
                return outcome

    async def _exchange(self, direct: DirectExchange, request: Request, key: object) -> Response | TransportError:
        limits = self._limits
        if request.timeouts is not limits[0]:
            self._limits = limits = request.timeouts, _limits(request.timeouts)
        target = None if self._proxy else direct.target(request)
        try:
            if target:
                return await direct.send(request, target, key, limits[1])
            return await self._by_session(direct.session, request, limits[1])
        except BaseException as problem:
            failure = transport_error(problem, request.url, proxied=self._proxy is not None)
            if failure is None:
                traceback.clear_frames(problem.__traceback__)  # aiohttp's frames hold the signed headers
                raise
            return failure

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
            response.close()  # after the body is read, the connection is back in the pool
        return received(response.status, response.raw_headers, body)

    def close_idle(self, headers: Headers) -> None:
        """Closes the idle connections of the key that signed these headers."""
        direct = self._exchanges.current()
        if direct is not None:
            direct.connections.close_idle_of((headers.prepared or prepare(headers)).key)

    async def aclose(self) -> None:
        await self._exchanges.aclose()

    def __del__(self) -> None:
        if "_exchanges" in self.__dict__ and (direct := self._exchanges.unclosed):
            direct.session.detach()  # aiohttp would report it a second time
            warn_unclosed(self._name)


def transport_error(problem: BaseException, url: str, *, proxied: bool) -> TransportError | None:
    """The TransportError for an exception of aiohttp; None if it is not a failure of the transport."""
    where = origin(url)
    match problem:
        case aiohttp.ConnectionTimeoutError():
            return failures.connect_timeout(where)
        case TimeoutError():
            return failures.read_timeout(where)
        case aiohttp.ClientHttpProxyError():
            return failures.proxy_refused(where, str(problem.status))
        case aiohttp.ClientConnectorCertificateError():
            at_proxy = proxied and problem.host != urlsplit(url).hostname
            return failures.no_connection(problem.certificate_error, where, at_proxy=at_proxy)
        case aiohttp.ClientConnectorError():
            at_proxy = proxied and _is_about_the_proxy(problem, url)
            return failures.no_connection(problem.os_error, where, at_proxy=at_proxy)
        case aiohttp.ClientResponseError() | HttpProcessingError():
            return _invalid_answer(problem, where)
        case aiohttp.ClientConnectionError():
            how = "closed" if isinstance(problem, aiohttp.ServerDisconnectedError) else failures.name_of(problem)
            return failures.connection_lost(where, how, begun=getattr(problem, "begun", False))
        case aiohttp.ClientError():
            return failures.exchange_failed(where, problem)
    return None


def _is_about_the_proxy(problem: aiohttp.ClientConnectorError, url: str) -> bool:
    """Whether the error is about the proxy: only its name is resolved here, but TLS may also fail behind it."""
    at_proxy = isinstance(problem, (aiohttp.ClientProxyConnectionError, aiohttp.ClientConnectorDNSError))
    return at_proxy or problem.host != urlsplit(url).hostname


def _invalid_answer(problem: BaseException, where: str) -> TransportError:
    while problem.__cause__ is not None:
        problem = problem.__cause__
    if isinstance(problem, TooManyInterimError):
        return failures.too_many_interim(where, MAX_INTERIM)
    too_large = isinstance(problem, LineTooLong) or "Too many headers" in str(problem)
    return failures.invalid_answer(where, too_large=too_large)
