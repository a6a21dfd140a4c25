"""Sends one request over aiohttp's connections and reads its answer. All private names of aiohttp are used here.

Sessions do what is asked and nothing else. Switched off, and why: cookies; `trust_env` (a netrc entry breaks or leaks
the authentication; a proxy is named explicitly); aiohttp's hidden repetition of requests (it doubles every attempt
unseen); its decompression (it takes a truncated body for a whole one, and decompresses what was never asked for).

A plain GET is written straight to a connection, byte for byte as aiohttp would write it, and parsed by aiohttp's
parser: aiohttp's objects for requests and answers cost more than the rest of a call (`python -m benchmarks` shows
both ways). Everything else goes through the session: bodies, proxies, connections that are not reused, sessions that
are traced or patched (as aioresponses and some monitors do), and any aiohttp whose internals are not known.
"""

import asyncio
import re
from collections.abc import AsyncGenerator
from functools import lru_cache, partial
from math import inf
from types import FunctionType
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict, CIMultiDictProxy, istr
from yarl import URL

from ...wire.errors import TransportError
from ...wire.message import Headers, Request, Response
from ..body import ACCEPTED, Body, received
from ..failures import invalid_body

CONTENT_ENCODING, CONTENT_LENGTH = istr("Content-Encoding"), istr("Content-Length")


async def read_body(content: aiohttp.StreamReader, headers: CIMultiDictProxy[str], most: int) -> bytes | TransportError:
    """The body, of `most` bytes at most, both on the wire and decompressed; or why there is none.

    It is not read where its length is announced and too large, nor where it is compressed in a way nobody asked for.
    Between two pieces of a large body other tasks get their turn.
    """
    compressed = CONTENT_ENCODING in headers
    if content.is_eof() and not compressed and content.total_bytes <= most and content.exception() is None:
        return content.read_nowait()  # small answers come in one piece with their head
    if content.at_eof():
        return b""  # HEAD, 204 and 304: Content-Length and Content-Encoding tell of a body that is elsewhere
    body = Body(", ".join(headers.getall(CONTENT_ENCODING, ())), headers.get(CONTENT_LENGTH), most)
    try:
        return await body.read(content.iter_any())
    except aiohttp.ClientPayloadError:
        return body.broken()
    except HttpProcessingError:
        return invalid_body()


AUTHORIZATION, X_API_KEY = istr("Authorization"), istr("X-API-Key")

Sessions = AsyncGenerator[aiohttp.ClientSession, None]


def for_key(connections: ConnectionKey, key: object) -> ConnectionKey:
    """Those of one key among the connections that aiohttp would take for equal."""
    return connections._replace(proxy_headers_hash=hash((connections.proxy_headers_hash, key)))


class KeyedRequest(aiohttp.ClientRequest):
    """A request that shares connections only with requests of the same key.

    Bytes that a server sends unasked on an idle connection become the next request's answer. This way they can
    never become the answer to another key.
    """

    @property
    def connection_key(self) -> ConnectionKey:
        return for_key(super().connection_key, hash((self.headers.get(AUTHORIZATION), self.headers.get(X_API_KEY))))


class WatchedConnection(ResponseHandler):
    """Tells what aiohttp keeps to itself.

    The exception that ends an exchange bears a note of whether the answer had begun. And whoever reads a body hears
    of it when the body turns out not to be valid HTTP (the C parser forgets that reader) or when the connection is
    closed on this side (every parser does): otherwise it would wait until the attempt's time is up.
    """

    _begun = _interim = False
    _silent_until = inf

    def set_response_params(self, **options: Any) -> None:
        self._begun = False
        super().set_response_params(**options)

    def feed_data(self, data: Any, size: int = 0) -> None:
        self._interim = 100 <= data[0].code < 200
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        self._begun = True
        super().data_received(data)
        if self._interim:  # aiohttp takes it for the answer, and lifts the limit of silence
            self._interim = False
            self._reschedule_timeout()

    def set_exception(self, exc: BaseException, *cause: Any, **named: Any) -> None:
        exc.begun = self._begun  # type: ignore[attr-defined]
        if isinstance(exc, HttpProcessingError):
            self._end_body(exc)
        super().set_exception(exc, *cause, **named)

    def _reschedule_timeout(self) -> None:
        """The limit of silence, but with one timer for many requests: it is set anew when it rings too early."""
        self._silent_until = self._loop.time() + self._read_timeout if self._read_timeout else inf
        timer = self._read_timeout_handle
        if timer is not None and timer.when() > self._silent_until:
            timer.cancel()
            timer = None
        if timer is None and self._silent_until < inf:
            self._read_timeout_handle = self._loop.call_at(self._silent_until, self._ring)

    def _drop_timeout(self) -> None:
        self._silent_until = inf
        if self.transport is None or self.transport.is_closing():
            super()._drop_timeout()

    def _ring(self) -> None:
        self._read_timeout_handle = None
        if self._loop.time() >= self._silent_until:
            self._on_read_timeout()
        elif self._silent_until < inf:
            self._read_timeout_handle = self._loop.call_at(self._silent_until, self._ring)

    def close(self) -> None:
        self._end_body(aiohttp.ClientPayloadError("closed on this side"))
        super().close()

    def abort(self) -> None:
        self._end_body(aiohttp.ClientPayloadError("closed on this side"))
        super().abort()

    def _end_body(self, problem: BaseException) -> None:
        if self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(problem)


