"""The floor: an asyncio protocol that writes prepared bytes and parses the answer by httptools. Nothing can go wrong
in it, because nothing is checked; it shows what any HTTP client in Python must cost at least."""

import asyncio
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import orjson
from httptools import HttpResponseParser

from ..answers import AGENTS, KEY
from .interface import Opened


class Connection(asyncio.Protocol):
    """One keep-alive connection, for one request at a time."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._body: list[bytes] = []
        self._done: asyncio.Future[bytes]
        self.transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._done.set_result(b"".join(self._body))

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        self._body.clear()
        self._done = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._done


@asynccontextmanager
async def calls(url: str) -> Opened:
    """A connection for each call at the same time, each used again and again."""
    place, loop = urlsplit(url), asyncio.get_running_loop()
    request = f"GET {AGENTS} HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()
    idle: list[Connection] = []
    everyone: list[Connection] = []

    async def call() -> object:
        if not idle:
            _, opened = await loop.create_connection(Connection, place.hostname or "", place.port or 80)
            everyone.append(opened)
            idle.append(opened)
        connection = idle.pop()
        try:
            return orjson.loads(await connection.ask(request))
        finally:
            idle.append(connection)

    try:
        yield call
    finally:
        for connection in everyone:
            connection.transport.close()
