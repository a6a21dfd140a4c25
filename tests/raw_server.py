"""A TCP server that does whatever its script says, however wrong, and counts exactly what reaches it.

A script is a tuple of steps. It is played as the answer to one request; the n-th request gets the n-th script, and
the last script is for all that follow; a function makes one of the request. Bytes are sent as they are, a number is a
pause in seconds, and:

    FIN, RST    end the connection, politely or not; nothing after it is played
    SILENCE     keeps the connection open and says nothing more
    Loop(steps) these steps again and again, until the client has gone
    an Event    waits until the test sets it
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import Enum
from types import TracebackType
from typing import Self

from attrs import frozen


class End(Enum):
    FIN = "closes"
    RST = "resets"
    SILENCE = "falls silent"


FIN, RST, SILENCE = End


@frozen
class Loop:
    """Steps that are repeated for ever."""

    steps: tuple["bytes | float | End | asyncio.Event", ...]


Step = bytes | float | End | Loop | asyncio.Event
Script = tuple[Step, ...]
Play = Script | Callable[[bytes], Script]


def http(body: bytes = b"", status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    """A well-formed answer, unless `length` says something else than the truth."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    if not any(line.lower().startswith("content-type") for line in headers):
        lines.append("Content-Type: application/json")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class RawServer:
    """Plays scripts on a loopback port while its context is open.

    `requests` holds every request, head and body, in the order of arrival; `connections` counts those that were
    accepted, TLS handshake included, and `open` those that are still there. `greeting` is played at once to each
    new connection, before any request. `idle` is sent on a connection that has just answered, unasked.
    """

    def __init__(
        self, *scripts: Play, tls: ssl.SSLContext | None = None, greeting: Script = (), idle: Script = ()
    ) -> None:
        self.scripts, self.greeting, self.idle, self.tls = scripts, greeting, idle, tls
        self.requests: list[bytes] = []
        self.connections = 0
        self.open: set[asyncio.StreamWriter] = set()
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{'localhost' if self.tls else '127.0.0.1'}:{self.port}"

    def keys(self) -> list[str]:
        """The Authorization header's last word, for each request."""
        return [
            line.split()[-1].decode()
            for r in self.requests
            for line in r.split(b"\r\n")
            if line.startswith(b"Authorization")
        ]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", ssl=self.tls, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in self.open:
            writer.transport.abort()  # else what is left to be sent would outlive the event loop
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            alive = await self._play(self.greeting, reader, writer)
            while alive and (request := await read_request(reader)):
                self.requests.append(request)
                script = self.scripts[min(len(self.requests), len(self.scripts)) - 1]
                script = script(request) if callable(script) else script
                alive = await self._play(script, reader, writer) and await self._play(self.idle, reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client has gone, which is what many of the tests are about
        finally:
            self.open.discard(writer)
            writer.transport.abort() if self.tls else writer.close()

    async def _play(self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Plays the steps; says whether the connection is still in use."""
        for step in script:
            match step:
                case bytes():
                    writer.write(step)
                    await writer.drain()
                case float() | int():
                    await asyncio.sleep(step)
                case asyncio.Event():
                    await step.wait()
                case Loop(steps):
                    while not writer.is_closing():
                        await self._play(steps, reader, writer)
                case End.SILENCE:
                    await reader.read()  # returns when the client hangs up
                    return False
                case End.RST:
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    writer.transport.abort()
                    return False
                case End.FIN:
                    return False
        return True


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """One request with its body, or nothing where the client has closed the connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        (line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b"0"
    )
    return head + await reader.readexactly(int(length))


@asynccontextmanager
async def deaf_port() -> AsyncIterator[int]:
    """A port whose queue is full, so that a connection to it never stands: the SYN gets no answer (on Linux)."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        await asyncio.sleep(0.01)
        yield listener.getsockname()[1]
        for each in waiting:
            each.close()


def free_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
