"""A server that speaks HTTP/2 over TLS, and answers every request with the same JSON."""

import asyncio
import ssl
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

from tests.faults.scenes import serving


class H2Server:
    """`requests` has the headers of each request, `connections` counts those that were accepted."""

    def __init__(self, body: bytes) -> None:
        self.requests: list[dict[str, str]] = []
        self.connections = 0
        self._body = body
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        return f"https://localhost:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        context: ssl.SSLContext = serving()
        context.set_alpn_protocols(["h2"])
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", ssl=context)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        connection: Any = H2Connection(H2Configuration(client_side=False))
        connection.initiate_connection()
        with suppress(OSError):
            writer.write(connection.data_to_send())
            while data := await reader.read(2**16):
                for event in connection.receive_data(data):
                    if isinstance(event, RequestReceived):
                        self._answer(connection, event)
                writer.write(connection.data_to_send())

    def _answer(self, connection: Any, event: Any) -> None:
        self.requests.append({name.decode(): value.decode() for name, value in event.headers})
        headers = [(":status", "200"), ("content-type", "application/json"), ("content-length", str(len(self._body)))]
        connection.send_headers(event.stream_id, headers)
        connection.send_data(event.stream_id, self._body, end_stream=True)