async def open_session(*, shared: bool, reused: bool = True) -> Sessions:
    """Yields one session, for the running loop, and closes it. Unless `shared`, its connections never mix keys; unless
    `reused`, each serves one request, which says so by `Connection: close`.

    The connections are not limited: whatever waits for one would count as slowness of the server. What is private
    in aiohttp and changed here, for want of a public switch, is held by tests on the wire.
    """
    connector = aiohttp.TCPConnector(limit=0, force_close=not reused)
    watched: Any = partial(WatchedConnection, loop=asyncio.get_running_loop())
    connector._factory = watched
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": ACCEPTED},
        request_class=aiohttp.ClientRequest if shared else KeyedRequest,
        auto_decompress=False,
        trust_env=False,
    )
    session._retry_connection = False
    try:
        yield session
    finally:
        await session.close()


KNOWN = ("3.14.",)  # what these versions of aiohttp begin with; a later one works as well, and costs more
METHODS = frozenset({"GET", "HEAD"})
PLAIN_URL = re.compile(r"(https?://[a-z0-9.:\[\]-]+)(/[!-\"$-~]*)")  # no user, no fragment, nothing to be encoded
ORIGINS = 1024

NEEDED = frozenset({"accept", "user-agent"})  # aiohttp adds them where they are missing
SPECIAL = frozenset({"accept-encoding", "connection", "content-length", "expect", "host", "transfer-encoding"})

_request: Any = aiohttp.ClientSession._request
AS_SHIPPED = (  # None where it was patched before; a wrapper may pass for it in all but where its code is
    _request
    if isinstance(_request, FunctionType) and _request.__code__.co_filename == aiohttp.client.__file__
    else None
)


@lru_cache(maxsize=1024)
def _split(url: str) -> tuple[str, str] | None:
    """Host and path of a plain URL."""
    plain = PLAIN_URL.fullmatch(url)
    return (plain[1], plain[2]) if plain else None


class Prepared:
    """A request's headers as aiohttp likes them, what tells their keys apart, and all of them but Host as bytes: None
    where they are not plain. Not an attrs class: rich would show what is in it."""

    __slots__ = ("fields", "head", "key")

    def __init__(self, fields: "CIMultiDict[str]", key: int, head: bytes | None) -> None:
        self.fields: CIMultiDict[str] = fields
        self.key: int = key
        self.head: bytes | None = head


def prepare(headers: Headers) -> Prepared:
    """Makes what is kept with the headers, since those of a key come again and again."""
    fields: Any = headers.pairs  # of a request, so they are text
    key = hash((headers.get("authorization"), headers.get("x-api-key")))
    headers.prepared = Prepared(CIMultiDict(fields), key, _head(headers))
    return headers.prepared  # type: ignore[no-any-return]


def _head(headers: Headers) -> bytes | None:
    names = {name.lower() for name in headers}
    text = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    plain = text.isascii() and text.replace("\r\n", "").isprintable() and text.count("\r\n") == len(headers)
    if not plain or not names >= NEEDED or names & SPECIAL:
        return None
    return f"Accept-Encoding: {ACCEPTED}\r\n{text}\r\n".encode()


class Origin(aiohttp.ClientRequest):
    """Where to connect to, as a connector wants to be told: a request that is never sent. It holds no key."""

    def __init__(self, url: str, key: object, **options: Any) -> None:
        super().__init__("GET", URL(url, encoded=True), **options)
        self._connection_key = for_key(super().connection_key, key)
        self.host_field: str = f" HTTP/1.1\r\nHost: {self.headers['Host']}\r\n"

    @property
    def connection_key(self) -> ConnectionKey:
        return self._connection_key


class DirectExchange:
    """Exchanges on the connections of one session: bodies of `most` bytes at most, TLS as `ssl` says."""

    def __init__(self, session: aiohttp.ClientSession, *, ssl: Any, most: int) -> None:
        self._session, self._ssl, self._most = session, ssl, most
        connector: Any = session.connector
        self._connector = connector
        known = aiohttp.__version__.startswith(KNOWN)
        self._plain = known and not session.trace_configs and not connector.force_close
        self._origins: dict[tuple[str, object], Origin] = {}

    def target(self, request: Request) -> tuple[str, str] | None:
        """Where a plain request goes, host and path; None where it, or whoever watches the session, is not plain."""
        plain = (
            self._plain
            and aiohttp.ClientSession._request is AS_SHIPPED
            and request.headers.prepared.head is not None
            and request.method in METHODS
            and request.body is None
        )
        return _split(request.url) if plain else None

    async def exchange(
        self, request: Request, target: tuple[str, str], key: object, limits: aiohttp.ClientTimeout
    ) -> Response | TransportError:
        """One exchange. Raises what aiohttp raises."""
        origin = self._origins.get((target[0], key)) or self._origin(target[0], key)
        try:
            connection = await self._connector.connect(origin, [], limits)
        except TimeoutError as late:
            raise aiohttp.ConnectionTimeoutError("Connection timeout") from late
        try:
            protocol: Any = connection.protocol
            protocol.set_response_params(
                skip_payload=request.method == "HEAD",
                read_until_eof=True,
                auto_decompress=False,
                read_timeout=limits.sock_read,
            )
            if not protocol.is_connected():
                raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")
            line = f"{request.method} {target[1]}{origin.host_field}".encode()
            protocol.transport.write(line + request.headers.prepared.head)
            protocol.start_timeout()
            message, payload = await protocol.read()
            while 100 <= message.code < 200 and message.code != 101:  # an interim answer
                message, payload = await protocol.read()
            body = await read_body(payload, message.headers, self._most)
        except BaseException:
            connection.close()
            raise
        connection.release()
        return received(message.code, message.raw_headers, body)

    def _origin(self, place: str, key: object) -> Origin:
        if len(self._origins) >= ORIGINS:
            self._origins.clear()
        made = Origin(place, key, loop=asyncio.get_running_loop(), session=self._session, ssl=self._ssl)
        self._origins[place, key] = made
        return made
