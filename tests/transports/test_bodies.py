"""Bodies that are large, compressed, or meant to harm."""

import asyncio
import gzip
import random
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from attrs import define

from chatloom_async import PayloadError, Response, ResponseTooLargeError
from chatloom_async.transports.body import MAX_BODY
from tests.raw_server import SILENCE, Loop, RawServer, http
from tests.signed import signed
from tests.transports.gone import gone
from tests.transports.kinds import Make

MEGABYTE = 2**20
TOO_LARGE = ResponseTooLargeError(f"The body is longer than {MAX_BODY} bytes")
NOISE = random.Random(7).randbytes(MEGABYTE)


def bomb(gigabytes: int) -> bytes:
    """Zeros as bare deflate, a thousandth of their size: one block, again and again."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    packer.compress(bytes(MEGABYTE))
    packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(MEGABYTE)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * (1024 * gigabytes)


def packed(text: bytes) -> bytes:
    """As gzip, quickly."""
    return gzip.compress(text, 1)


WHOLE = {
    "plain": (b"{}" * 9, ()),
    "identity": (b"{}" * 9, ("Content-Encoding: identity",)),
    "gzip": (packed(b"{}" * 9), ("Content-Encoding: gzip",)),
    "GZIP": (packed(b"{}" * 9), ("Content-Encoding: GZIP ",)),
    "deflate": (zlib.compress(b"{}" * 9), ("Content-Encoding: deflate",)),
}


@pytest.mark.parametrize(("body", "headers"), WHOLE.values(), ids=WHOLE)
async def test_a_body_comes_back_as_it_was_before_compression(
    body: bytes, headers: tuple[str, ...], make: Make
) -> None:
    """Whatever of the accepted encodings the server chose, and over one connection."""
    async with RawServer((http(body, "200 OK", *headers),)) as server:
        transport = make()
        answers = [await transport.send(signed(server.url)) for _ in range(2)]
        await transport.aclose()
    assert [each.body if isinstance(each, Response) else each for each in answers] == [b"{}" * 9] * 2
    assert server.connections == 1


@pytest.mark.parametrize(("most", "fits"), [(18, True), (17, False)])
@pytest.mark.parametrize(("body", "headers"), WHOLE.values(), ids=WHOLE)
async def test_the_limit_counts_what_comes_out(
    body: bytes, headers: tuple[str, ...], most: int, fits: bool, make: Make
) -> None:
    """Of `max_body` bytes a body is fine, one byte more is too much. Compressed it may be larger than its text."""
    async with RawServer((http(body, "200 OK", *headers),)) as server:
        transport = make(max_body=max(most, len(body)) if fits else most)
        answer = await transport.send(signed(server.url))
        await transport.aclose()
    assert isinstance(answer, Response if fits else ResponseTooLargeError)


async def test_a_length_above_the_limit_is_refused_before_anything_is_read(make: Make) -> None:
    """The server has sent only the head, so nobody can have waited for the body."""
    async with RawServer((http(length=MAX_BODY + 1), SILENCE)) as server:
        transport = make()
        async with asyncio.timeout(0.5):
            assert await transport.send(signed(server.url)) == TOO_LARGE
        await asyncio.sleep(0.02)
        assert len(server.open) == 0
        await transport.aclose()


@define
class Watch:
    """`stall` is the longest time, in CPU seconds of this thread, for which no other task got its turn."""

    stall: float = 0.0
    memory: int = 0

    async def tick(self) -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.stall, last = max(self.stall, now - last), now


@asynccontextmanager
async def watched() -> AsyncIterator[Watch]:
    """Watches the event loop and the memory of what happens inside."""
    watch = Watch()
    ticking = asyncio.create_task(watch.tick())
    tracemalloc.start(1)
    try:
        yield watch
    finally:
        watch.memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        ticking.cancel()


HARMFUL = {
    "a gigabyte of zeros": (bomb(1), "deflate", TOO_LARGE),
    "8 MB and a byte": (gzip.compress(bytes(MAX_BODY + 1)), "gzip", TOO_LARGE),
    "streams of nothing": (
        packed(b"") * 400_000,
        "gzip",
        ResponseTooLargeError("The body is made of more than 128 compressed streams"),
    ),
    "incompressible": (packed(NOISE * 9), "gzip", TOO_LARGE),
    "brotli, though not asked for": (
        bytes(809),
        "br",
        PayloadError("The body is compressed in a way that was not asked for", reason="unasked", expected=809),
    ),
}


@pytest.mark.parametrize(("body", "encoding", "expected"), HARMFUL.values(), ids=HARMFUL)
async def test_a_harmful_body_costs_little(body: bytes, encoding: str, expected: object, make: Make) -> None:
    """Less than 20 MB, and no turn of 100 ms. Its connection is closed, unless nothing was left on it."""
    length = f"Content-Length: {len(body)}"
    head = http(b"", "200 OK", f"Content-Encoding: {encoding}").replace(b"Content-Length: 0", length.encode())
    if len(body) > MAX_BODY:
        head = head.replace(length.encode(), b"Connection: close")
    pieces = [body[start : start + 2**16] for start in range(0, len(body), 2**16)]
    async with RawServer((head, *pieces, SILENCE)) as server:
        transport = make()
        async with watched() as watch:
            answer = await transport.send(signed(server.url))
        await asyncio.sleep(0.02)
        assert len(server.open) <= (len(pieces) == 1)
        await transport.aclose()
        assert await gone(server)
    assert answer == expected
    assert (watch.stall < 0.1, watch.memory < 20 * MEGABYTE) == (True, True), watch


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_a_large_body_that_is_allowed_stalls_nobody(encoding: str, make: Make) -> None:
    """8 MB, decompressed in pieces, with turns for others between them."""
    text = NOISE * 8
    body = packed(text) if encoding == "gzip" else text
    async with RawServer((http(body, "200 OK", f"Content-Encoding: {encoding}"),)) as server:
        transport = make(max_body=9 * MEGABYTE)
        async with watched() as watch:
            answer = await transport.send(signed(server.url))
        await transport.aclose()
    assert isinstance(answer, Response)
    assert (answer.body == text, watch.stall < 0.1) == (True, True), watch


async def test_a_server_that_never_stops_is_stopped(make: Make) -> None:
    """Chunks without end are read up to the limit."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with RawServer((head, Loop((b"10000\r\n" + bytes(2**16) + b"\r\n",)))) as server:
        transport = make()
        assert await transport.send(signed(server.url)) == TOO_LARGE
        await transport.aclose()
        assert await gone(server)
