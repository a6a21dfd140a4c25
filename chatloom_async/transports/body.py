"""Reads and decompresses the body of a response, and checks that it is complete and not too long."""

import asyncio
import zlib
from collections.abc import AsyncIterable, Iterator
from typing import Any

from ..wire.errors import PayloadError, ResponseTooLargeError, TransportError
from ..wire.message import Headers, Response

MAX_BODY = 8 * 2**20
UNCHANGED = frozenset({"", "identity"})


def received(status: int, headers: Any, body: bytes | TransportError) -> Response | TransportError:
    """The response. An error status counts even if the body could not be read."""
    if isinstance(body, TransportError):
        if status < 400:
            return body
        body = b""
    return Response(status, Headers(headers), body)


class Body:
    """The body of one answer, of `most` bytes at most, both on the wire and decompressed.

    `encoding` is the value of Content-Encoding, all of its lines joined, and `expected` the value of Content-Length.
    """

    __slots__ = ("_encoding", "_inflater", "_most", "_pieces", "_size", "expected", "received")
    expected: int | None
    received: int

    def __init__(self, encoding: str | None, expected: str | None, most: int) -> None:
        self._encoding = encoding.strip().lower() if encoding else ""
        self._inflater = Inflater(self._encoding) if self._encoding in ENCODINGS else None
        self._most, self._pieces, self._size = most, list[bytes](), 0
        self.expected = int(expected) if expected and expected.isdecimal() else None
        self.received = 0

    async def read(self, pieces: AsyncIterable[bytes]) -> bytes | TransportError:
        """The body made of these pieces. They are not read if the body is refused by its headers."""
        if problem := self.refused():
            return problem
        async for data in pieces:
            if problem := await self.add(data):
                return problem
        return self.whole()

    def refused(self) -> TransportError | None:
        """Why the body is not read: its announced length is too large, or its encoding was not requested."""
        if not self._inflater and self._encoding not in UNCHANGED and self.expected != 0:
            text = "The body is compressed in a way that was not asked for"
            return PayloadError(text, reason="unasked", expected=self.expected)
        return self._too_long() if (self.expected or 0) > self._most else None

    async def add(self, data: bytes) -> TransportError | None:
        """Adds the next bytes from the wire, or returns why they are refused. Lets other tasks run in between."""
        if self.received:  # most bodies are one piece
            await asyncio.sleep(0)
        self.received += len(data)
        if self._inflater is None:
            self._pieces.append(data)
            return self._too_long() if self.received > self._most else None
        try:
            for piece in self._inflater.feed(data):
                self._pieces.append(piece)
                self._size += len(piece)
                if max(self._size, self.received) > self._most:
                    return self._too_long()
                if len(piece) == PIECE:
                    await asyncio.sleep(0)
        except TooManyStreamsError:
            return ResponseTooLargeError(f"The body is made of more than {MEMBERS} compressed streams")
        except zlib.error as problem:
            reason = "checksum" if "data check" in str(problem) else "encoding"
            return self.broken("could not be decompressed", reason)
        return None

    def whole(self) -> bytes | TransportError:
        """The body, or the error if its end is missing."""
        if self._inflater and not self._inflater.complete:
            return self.broken("broke off in its compressed data")
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def broken(self, how: str = "broke off", reason: str = "cut") -> PayloadError:
        """The error for a body that ended too early, or is damaged."""
        return PayloadError(f"The body {how}", reason=reason, received=self.received, expected=self.expected)

    def _too_long(self) -> ResponseTooLargeError:
        return ResponseTooLargeError(f"The body is longer than {self._most} bytes")


ENCODINGS = frozenset({"gzip", "deflate"})
ACCEPTED = "gzip, deflate"
PIECE = 2**18  # bytes decompressed at once: blocks the event loop for about a millisecond
MEMBERS = 128  # gzip may contain several streams; each costs a copy of the rest


class TooManyStreamsError(Exception):
    """A body with too many compressed streams."""


class Inflater:
    """Decompresses a gzip or deflate body incrementally.

    "deflate" is RFC 1950, as the standard says, or bare RFC 1951, as some servers send it.
    """

    def __init__(self, encoding: str) -> None:
        self._window = 16 + zlib.MAX_WBITS if encoding == "gzip" else 0
        self._members = 0
        self._stream = zlib.decompressobj()
        self._ended = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The decompressed data, in pieces of at most PIECE bytes.

        Raises zlib.error for invalid data, TooManyStreamsError for too many streams.
        """
        piece = b""
        while data or len(piece) == PIECE:
            if self._ended:
                if not data:
                    break
                self._begin(data[0])
            piece = self._stream.decompress(data, PIECE)
            self._ended = self._stream.eof
            data = self._stream.unused_data if self._ended else self._stream.unconsumed_tail
            yield piece

    @property
    def complete(self) -> bool:
        """Whether the data may end here. A body that ends within a stream is not complete."""
        return self._ended

    def _begin(self, first: int) -> None:
        self._members += 1
        if self._members > MEMBERS:
            raise TooManyStreamsError
        bare = first & 15 != 8  # an RFC 1950 stream names its method, 8, in the low half of its first byte
        self._stream = zlib.decompressobj(self._window or (-zlib.MAX_WBITS if bare else zlib.MAX_WBITS))
