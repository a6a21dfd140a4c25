"""What every transport over real sockets promises, as one table; the longer files go deeper, by `nox -s transports`."""

import asyncio
import gzip
import sys
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

from chatloom_async import (
    AttemptTimeoutError,
    ClientClosedError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    PayloadError,
    ProtocolError,
    Response,
    ResponseTooLargeError,
    Timeouts,
    TLSError,
    TransportError,
)
from tests.faults.scenes import serving, trusting
from tests.raw_server import FIN, RST, SILENCE, Loop, RawServer, Script, deaf_port, free_port, http
from tests.samples import KEY, OTHER_KEY
from tests.secrets import found
from tests.signed import signed
from tests.transports.gone import arrived, gone
from tests.transports.kinds import KINDS, Make, installed, transport_class

JSON = {"Content-Type": "application/json"}
TEXT = b'{"agents": [], "count": 0}'
PACKED = gzip.compress(TEXT, mtime=0)
GZIP = "Content-Encoding: gzip"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SHORT = Timeouts(connect=0.2, read=0.2, attempt=9.0)
Expected = Callable[[str], Response | TransportError]


def answers(status: int = 200, body: bytes = TEXT, **headers: str) -> Expected:
    """This response, whose Content-Length is that of `length`, or of the body."""
    length = headers.pop("length", str(len(body)))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Response(status, {**JSON, "Content-Length": length, **named}, body)


def cut(received: int, expected: int | None, how: str = "broke off", reason: str = "cut") -> Expected:
    """A body that is not whole."""
    return lambda _: PayloadError(f"The body {how}", reason=reason, received=received, expected=expected)


def lost(how: str, reason: str) -> Expected:
    """A connection that ended before an answer."""
    return lambda url: ConnectionLostError(f"The connection to {url} ended before an answer ({how})", reason=reason)


def says(kind: type[TransportError], text: str, reason: str = "") -> Expected:
    """An error with this text, in which {} is the server's URL."""
    return lambda url: kind(text.format(url), reason=reason)


MOST = 300_000
LONG = f"The body is longer than {MOST} bytes"
STALLED = says(AttemptTimeoutError, "{} stopped sending for too long", "read")
TABLE: dict[str, tuple[Script, Expected]] = {
    "an answer": ((http(TEXT),), answers()),
    "a header twice": ((http(TEXT, "200 OK", "A: b", "a: c"),), answers(A="b, c")),
    "an answer in pieces": ((http(TEXT[:9], length=len(TEXT)), 0.01, TEXT[9:]), answers()),
    "no body": ((b"HTTP/1.1 204 No Content\r\n\r\n",), lambda _: Response(204)),
    "an error": ((http(b"{}", "404 Not Found"),), answers(404, b"{}")),
    "an error that breaks off": ((http(b"{", "429 Slow", length=9), FIN), answers(429, b"", length="9")),
    "a redirect": (
        (http(b"", "302 Found", "Location: http://127.0.0.1:1/"),),
        answers(302, b"", Location="http://127.0.0.1:1/"),
    ),
    "gzip": ((http(PACKED, "200 OK", GZIP),), answers(length=str(len(PACKED)), Content_Encoding="gzip")),
    "gzip that breaks off, length right": (
        (http(PACKED[:-9], "200 OK", GZIP),),
        cut(len(PACKED) - 9, len(PACKED) - 9, "broke off in its compressed data"),
    ),
    "not gzip": ((http(TEXT, "200 OK", GZIP),), cut(26, 26, "could not be decompressed", "encoding")),
    "gzip, altered": (
        (http(PACKED[:-8] + bytes(8), "200 OK", GZIP),),
        cut(len(PACKED), len(PACKED), "could not be decompressed", "checksum"),
    ),
    "two encodings, on two lines": (
        (http(TEXT, "200 OK", "Content-Encoding: identity", GZIP),),
        cut(0, 26, "is compressed in a way that was not asked for", "unasked"),
    ),
    "brotli, unasked": (
        (http(TEXT, "200 OK", "Content-Encoding: br"),),
        cut(0, 26, "is compressed in a way that was not asked for", "unasked"),
    ),
    "long, as announced": ((http(length=MOST + 1), SILENCE), says(ResponseTooLargeError, LONG)),
    "long without end": ((CHUNKED, Loop((b"10000\r\n" + bytes(2**16) + b"\r\n",))), says(ResponseTooLargeError, LONG)),
    "small, and long inside": (
        (http(gzip.compress(bytes(2**20)), "200 OK", GZIP),),
        says(ResponseTooLargeError, LONG),
    ),
    "more streams than anybody needs": (
        (http(gzip.compress(b"") * 129, "200 OK", GZIP),),
        says(ResponseTooLargeError, "The body is made of more than 128 compressed streams"),
    ),
    "FIN in the body": ((http(TEXT[:9], length=26), FIN), cut(9, 26)),
    "RST in the body": ((http(TEXT[:9], length=26), 0.02, RST), cut(9, 26)),
    "FIN between chunks": ((CHUNKED + b"2\r\n{}\r\n", FIN), cut(2, None)),
    "a chunk of no size": (
        (CHUNKED + b"2\r\n{}\r\n", 0.02, b"zz\r\n"),
        says(ProtocolError, "The body is not valid HTTP", "invalid"),
    ),
    "FIN": ((FIN,), lost("closed", "closed")),
    "RST": ((RST,), lost("ECONNRESET", "reset")),
    "garbage": ((b"HTTP/1.1 abc OK\r\n\r\n",), says(ProtocolError, "The answer of {} is not valid HTTP", "invalid")),
    "silence": ((SILENCE,), STALLED),
    "silence in the body": ((http(b"[", length=9), SILENCE), STALLED),
}


