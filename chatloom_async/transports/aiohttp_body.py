"""Reads the body of an answer from aiohttp: decompressed, whole and not too long; or says why there is none."""

import asyncio
import zlib
from collections.abc import Iterable

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDictProxy, istr

from ..wire.message import Headers, Response
from ..wire.transport_errors import PayloadError, ProtocolError, ResponseTooLargeError, TransportError
from .inflate import ENCODINGS, MEMBERS, PIECE, Inflater, TooManyStreamsError

CONTENT_ENCODING, CONTENT_LENGTH = istr("Content-Encoding"), istr("Content-Length")
UNCHANGED = frozenset({"", "identity"})


def answer(
    status: int, raw_headers: Iterable[tuple[bytes, bytes]], body: bytes | TransportError
) -> Response | TransportError:
    """The response. One that tells of a failure counts by its status, even where its text could not be read."""
    if isinstance(body, TransportError):
        if status < 400:
            return body
        body = b""
    return Response(status, Headers(raw_headers), body)


async def read_body(content: aiohttp.StreamReader, headers: CIMultiDictProxy[str], most: int) -> bytes | TransportError:
    """The body, of `most` bytes at most, both on the wire and decompressed.

    It is not read where its length is announced and too large, nor where it is compressed in a way nobody asked for.
    Between two pieces of a large body other tasks get their turn.
    """
    if content.at_eof():
        return b""  # HEAD, 204 and 304: Content-Length and Content-Encoding tell of a body that is elsewhere
    length = headers.get(CONTENT_LENGTH)
    expected = int(length) if length else None  # aiohttp's parser has seen to it that it is a number
    encoding = headers.get(CONTENT_ENCODING, "").strip().lower()
    if encoding not in UNCHANGED and encoding not in ENCODINGS:
        text = "The body is compressed in a way that was not asked for"
        return PayloadError(text, reason="unasked", expected=expected)
    if (expected or 0) > most:
        return ResponseTooLargeError(f"The body is longer than {most} bytes")
    inflater = Inflater(encoding) if encoding in ENCODINGS else None
    if inflater is None and content.is_eof() and content.exception() is None:
        body = content.read_nowait()  # small answers come in one piece with their head
        return body if len(body) <= most else ResponseTooLargeError(f"The body is longer than {most} bytes")
    pieces: list[bytes] = []
    received = size = 0
    try:
        async for data in content.iter_any():
            received += len(data)
            for piece in inflater.feed(data) if inflater else (data,):
                pieces.append(piece)
                size += len(piece)
                if max(size, received) > most:
                    return ResponseTooLargeError(f"The body is longer than {most} bytes")
                if len(piece) == PIECE:
                    await asyncio.sleep(0)
    except aiohttp.ClientPayloadError:
        return PayloadError("The body broke off", reason="cut", received=received, expected=expected)
    except HttpProcessingError as problem:
        return ProtocolError("The body is not valid HTTP", reason=type(problem).__name__)
    except TooManyStreamsError:
        return ResponseTooLargeError(f"The body is made of more than {MEMBERS} compressed streams")
    except zlib.error as problem:
        reason = "checksum" if "data check" in str(problem) else "encoding"
        return PayloadError("The body could not be decompressed", reason=reason, received=received, expected=expected)
    if inflater and not inflater.complete:
        return PayloadError(
            "The body broke off in its compressed data", reason="cut", received=received, expected=expected
        )
    return b"".join(pieces)
