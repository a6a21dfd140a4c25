"""Carries requests by aiohttp; neither its types nor its exceptions leave the files that begin with this name.

Redirects are not followed: aiohttp would send X-API-Key to any host. What else is switched off: aiohttp_session.py.
"""

import ssl
import traceback
import warnings
from functools import lru_cache, partial
from math import inf
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from ..wire.errors import ClientClosedError, ConfigurationError, TransportError
from ..wire.message import DEFAULT_TIMEOUTS, Request, Response, Timeouts
from .aiohttp_body import read_body
from .aiohttp_direct import DirectExchange, prepare
from .aiohttp_errors import transport_error
from .aiohttp_pool import Pool
from .aiohttp_session import open_session
from .body import received

MAX_BODY = 8 * 2**20


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
        direct = partial(DirectExchange, ssl=ssl or True, most=max_body)
        self._pool = Pool(partial(open_session, shared=share_connections, reused=connection_reuse), direct)
        self._ssl, self._proxy, self._max_body, self._name = ssl or True, proxy, max_body, name
        self._share = share_connections
        self._limits = DEFAULT_TIMEOUTS, _limits(DEFAULT_TIMEOUTS)  # of the last request: they are hardly ever others
        if proxy is not None and urlsplit(proxy).scheme not in ("http", "https"):
            raise ConfigurationError("proxy must be the URL of an HTTP proxy, such as http://proxy.example:3128")

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
            failure = transport_error(problem, request.url)
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
        if self._pool.is_open:
            text = f"{self._name} was not closed: use `async with`, or await its aclose()"
            warnings.warn(text, ResourceWarning, stacklevel=2)