@pytest.mark.parametrize(("script", "expected"), TABLE.values(), ids=TABLE)
async def test_every_transport_makes_the_same_of_an_answer(make: Make, script: Script, expected: Expected) -> None:
    """A response, or an error as data: type, reason, text and counts; from one request, and without the key."""
    async with RawServer(script) as server:
        async with aclosing(make(max_body=MOST)) as transport:
            outcome = await transport.send(signed(server.url, timeouts=SHORT))
        assert _without_reason(outcome) == _without_reason(expected(server.url))
        assert await gone(server)
    assert len(server.requests) == 1
    if isinstance(outcome, TransportError):
        assert found(KEY, outcome) == []


def _without_reason(outcome: Response | TransportError) -> object:
    """aiohttp's ProtocolError for a body names a class of its own as the reason."""
    if isinstance(outcome, ProtocolError):
        return (type(outcome), outcome.message, outcome.sent)
    return outcome


async def test_a_refused_connection(make: Make) -> None:
    """Nothing was sent."""
    url = f"http://127.0.0.1:{free_port()}"
    async with aclosing(make()) as transport:
        outcome = await transport.send(signed(url))
    assert outcome == ConnectError(f"{url} refused the connection", reason="refused", sent=False)


async def test_a_connection_that_does_not_stand_in_time(make: Make) -> None:
    """Nothing was sent, and `connect` is what ran out."""
    async with deaf_port() as port, aclosing(make()) as transport:
        url = f"http://127.0.0.1:{port}"
        outcome = await transport.send(signed(url, timeouts=SHORT))
    assert outcome == AttemptTimeoutError(f"No connection to {url} in time", reason="connect", sent=False)


async def test_certificates_are_checked(make: Make) -> None:
    """That of a private authority is refused, and taken where `ssl` trusts it."""
    async with RawServer((http(TEXT),), tls=serving()) as server:
        async with aclosing(make()) as transport:
            refused = await transport.send(signed(server.url))
        async with aclosing(make(ssl=trusting())) as transport:
            taken = await transport.send(signed(server.url))
    assert isinstance(refused, TLSError)
    assert (refused.reason, refused.sent, taken) == ("certificate", False, answers()(server.url))


async def test_connections_are_kept_and_never_shared_between_keys(make: Make) -> None:
    """Six requests with two keys go over two connections; nothing on the wire tells how the keys are told apart."""
    async with RawServer((http(TEXT),)) as server, aclosing(make()) as transport:
        for key in (KEY, OTHER_KEY) * 3:
            await transport.send(signed(server.url, key))
        assert (server.keys(), server.connections) == ([KEY, OTHER_KEY] * 3, 2)
    lines = {line.partition(b":")[0].lower() for request in server.requests for line in request.split(b"\r\n")[1:]}
    assert lines - {b"user-agent"} == {b"host", b"accept", b"accept-encoding", b"authorization", b""}
    assert {request.split(b"\r\n")[0] for request in server.requests} == {b"GET /api/plugin/agents HTTP/1.1"}


async def test_a_body_is_sent_with_its_length(make: Make) -> None:
    """As it was given."""
    async with RawServer((http(TEXT),)) as server, aclosing(make()) as transport:
        await transport.send(signed(server.url, method="POST", body=b'{"a": 1}'))
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert (body, b"content-length: 8" in head.lower()) == (b'{"a": 1}', True)


