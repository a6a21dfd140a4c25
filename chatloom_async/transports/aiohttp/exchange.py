"""Writes a plain request straight to a connection, byte for byte as aiohttp would, and reads the answer.

aiohttp's own objects for requests and answers cost more than the rest of a call (`python -m benchmarks` shows both
ways). Everything else goes through aiohttp's session: bodies, proxies, connections that are not reused, sessions that
are traced or patched (as aioresponses and some monitors do), and any aiohttp with which a rehearsal fails.
"""

import asyncio
import re
from functools import lru_cache
from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict, CIMultiDictProxy, istr

from ...wire.errors import TransportError
from ...wire.message import Headers, Request, Response
from ..body import ACCEPTED, Body, received
from ..failures import invalid_body
from .connection import Connections, Origin, WatchedConnection
from .session import MemoryTransport, is_unpatched

CONTENT_ENCODING, CONTENT_LENGTH = istr("Content-Encoding"), istr("Content-Length")

METHODS = frozenset({"GET", "HEAD"})
PLAIN_URL = re.compile(r"(https?://[a-z0-9.:\[\]-]+)(/[!-\"$-~]*)")  # no user, no fragment, nothing to be encoded
MAX_ORIGINS = 64

NEEDED = frozenset({"accept", "user-agent"})  # aiohttp adds them if they are missing
SPECIAL = frozenset({"accept-encoding", "connection", "content-length", "expect", "host", "transfer-encoding"})


async def read_body(content: aiohttp.StreamReader, headers: CIMultiDictProxy[str], most: int) -> bytes | TransportError:
    """The body, of `most` bytes at most, both on the wire and decompressed; or the error instead of it.

    It is not read if its announced length is too large, nor if it has an encoding that was not requested.
    Other tasks run between two pieces of a large body.
    """
    compressed = CONTENT_ENCODING in headers
    if content.is_eof() and not compressed and content.total_bytes <= most and content.exception() is None:
        return content.read_nowait()  # small answers arrive in one piece with their head
    if content.at_eof():
        return b""  # HEAD, 204 and 304: Content-Length and Content-Encoding describe a body that is not sent
    body = Body(", ".join(headers.getall(CONTENT_ENCODING, ())), headers.get(CONTENT_LENGTH), most)
    try:
        return await body.read(content.iter_any())
    except aiohttp.ClientPayloadError:
        return body.broken()
    except HttpProcessingError:
        return invalid_body()


@lru_cache(maxsize=1024)
def _split(url: str) -> tuple[str, str] | None:
    """Origin and path of a plain URL."""
    plain = PLAIN_URL.fullmatch(url)
    return (plain[1], plain[2]) if plain else None


class Prepared:
    """The headers of a request in aiohttp's form, the identity of their API key, and all of them but Host as bytes
    (None if they are not plain). Not an attrs class: rich would show what is in it."""

    __slots__ = ("fields", "head", "key")

    def __init__(self, fields: "CIMultiDict[str]", key: int, head: bytes | None) -> None:
        self.fields: CIMultiDict[str] = fields
        self.key: int = key
        self.head: bytes | None = head


def prepare(headers: Headers) -> Prepared:
    """Prepares the headers and caches the result, because a key's headers are reused."""
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


class DirectExchange:
    """Exchanges on the connections of one session. `works`: whether the rehearsal has succeeded."""

    def __init__(self, session: aiohttp.ClientSession, *, ssl: Any, max_body: int, works: bool) -> None:
        self.session: aiohttp.ClientSession = session
        connections: Any = session.connector
        self.connections: Connections = connections
        self._ssl, self._max_body = ssl, max_body
        self._plain = works and not session.trace_configs and not self.connections.force_close
        self._origins: dict[str, Origin] = {}

    def target(self, request: Request) -> tuple[str, str] | None:
        """Origin and path of a plain request; None if the request is not plain, or the session is traced."""
        plain = (
            self._plain
            and is_unpatched()
            and request.headers.prepared.head is not None
            and request.method in METHODS
            and request.body is None
        )
        return _split(request.url) if plain else None

    async def send(
        self, request: Request, target: tuple[str, str], key: object, limits: aiohttp.ClientTimeout
    ) -> Response | TransportError:
        """One exchange. Raises what aiohttp raises."""
        origin = self._origins.get(target[0]) or self._origin(target[0])
        connections, place = self.connections, origin.key_for(key)
        connection = connections.take(place)
        if connection is None:
            connection = await connections.open(origin, key, limits)
        try:
            line = f"{request.method} {target[1]}{origin.host_field}".encode()
            head = line + request.headers.prepared.head
            message, payload = await ask(connection, head, request.method == "HEAD", limits.sock_read)
            body = await read_body(payload, message.headers, self._max_body)
        except BaseException:
            connections.release(place, connection, should_close=True)
            raise
        connections.release(place, connection)
        return received(message.code, message.raw_headers, body)

    def _origin(self, place: str) -> Origin:
        if len(self._origins) >= MAX_ORIGINS:
            self._origins.clear()
        origin = Origin(place, loop=asyncio.get_running_loop(), session=self.session, ssl=self._ssl)
        self._origins[place] = origin
        return origin


async def ask(protocol: Any, head: bytes, bodiless: bool, silence: float | None) -> tuple[Any, Any]:
    """Writes a request without a body, and returns head and body of its answer as aiohttp parses them."""
    protocol.set_response_params(
        skip_payload=bodiless, read_until_eof=True, auto_decompress=False, read_timeout=silence
    )
    if not protocol.is_connected():
        raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")
    protocol.transport.write(head)
    protocol.start_timeout()
    message, payload = await protocol.read()
    while 100 <= message.code < 200 and message.code != 101:  # an interim answer
        message, payload = await protocol.read()
    return message, payload


class Echo(MemoryTransport):
    """A transport that answers with the data written to it."""

    def write(self, data: Any) -> None:
        self.protocol.data_received(b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data))


async def works(session: aiohttp.ClientSession) -> bool:
    """Whether exchanges work with the installed aiohttp, tried without a network."""
    try:
        loop = asyncio.get_running_loop()
        origin = Origin("http://127.0.0.1:1", loop=loop, session=session, ssl=True)
        protocol = WatchedConnection(loop)
        Echo(protocol)
        async with asyncio.timeout(1.0):
            message, payload = await ask(protocol, origin.host_field.encode(), False, 9.0)
            body = await read_body(payload, message.headers, 99)
        protocol.close()
    except Exception:  # in any case, the session is used instead
        return False
    return (message.code, message.raw_headers[0], body) == (200, (b"X-A", b"b"), origin.host_field.encode())
