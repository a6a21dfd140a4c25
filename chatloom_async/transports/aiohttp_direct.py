"""Makes an exchange on aiohttp's connections, with its parser, but without its objects for requests and answers.

Those cost more than all the rest of a call (`python -m benchmarks` shows both ways), for the sake of cookies,
redirects, authentication and hooks, which this transport switches off. So a plain GET is written here, byte for byte
as aiohttp would write it. All else goes through the session as ever: bodies, proxies, connections that are not reused,
sessions that are traced or patched (as aioresponses and some monitors do), and any aiohttp whose insides are not known.
"""

import asyncio
import re
from functools import lru_cache
from types import FunctionType
from typing import Any

import aiohttp
from aiohttp.client_reqrep import ConnectionKey
from multidict import CIMultiDict
from yarl import URL

from ..wire.errors import TransportError
from ..wire.message import Headers, Request, Response
from .aiohttp_body import read_body
from .aiohttp_session import for_key
from .body import received
from .inflate import ACCEPTED

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