async def test_a_cancelled_request_ends_at_once(make: Make) -> None:
    """By the exception that cancelled it; and its connection ends."""
    async with RawServer((SILENCE,)) as server, aclosing(make()) as transport:
        task = asyncio.create_task(transport.send(signed(server.url, timeouts=SHORT)))
        assert await arrived(server)
        task.cancel("enough")
        began = time.perf_counter()
        with pytest.raises(asyncio.CancelledError, match=r"^enough") as caught:
            await task
        assert time.perf_counter() - began < 0.1
        assert await gone(server)
    assert found(KEY, caught.value) == []


@pytest.mark.parametrize("script", [(SILENCE,), (http(b"[", length=9), SILENCE)], ids=["before", "in its body"])
async def test_closed_is_closed(make: Make, script: Script) -> None:
    """What is under way, and what comes later, raises ClientClosedError. Closing twice is fine."""
    async with RawServer(script) as server:
        transport = make()
        task = asyncio.create_task(transport.send(signed(server.url, timeouts=SHORT)))
        assert await arrived(server)
        await asyncio.sleep(0.02)
        await transport.aclose()
        await transport.aclose()
        for late in (task, transport.send(signed(server.url))):
            with pytest.raises(ClientClosedError):
                await late
        assert await gone(server)
    assert len(server.requests) == 1


async def test_a_forgotten_transport_says_so(make: Make) -> None:
    """By a ResourceWarning that names it."""
    async with RawServer((http(TEXT),)) as server:
        transport = make(name="the forgotten")
        await transport.send(signed(server.url))
        with pytest.warns(
            ResourceWarning, match=r"^the forgotten was not closed: use `async with`, or await its aclose"
        ):
            del transport  # which ends it at once
        assert await gone(server)


@pytest.mark.parametrize("proxy", ["socks5://user:hidden@proxy.example", "proxy.example:3128"])
def test_a_proxy_that_cannot_work_is_refused_at_once(make: Make, proxy: str) -> None:
    """Without showing the URL, which may hold a password."""
    with pytest.raises(ConfigurationError, match=r"^proxy must be the URL of an HTTP proxy") as caught:
        make(proxy=proxy)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("options", [{}, {"share_connections": True}, {"connection_reuse": False}])
async def test_how_connections_are_used_can_be_said(make: Make, options: dict[str, Any]) -> None:
    """One for each key, one for all, one for each request."""
    async with RawServer((http(TEXT),)) as server, aclosing(make(**options)) as transport:
        for key in (KEY, OTHER_KEY) * 2:
            await transport.send(signed(server.url, key))
    assert server.connections == {"": 2, "share_connections": 1, "connection_reuse": 4}["".join(options)]


def test_two_event_loops_in_turn(make: Make) -> None:
    """One transport works in both, and the connections of the first have ended with it."""

    async def program(transport: Any) -> int:
        async with RawServer((http(TEXT),)) as server:
            assert await transport.send(signed(server.url)) == answers()(server.url)
        return server.connections

    transport = make()
    assert [asyncio.run(program(transport)) for _ in range(2)] == [1, 1]
    asyncio.run(transport.aclose())


FORKED = """
import asyncio, os, sys
from chatloom_async import Request
from tests.transports.kinds import transport_class

async def ask():
    return await transport.send(Request("GET", sys.argv[2]))

transport = transport_class(sys.argv[1])(name="forked")
print(asyncio.run(ask()).status, flush=True)
if os.fork():
    os.wait()
else:
    print(asyncio.run(ask()).status, flush=True)
os._exit(0)
"""


async def test_a_forked_process_goes_on_with_connections_of_its_own(make: Make) -> None:
    """A transport that made a request before the fork works in the child too."""
    (kind,) = [kind for kind, name in KINDS.items() if name == make.__name__]
    async with RawServer((http(TEXT),)) as server:
        command = (sys.executable, "-W", "ignore", "-c", FORKED, kind, server.url)
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        said, _ = await process.communicate()
    assert said.decode().splitlines() == ["200", "200"]
    assert server.connections == len(server.requests) == 2


BOTH = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if installed(kind)])
async def test_an_answer_with_a_length_and_chunks_is_where_the_transports_differ(kind: str) -> None:
    """aiohttp refuses it, as a proxy in between might read it otherwise; httpx2 goes by the chunks."""
    async with RawServer((BOTH,)) as server, aclosing(transport_class(kind)()) as transport:
        outcome = await transport.send(signed(server.url))
    seen = outcome.body if isinstance(outcome, Response) else type(outcome)
    assert seen == (ProtocolError if kind == "aiohttp" else b"{}")
