"""A small HTTP proxy that works: it forwards plain requests and opens tunnels, for those who know its password."""

import asyncio
from base64 import b64encode
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.raw_server import http, read_request

USER, PASSWORD = "user", "proxy-password"
ALLOWED = b64encode(f"{USER}:{PASSWORD}".encode())


class Proxy:
    """`lines` holds the first line of every request; whoever gives no credentials gets a 407."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def url(self, user: str = f"{USER}:{PASSWORD}@") -> str:
        return f"http://{user}127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                request = await read_request(reader)
                self.lines.append(request.split(b"\r\n")[0].decode())
                method, target, _ = self.lines[-1].split(" ")
                if ALLOWED not in request:
                    writer.write(http(b"", "407 Proxy Authentication Required"))
                    await writer.drain()
                    return
                parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
                there, back = await asyncio.open_connection(parts.hostname, parts.port)
                if method == "CONNECT":
                    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                else:
                    back.write(request)
                await asyncio.gather(_pump(reader, back), _pump(there, writer))
        finally:
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
