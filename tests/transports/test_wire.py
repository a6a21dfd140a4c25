"""What a transport puts on the wire, and what it leaves off it."""

import json
from contextlib import aclosing
from typing import Any

import pytest
from attrs import frozen

from chatloom_async import (
    AsyncChatloom,
    ConfigurationError,
    ConnectionLostError,
    Endpoint,
    ListAgents,
    RetryPolicy,
)
from chatloom_async.wire.version import USER_AGENT
from tests.faults.scenes import tempting_environment
from tests.raw_server import FIN, RST, RawServer, Script, http
from tests.samples import AGENTS, KEY
from tests.signed import signed
from tests.transports.kinds import Make

BODY = json.dumps(AGENTS).encode()
QUICK = RetryPolicy(base=0.001)


async def test_a_call_looks_like_this_on_the_wire() -> None:
    """Exactly these headers, with the key in exactly one of them."""
    async with RawServer((http(BODY),)) as server, AsyncChatloom(KEY, base_url=server.url) as client:
        await client.list_agents()
    lines = [
        "GET /api/plugin/agents HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        "Accept-Encoding: gzip, deflate",
        "Accept: application/json",
        f"User-Agent: {USER_AGENT}",
        f"Authorization: Bearer {KEY}",
    ]
    assert [request.decode() for request in server.requests] == ["\r\n".join([*lines, "", ""])]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "POST"])
@pytest.mark.parametrize("end", [FIN, RST])
async def test_one_send_is_one_request_even_where_it_could_be_repeated(method: str, end: Any, make: Make) -> None:
    """On a stale keep-alive connection aiohttp, for one, repeats idempotent requests unless it is told not to."""
    script: tuple[Script, ...] = ((http(b""),), (end,))
    async with RawServer(*script) as server:
        transport = make()
        await transport.send(signed(server.url))
        lost = await transport.send(
            signed(server.url, method=method, body=b"{}" if method in ("POST", "PUT") else None)
        )
        await transport.aclose()
    assert isinstance(lost, ConnectionLostError)
    assert (lost.received, lost.sent, len(server.requests), server.connections) == (False, True, 2, 1)


@frozen
class CreateAgent(Endpoint[dict[str, Any]]):
    method = "POST"
    path = "/api/plugin/agents"
    name: str


@pytest.mark.parametrize(("endpoint", "requests"), [(ListAgents(), 3), (CreateAgent("a"), 1)])
async def test_a_post_whose_answer_was_lost_is_not_repeated(endpoint: Endpoint[Any], requests: int) -> None:
    """The server may have acted on it. A GET is repeated, the first time at once."""
    async with (
        RawServer((FIN,)) as server,
        AsyncChatloom(KEY, base_url=server.url, retry=QUICK, rate_limit=None) as client,
    ):
        with pytest.raises(ConnectionLostError):
            await client.send(endpoint)
    assert len(server.requests) == requests


async def test_a_body_is_sent_with_its_length() -> None:
    """And the answer to it is read as any other."""
    async with RawServer((http(b'{"id": "a"}'),)) as server, AsyncChatloom(KEY, base_url=server.url) as client:
        assert await client.send(CreateAgent("Sales")) == {"id": "a"}
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert (body, b"\r\nContent-Length: 16" in head, b"\r\nContent-Type: application/json" in head) == (
        b'{"name":"Sales"}',
        True,
        True,
    )


@pytest.mark.parametrize("headers", [(), ("Content-Encoding: br",), ("Content-Encoding: gzip",)])
async def test_head_has_no_body_whatever_its_headers_say(headers: tuple[str, ...], make: Make) -> None:
    """Content-Length and Content-Encoding describe the body that a GET would have; they are no reason to refuse."""
    async with RawServer((http(b"", "200 OK", *headers, length=2**40),)) as server:
        transport = make()
        answers = [await transport.send(signed(server.url, method="HEAD")) for _ in range(2)]
        await transport.aclose()
    assert [getattr(each, "body", each) for each in answers] == [b"", b""]
    assert server.connections == 1


async def test_cookies_are_not_kept(make: Make) -> None:
    """What one answer sets is not sent with the next request: it could belong to another key."""
    async with RawServer((http(BODY, "200 OK", "Set-Cookie: session=secret; Path=/"),)) as server:
        transport = make()
        for _ in range(2):
            await transport.send(signed(server.url))
        await transport.aclose()
    assert [b"cookie" in request.lower() for request in server.requests] == [False, False]


@pytest.mark.parametrize("auth", ["bearer", "x-api-key"])
async def test_the_environment_has_no_say(auth: Any, make: Make) -> None:
    """HTTP_PROXY and a netrc entry for every host change nothing: one key header, and no other credentials."""
    async with tempting_environment() as scene, aclosing(make()) as transport:
        await AsyncChatloom(KEY, base_url=scene.url, auth=auth, transport=transport).list_agents()
    assert scene.server
    head = scene.server.requests[0].decode()
    assert [
        line.split(":")[0] for line in head.lower().split("\r\n") if line.startswith(("auth", "x-api", "proxy"))
    ] == ["authorization" if auth == "bearer" else "x-api-key"]


@pytest.mark.parametrize("proxy", ["socks5://user:hidden@proxy.example", "proxy.example:3128", "", "//user:hidden@a"])
def test_a_proxy_that_cannot_work_is_refused_at_once(proxy: str, make: Make) -> None:
    """Before anything is sent, and without showing the URL, which may hold a password."""
    with pytest.raises(ConfigurationError) as caught:
        make(proxy=proxy)
    assert "hidden" not in str(caught.value)
