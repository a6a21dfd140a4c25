"""What is special about Httpx2Transport: HTTP/2, applications in this process, and what it cannot do."""

import asyncio
import logging
import ssl
from contextlib import aclosing
from typing import Any

import pytest

from chatloom_async import (
    AgentList,
    AsyncChatloom,
    ConfigurationError,
    NotFoundError,
    ProtocolError,
    Response,
    Sandbox,
    ServerError,
    Timeouts,
)
from tests.descriptors import back_to, open_descriptors
from tests.faults.scenes import trusting
from tests.raw_server import SILENCE, RawServer, http
from tests.samples import KEY, OTHER_KEY
from tests.signed import keys, signed

pytest.importorskip("httpx2")

from chatloom_async.transports import httpx2 as httpx2_transport
from chatloom_async.transports.httpx2 import Httpx2Transport
from tests.transports.gone import arrived, connected, gone
from tests.transports.h2_server import H2Server

NONE = AgentList((), 0)
TEXT = b'{"agents": [], "count": 0}'


async def test_http_2_sends_requests_side_by_side(caplog: pytest.LogCaptureFixture) -> None:
    """Twenty calls with two keys go over two connections, and no log shows a key, not even that of the compression."""
    caplog.set_level(logging.NOTSET)
    async with H2Server(TEXT) as server, aclosing(Httpx2Transport(ssl=trusting())) as transport:
        client = AsyncChatloom(KEY, base_url=server.url, transport=transport, rate_limit=None)
        clients = [client, client.with_key(OTHER_KEY)] * 10
        assert await asyncio.gather(*(each.list_agents() for each in clients)) == [NONE] * 20
    assert (server.connections, len(server.requests)) == (2, 20)
    assert {each["authorization"] for each in server.requests} == {f"Bearer {KEY}", f"Bearer {OTHER_KEY}"}
    assert "Encoded header block" not in caplog.text
    assert [KEY in caplog.text, OTHER_KEY in caplog.text, "httpcore2" in caplog.text] == [False, False, True]


@pytest.mark.parametrize("options", [{"http2": False}, {"connection_reuse": False}])
async def test_http_2_can_be_switched_off(options: dict[str, Any]) -> None:
    """It is not offered then, so this server, which speaks nothing else, is not understood."""
    async with H2Server(TEXT) as server, aclosing(Httpx2Transport(ssl=trusting(), **options)) as transport:
        assert not isinstance(await transport.send(signed(server.url)), Response)
    assert server.requests == []


def test_http_2_has_a_tls_context_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """httpx2 changes it, and what speaks HTTP/1.1 must not offer HTTP/2."""
    asked: list[bool] = []

    def default_tls(http2: bool) -> ssl.SSLContext:
        asked.append(http2)
        return trusting()

    monkeypatch.setattr(httpx2_transport, "default_tls", default_tls)
    for http2 in (True, False):
        httpx2_transport.network(None, None, http2=http2, reused=True)()
    assert asked == [True, False]


@pytest.mark.parametrize(("size", "taken"), [(90_000, True), (200_000, False)])
async def test_a_head_may_be_large(size: int, taken: bool) -> None:
    """Up to 100 kB; what is larger will be so again."""
    script = (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: " + b"b" * size + b"\r\n\r\n{}", SILENCE)
    async with RawServer(script) as server, aclosing(Httpx2Transport()) as transport:
        outcome = await transport.send(signed(server.url))
    text = f"The answer of {server.url} is not valid HTTP"
    assert isinstance(outcome, Response) if taken else outcome == ProtocolError(text, reason="head_too_large")


async def test_an_application_is_called_in_this_process() -> None:
    """No socket is opened; answers and errors are those of a server."""
    sandbox = Sandbox(seed=7)
    acme = sandbox.add_workspace("acme", agents=3)
    before = open_descriptors()
    async with aclosing(Httpx2Transport(app=sandbox.asgi())) as transport:
        client = AsyncChatloom(acme.key, base_url="http://localhost", transport=transport)
        assert len(await client.list_agents()) == 3
        with pytest.raises(NotFoundError):
            await client.get_allowed_domains("agt_other")
    assert open_descriptors() == before


async def test_an_application_that_raises_answers_500() -> None:
    """As behind a server: what it raised is not in the client's error."""

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("a mistake")

    async with aclosing(Httpx2Transport(app=broken)) as transport:
        client = AsyncChatloom(KEY, base_url="http://localhost", transport=transport, retry=None)
        with pytest.raises(ServerError) as caught:
            await client.list_agents()
    assert (caught.value.status, caught.value.__context__) == (500, None)


@pytest.mark.parametrize("options", [{"proxy": "http://127.0.0.1:1"}, {"ssl": trusting()}])
def test_an_application_has_no_connections(options: dict[str, Any]) -> None:
    """So what is said about them is a mistake."""
    with pytest.raises(ConfigurationError, match=r"^app is called in this process"):
        Httpx2Transport(app=Sandbox().asgi(), **options)


async def test_the_connections_that_were_idle_for_longest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle ones count; what is in flight is left alone, even if it is more than the bound."""
    monkeypatch.setattr(httpx2_transport, "MAX_CONNECTIONS", 8)
    async with RawServer(*[(SILENCE,)] * 2, (http(TEXT),)) as server, aclosing(Httpx2Transport()) as transport:
        slow = [asyncio.create_task(transport.send(signed(server.url))) for _ in range(2)]
        assert await arrived(server, requests=2)
        for key in keys(17):
            await transport.send(signed(server.url, key))
        await asyncio.sleep(0.05)
        assert (len(server.open), [task.done() for task in slow]) == (8, [False, False])
        server.scripts = ((SILENCE,),)
        more = [asyncio.create_task(transport.send(signed(server.url))) for _ in range(8)]
        assert await arrived(server, requests=2 + 17 + 8)
        await asyncio.sleep(0.05)
        assert len(server.open) == 10
        for task in (*slow, *more):
            task.cancel()
        await asyncio.wait([*slow, *more])


async def test_a_handshake_that_is_cancelled_leaves_no_connection() -> None:
    """Not even for the garbage collector, which would complain."""
    before = open_descriptors()
    async with RawServer((SILENCE,), greeting=(SILENCE,)) as server:
        transport = Httpx2Transport(ssl=trusting())
        url = server.url.replace("http:", "https:").replace("127.0.0.1", "localhost")
        task = asyncio.create_task(transport.send(signed(url, timeouts=Timeouts(connect=9.0))))
        assert await connected(server)
        task.cancel()
        await asyncio.wait([task])
        assert (task.cancelled(), await gone(server)) == (True, True)
        await transport.aclose()
    assert await back_to(before) == before
