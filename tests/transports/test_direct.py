"""What is written past aiohttp's session, and what is not."""

import asyncio
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from chatloom_async import (
    AiohttpTransport,
    AsyncChatloom,
    ConnectionLostError,
    ProtocolError,
    Request,
    Response,
    Timeouts,
)
from chatloom_async.transports.aiohttp import connection, exchange
from chatloom_async.transports.aiohttp import transport as transport_module
from chatloom_async.transports.aiohttp.connection import MAX_INTERIM
from chatloom_async.transports.aiohttp.exchange import DirectExchange
from chatloom_async.transports.aiohttp.session import INTERIM_ANSWER, open_session
from chatloom_async.transports.aiohttp.transport import _limits
from chatloom_async.transports.network import ConnectionBound
from chatloom_async.wire.version import USER_AGENT
from tests.raw_server import SILENCE, RawServer, Script, http
from tests.samples import KEY
from tests.signed import signed
from tests.transports.conftest import only_by_session

EMPTY = http(b'{"agents": [], "count": 0}')
NAMED = {"Accept": "*/*", "User-Agent": USER_AGENT}


@pytest.fixture
def through_session(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the requests that go through aiohttp's session, seen without changing which way they go."""
    paths: list[str] = []
    request: Any = aiohttp.ClientSession.request

    def seen(self: aiohttp.ClientSession, method: str, url: Any, **options: Any) -> Any:
        paths.append(f"{method} {url.raw_path}")
        return request(self, method, url, **options)

    monkeypatch.setattr(aiohttp.ClientSession, "request", seen)
    return paths


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/", "/api/plugin/agents/agt_1/allowed-domains", "/a%20b/../c?x=%22&y=~!$;'"])
async def test_both_ways_write_the_same_bytes(method: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Request line and headers, in their order."""
    async with RawServer((http(b"", "204 No Content"),)) as server:
        for way in ("direct", "session"):
            if way == "session":
                only_by_session(monkeypatch)
            transport = AiohttpTransport()
            request = Request(method, server.url + path, signed(server.url).headers)
            assert await transport.send(request) == Response(
                204, {"content-length": "0", "content-type": "application/json"}
            )
            await transport.aclose()
    first, second = server.requests
    assert first == second
    assert first.startswith(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n".encode())


def plain(url: str, path: str = "/x", **changes: Any) -> Request:
    """A request that could not be plainer, but for the changes."""
    return Request(**{"method": "GET", "url": url + path, "headers": NAMED, **changes})


NOT_PLAIN: dict[str, Callable[[str], Request]] = {
    "a body": lambda url: plain(url, body=b"{}"),
    "another method": lambda url: plain(url, method="DELETE"),
    "headers that aiohttp adds": lambda url: plain(url, headers={"User-Agent": USER_AGENT}),
    "a header that is aiohttp's business": lambda url: plain(url, headers={**NAMED, "Host": "elsewhere.example"}),
    "a header beyond ASCII": lambda url: plain(url, headers={**NAMED, "X-Name": "Zoë"}),
    "a blank in the URL": lambda url: plain(url, "/x?a b"),
    "a user in the URL": lambda url: plain(url.replace("//", "//me:too@")),
    "a fragment": lambda url: plain(url, "/x#there"),
}


@pytest.mark.parametrize("made", NOT_PLAIN.values(), ids=list(NOT_PLAIN))
async def test_what_is_not_plain_goes_through_the_session(
    made: Callable[[str], Request], through_session: list[str]
) -> None:
    """It is answered all the same, and one that is plain passes the session by."""
    async with RawServer((EMPTY,)) as server:
        transport = AiohttpTransport()
        answers = [await transport.send(each) for each in (made(server.url), plain(server.url))]
        await transport.aclose()
    assert [type(answer) for answer in answers] == [Response, Response]
    assert through_session == [f"{made('http://127.0.0.1').method} /x"]
    assert len(server.requests) == 2


@pytest.mark.parametrize("value", ["a\r\nX-More: b", "a\nb", "a\0b", "a\x7fb"])
async def test_a_header_cannot_end_early(value: str) -> None:
    """aiohttp refuses it; nothing is sent."""
    async with RawServer((EMPTY,)) as server:
        transport = AiohttpTransport()
        with pytest.raises(ValueError, match="header"):
            await transport.send(plain(server.url, headers={**NAMED, "X-Name": value}))
        await transport.aclose()
    assert server.requests == []


async def test_a_session_that_is_watched_sees_every_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """As OpenTelemetry's instrumentor and others do it, by trace configurations."""
    trace, seen = aiohttp.TraceConfig(), []

    async def note(_: object, __: object, params: aiohttp.TraceRequestStartParams) -> None:
        seen.append(params.url.raw_path)

    async def traced(*args: Any, **options: Any) -> aiohttp.ClientSession:
        session = await open_session(*args, **options)
        trace.freeze()
        session.trace_configs.append(trace)
        return session

    trace.on_request_start.append(note)
    async with RawServer((EMPTY,)) as server:
        monkeypatch.setattr(transport_module, "open_session", traced)
        transport = AiohttpTransport()
        await transport.send(plain(server.url))
        await transport.aclose()
    assert seen == ["/x"]


async def test_a_session_that_is_patched_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """As aioresponses and some monitors do it."""
    seen, request = [], aiohttp.ClientSession._request

    async def patched(self: aiohttp.ClientSession, method: str, url: Any, **options: Any) -> Any:
        seen.append(method)
        return await request(self, method, url, **options)

    async with RawServer((EMPTY,)) as server, AsyncChatloom(KEY, base_url=server.url) as client:
        await client.list_agents()
        with monkeypatch.context() as patch:
            patch.setattr(aiohttp.ClientSession, "_request", patched)
            await client.list_agents()
        await client.list_agents()
    assert (seen, len(server.requests)) == (["GET"], 3)


def test_a_session_that_was_patched_before_is_used_too() -> None:
    """Also by a wrapper that passes for the original, as those of functools do."""
    code = """if True:
        import asyncio, functools, aiohttp
        original, seen = aiohttp.ClientSession._request, []
        @functools.wraps(original)
        async def _request(self, *args, **options):
            seen.append(args[0])
            return await original(self, *args, **options)
        aiohttp.ClientSession._request = _request
        from chatloom_async import AsyncChatloom, Sandbox
        async def main():
            sandbox = Sandbox(seed=7)
            key = sandbox.add_workspace("acme", agents=1).key
            async with sandbox.serve() as url, AsyncChatloom(key, base_url=url) as client:
                await client.list_agents()
        asyncio.run(main())
        print(seen)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['GET']\n"


@pytest.mark.parametrize("way", ["direct", "session"])
async def test_an_interim_answer_does_not_lift_the_limit_of_silence(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer itself is still to come."""
    if way == "session":
        only_by_session(monkeypatch)
    async with RawServer((b"HTTP/1.1 103 Early Hints\r\n\r\n", SILENCE)) as server:
        transport = AiohttpTransport()
        late = await transport.send(plain(server.url, timeouts=Timeouts(read=0.1, attempt=None)))
        await transport.aclose()
    assert (type(late).__name__, getattr(late, "reason", None)) == ("AttemptTimeoutError", "read")


@pytest.mark.parametrize("way", ["direct", "session"])
async def test_a_flood_of_interim_answers_ends_the_exchange(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if it comes in pieces. As many as any server could mean are skipped, for each request anew."""
    if way == "session":
        only_by_session(monkeypatch)
    many, flood = INTERIM_ANSWER * MAX_INTERIM, INTERIM_ANSWER * 2000
    scripts: list[Script] = [(many + EMPTY,), (many, EMPTY), (many, INTERIM_ANSWER + EMPTY), (flood + EMPTY,), (EMPTY,)]
    async with RawServer(*scripts) as server:
        transport = AiohttpTransport()
        answers = [await transport.send(plain(server.url)) for _ in range(5)]
        await transport.aclose()
    flooded = ProtocolError(f"{server.url} sent more than 100 interim answers (1xx)", reason="invalid")
    assert ["flood" if answer == flooded else getattr(answer, "status", answer) for answer in answers] == [
        200,
        200,
        "flood",
        "flood",
        200,
    ]
    assert server.connections == 3


def test_a_limit_of_more_than_five_seconds_is_not_rounded_up() -> None:
    """As aiohttp does, unless told not to."""
    assert _limits(Timeouts(connect=5.2, read=7.3)) == aiohttp.ClientTimeout(
        total=None, connect=5.2, sock_read=7.3, ceil_threshold=math.inf
    )


async def test_a_connection_that_is_lost_at_once_is_not_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts as lost before any byte of an answer."""
    async with RawServer((EMPTY,)) as server:
        transport = AiohttpTransport()
        await transport.send(plain(server.url))
        monkeypatch.setattr(connection.WatchedConnection, "is_connected", lambda self: False)
        lost = await transport.send(plain(server.url))
        await transport.aclose()
    assert isinstance(lost, ConnectionLostError)
    assert (lost.received, len(server.requests)) == (False, 1)


async def test_a_body_that_is_read_late_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Meanwhile the connection stops reading; more than its buffer holds stays with the server."""
    read: Any = exchange.read_body
    paused = list[bool]()

    async def late(content: Any, *args: Any) -> Any:
        async with asyncio.timeout(30):
            while not content._protocol._reading_paused:  # noqa: ASYNC110 - nothing tells it
                await asyncio.sleep(0)
        paused.append(True)
        return await read(content, *args)

    body = bytes(4 * 2**20)
    async with RawServer((http(body),)) as server:
        transport = AiohttpTransport()
        answers = [await transport.send(plain(server.url))]
        monkeypatch.setattr(exchange, "read_body", late)  # the rehearsal is over
        answers.append(await transport.send(plain(server.url)))
        await transport.aclose()
    assert [getattr(each, "body", None) == body for each in answers] == [True, True]
    assert (paused, server.connections) == ([True], 1)


async def test_origins_are_forgotten_before_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgetting one costs a little time, and no connection."""
    monkeypatch.setattr(exchange, "MAX_ORIGINS", 2)
    async with RawServer((EMPTY,)) as server, RawServer((EMPTY,)) as other, RawServer((EMPTY,)) as third:
        transport = AiohttpTransport()
        for url in (server.url, other.url, third.url) * 2:
            assert isinstance(await transport.send(plain(url)), Response)
        await transport.aclose()
    assert [each.connections for each in (server, other, third)] == [1, 1, 1]


async def test_an_origin_knows_no_key() -> None:
    """What is kept to connect with is no request of a key's."""
    async with await open_session(ConnectionBound(1), shared=False) as session:
        origin = DirectExchange(session, ssl=True, max_body=1, works=True)._origin("http://127.0.0.1:1")
        assert sorted(origin.headers) == ["Accept", "Accept-Encoding", "Host", "User-Agent"]


SLOW: Script = (http(b"{}", length=3), 0.15, b"x")


@pytest.mark.parametrize(
    ("limits", "outcomes"),
    [
        ((5.0, 0.05), ["Response", "AttemptTimeoutError"]),
        ((0.05, 5.0), ["AttemptTimeoutError", "Response"]),
        ((None, 0.05), ["Response", "AttemptTimeoutError"]),
    ],
)
async def test_each_request_has_its_own_limit_of_silence(limits: tuple[float, float], outcomes: list[str]) -> None:
    """Whatever the limit was of the one before it on the same connection."""
    async with RawServer((EMPTY,), SLOW, (EMPTY,), SLOW) as server:
        transport = AiohttpTransport()
        seen = []
        for limit in limits:
            quick = plain(server.url, timeouts=Timeouts(read=30.0))
            assert isinstance(await transport.send(quick), Response)
            seen.append(type(await transport.send(plain(server.url, timeouts=Timeouts(read=limit)))).__name__)
        await transport.aclose()
        await asyncio.sleep(0)
    assert seen == outcomes


async def test_the_limit_of_silence_ends_with_the_answer() -> None:
    """Its timer rings in the middle of the next answer, and on the idle connection; neither ends anything."""
    async with RawServer((EMPTY,), (0.2, EMPTY), (EMPTY,)) as server:
        transport = AiohttpTransport()
        brief, answers = plain(server.url, timeouts=Timeouts(read=0.3)), []
        for pause in (0.2, 0.2, 0.0):
            answers.append(await transport.send(brief))
            await asyncio.sleep(pause)
        await transport.aclose()
    assert ([type(answer) for answer in answers], server.connections) == ([Response] * 3, 1)


async def test_many_quick_answers_cost_one_timer() -> None:
    """The limit of silence is a moment that moves, not a timer for each piece of an answer."""
    loop: Any = asyncio.get_running_loop()
    async with RawServer((EMPTY,)) as server:
        transport = AiohttpTransport()
        await transport.send(plain(server.url))
        before = len(loop._scheduled)
        for _ in range(50):
            await transport.send(plain(server.url))
        after = len(loop._scheduled)
        await transport.aclose()
    assert (before, after) == (before, before)
