"""Carries requests by aiohttp; neither its types nor its exceptions leave the files that begin with this name.

What is switched off, and why: redirects (aiohttp would send X-API-Key to any host), cookies, `trust_env` (a netrc
entry breaks or leaks the authentication; a proxy is named explicitly), and aiohttp's own hidden repetition of
requests, which would double every attempt unseen.
"""

import asyncio
import ssl
import traceback
import warnings
from functools import lru_cache

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from ..wire.message import Headers, Request, Response, Timeouts
from ..wire.transport_errors import PayloadError, ResponseTooLargeError, TransportError
from .aiohttp_errors import transport_error
from .aiohttp_pool import KeyedRequest, Pool, Sessions

MAX_BODY = 8 * 2**20
DECODED = frozenset({"", "identity", "gzip", "deflate"})


@lru_cache(maxsize=1024)
def _url(text: str) -> URL:
    return URL(text, encoded=True)


@lru_cache(maxsize=16)
def _timeout(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    """The attempt as a whole is bounded by the client, so aiohttp needs no timer of its own for that."""
    return aiohttp.ClientTimeout(total=None, sock_connect=timeouts.connect, sock_read=timeouts.read)


class AiohttpTransport:
    """Real HTTP/1.1 over TCP and TLS, with keep-alive.

    Guarantees: one `send` is one request on the wire. Connections are never shared between keys, unless
    `share_connections=True` says so. A body of more than `max_body` bytes, counted after decompression, is not read
    to its end. Works on any event loop, on several in turn too. `ssl` is for a private CA; `proxy` is the URL of an
    HTTP proxy. The creator closes it; a client closes only the transport that it made itself.
    """

    def __init__(
        self,
        *,
        ssl: ssl.SSLContext | None = None,
        proxy: str | None = None,
        max_body: int = MAX_BODY,
        share_connections: bool = False,
        name: str = "AiohttpTransport",
    ) -> None:
        self._ssl, self._proxy, self._max_body, self._name = ssl, proxy, max_body, name
        request_class = aiohttp.ClientRequest if share_connections else KeyedRequest
        self._pool = Pool(lambda: _open_session(request_class))

    async def send(self, request: Request) -> Response | TransportError:
        key = request.headers.get("authorization"), request.headers.get("x-api-key")
        generation = await self._pool.enter(hash(key))
        try:
            return await self._exchange(generation.session, request)
        except asyncio.CancelledError as cancelled:
            traceback.clear_frames(cancelled.__traceback__)  # aiohttp's frames hold the signed headers
            raise
        except Exception as problem:
            failure = transport_error(problem, request.url)
            if failure is None:
                raise
        finally:
            self._pool.leave(generation)
        return failure

    async def _exchange(self, session: aiohttp.ClientSession, request: Request) -> Response | TransportError:
        response = await session.request(
            request.method,
            _url(request.url),
            headers=CIMultiDict(request.headers.pairs),
            data=request.body,
            allow_redirects=False,
            timeout=_timeout(request.timeouts),
            ssl=self._ssl or True,
            proxy=self._proxy,
        )
        try:
            body = await self._body(response)
            if isinstance(body, TransportError):
                return body
            return Response(response.status, Headers(response.raw_headers), body)
        finally:
            response.close()  # once the body is read, the connection has gone back to the pool already

    async def _body(self, response: aiohttp.ClientResponse) -> bytes | TransportError:
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in DECODED:
            return PayloadError("The body is compressed in a way that was not asked for", reason="encoding")
        if (response.content_length or 0) > self._max_body:
            return self._too_large()
        chunks, size = [], 0
        async for chunk in response.content.iter_any():
            chunks.append(chunk)
            size += len(chunk)
            if size > self._max_body:
                return self._too_large()
        return b"".join(chunks)

    def _too_large(self) -> ResponseTooLargeError:
        return ResponseTooLargeError(f"The body is larger than {self._max_body} bytes")

    async def aclose(self) -> None:
        await self._pool.aclose()

    def __del__(self) -> None:
        if self._pool.is_open:
            text = f"{self._name} was not closed: use `async with`, or await its aclose()"
            warnings.warn(text, ResourceWarning, stacklevel=2, source=self)


async def _open_session(request_class: type[aiohttp.ClientRequest]) -> Sessions:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": "gzip, deflate"},
        request_class=request_class,
        trust_env=False,
    )
    session._retry_connection = False  # no public switch; the tests count the requests on the wire
    try:
        yield session
    finally:
        await session.close()
