"""Reads the body of an answer from aiohttp's stream, as body.py wants it."""

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDictProxy, istr

from ..wire.errors import ProtocolError, TransportError
from .body import Body

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
    if problem := body.refused():
        return problem
    try:
        async for data in content.iter_any():
            if problem := await body.add(data):
                return problem
    except aiohttp.ClientPayloadError:
        return body.broken()
    except HttpProcessingError as broken:
        return ProtocolError("The body is not valid HTTP", reason=type(broken).__name__)
    return body.whole()
