"""A static HTTP/1.1 server in as few steps as possible: `python -m ... FOLDER PORT [SECONDS]`.

For machines without nginx, and for answers that take some seconds. It knows what the benchmark's clients send and no
more: keep-alive, no chunked requests, no ranges, no pipelining.
"""

import asyncio
import re
import sys
from pathlib import Path

from .answers import SEVEN

HEAD = "HTTP/1.1 {status}\r\nServer: bare\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"


def response(status: str, body: bytes) -> bytes:
    """A whole HTTP response."""
    return HEAD.format(status=status, length=len(body)).encode() + body


OWN, NUMBER = f"{SEVEN}/".encode(), re.compile(rb"(?i)\r\nauthorization: bearer [^\r]*w([0-9]+)(?:\r|$)")
NOT_FOUND = response("404 Not Found", b'{"error":"Not found"}')


def _path(head: bytes) -> bytes:
    """The path of a request, or where the answer for its key is."""
    path = head.split(b" ", 2)[1]
    if path.startswith(OWN) and path.endswith(b"/allowed-domains") and (number := NUMBER.search(head)):
        return OWN + b"domains/" + number[1]
    return path


class StaticAnswers(asyncio.Protocol):
    """One connection. `answers` has a whole response for each path, which is sent after `latency` seconds."""

    def __init__(self, answers: dict[bytes, bytes], latency: float) -> None:
        self._answers, self._latency, self._received = answers, latency, bytearray()
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head, length = bytes(self._received[:end]), end + 4
            if (found := head.lower().find(b"content-length:")) >= 0:
                length += int(head[found + 15 :].split(b"\r\n", 1)[0])
            if len(self._received) < length:
                return
            del self._received[:length]
            answer = self._answers.get(_path(head), NOT_FOUND)
            if self._latency:
                asyncio.get_running_loop().call_later(self._latency, self._transport.write, answer)
            else:
                self._transport.write(answer)


def responses(folder: Path) -> dict[bytes, bytes]:
    """The response to each path that has a file."""
    files = {f"/{file.relative_to(folder).with_suffix('').as_posix()}": file for file in folder.rglob("*.json")}
    return {path.encode(): response("200 OK", file.read_bytes()) for path, file in files.items()}


async def serve(answers: dict[bytes, bytes], port: int, latency: float) -> None:
    """Serves until it is cancelled."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: StaticAnswers(answers, latency), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(responses(Path(sys.argv[1])), int(sys.argv[2]), float((sys.argv[3:] or ["0"])[0])))
