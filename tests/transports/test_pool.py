"""Whose connection is whose, and how many there are."""

import asyncio
import json
from typing import Any

import pytest

from chatloom_async import AiohttpTransport, AsyncChatloom, Ok, RateLimit, Response, Timeouts, fan_out
from chatloom_async.transports.network import MAX_CONNECTIONS
from tests.descriptors import back_to, open_descriptors
from tests.raw_server import RawServer, http
from tests.samples import KEY, OTHER_KEY
from tests.signed import keys, signed
from tests.transports.gone import gone
from tests.transports.kinds import Make

GOOD = http(b'{"agents": [], "count": 0}')
FORGED = http(b'{"agents": [], "count": 0, "forged": true}')


async def documents(server: RawServer, transport: AiohttpTransport, *order: str) -> list[object]:
    """What requests with these keys, one after the other, get for an answer."""
    answers = []
    for key in order:
        answer = await transport.send(signed(server.url, key))
        answers.append(json.loads(answer.body) if isinstance(answer, Response) else type(answer))
        await asyncio.sleep(0.02)  # so that bytes sent unasked have arrived
    return answers


@pytest.mark.parametrize(
    ("order", "options", "connections"),
    [
        ([KEY] * 5, {}, 1),
        ([KEY, OTHER_KEY] * 3, {}, 2),
        ([KEY, OTHER_KEY] * 3, {"share_connections": True}, 1),
        (keys(200), {"share_connections": True}, 1),
        ([KEY, OTHER_KEY] * 3, {"connection_reuse": False}, 6),
        ([KEY, OTHER_KEY] * 3, {"connection_reuse": False, "share_connections": True}, 6),
    ],
)
async def test_a_key_has_connections_of_its_own_and_keeps_them(
    order: list[str], options: dict[str, Any], connections: int, make: Make
) -> None:
    """One key reuses its connection, two keys have two; the transport can be told to share them, or to reuse none."""
    async with RawServer((GOOD,)) as server:
        transport = make(**options)
        for key in order:
            await transport.send(signed(server.url, key))
        await transport.aclose()
    assert (server.keys(), server.connections) == (order, connections)


async def test_both_key_headers_count(make: Make) -> None:
    """The same text as bearer token and as X-API-Key is not the same key: the two headers are told apart."""
    async with RawServer((GOOD,)) as server:
        transport = make()
        for auth in ("bearer", "x-api-key", "bearer", "x-api-key"):
            async with AsyncChatloom(KEY, base_url=server.url, auth=auth, transport=transport) as client:
                await client.list_agents()
        await transport.aclose()
    assert (len(server.requests), server.connections) == (4, 2)


async def test_bytes_sent_unasked_never_reach_another_key(make: Make) -> None:
    """A forged answer on an idle connection is not taken for the answer to somebody else's request."""
    async with RawServer((GOOD,), idle=(0.005, FORGED)) as server:
        transport = make()
        answers = await documents(server, transport, KEY, OTHER_KEY)
        await transport.aclose()
    assert answers == [{"agents": [], "count": 0}] * 2


@pytest.mark.parametrize("options", [{}, {"share_connections": True}])
async def test_bytes_sent_unasked_end_the_connection(options: dict[str, bool]) -> None:
    """So they are not the next answer of the same key, nor, where keys share connections, that of another key."""
    async with RawServer((GOOD,), idle=(0.005, FORGED)) as server:
        transport = AiohttpTransport(**options)
        answers = await documents(server, transport, KEY, OTHER_KEY if options else KEY)
        await transport.aclose()
    assert (answers, server.connections) == ([{"agents": [], "count": 0}] * 2, 2)


async def test_without_reuse_bytes_sent_unasked_reach_nobody(make: Make) -> None:
    """Each request has a connection of its own, says that it will not be used again, and leaves none open."""
    async with RawServer((GOOD,), idle=(0.005, FORGED)) as server:
        transport = make(connection_reuse=False)
        answers = await documents(server, transport, KEY, KEY, OTHER_KEY)
        left = await gone(server)
        await transport.aclose()
    assert answers == [{"agents": [], "count": 0}] * 3
    assert [b"\r\nconnection: close\r\n" in request.lower() for request in server.requests] == [True] * 3
    assert (server.connections, left) == (3, True)


async def test_a_fan_out_over_a_thousand_keys_holds_few_sockets(make: Make) -> None:
    """At most as many as are allowed, idle ones included; nothing once the transport is closed."""
    before, most = open_descriptors(), 0
    async with RawServer((GOOD,)) as server:
        transport = make()
        listening = open_descriptors()

        async def ask(key: str) -> object:
            nonlocal most
            answer = await transport.send(signed(server.url, key))
            most = max(most, open_descriptors() - listening)
            return answer

        results = [result async for result in fan_out(keys(1000), ask, concurrency=32)]
        await transport.aclose()
        left = await back_to(listening)
    assert (len(results), all(isinstance(each, Ok) and isinstance(each.value, Response) for each in results)) == (
        1000,
        True,
    )
    assert (server.connections, left, await back_to(before)) == (1000, listening, before)
    assert most <= 2 * (MAX_CONNECTIONS + 32)  # each connection has two ends here


async def test_nobody_waits_for_a_connection() -> None:
    """Of 300 slow answers, as many come at once as the client has room for; the others are not on the clock yet."""
    timeouts = Timeouts(connect=2.0, read=2.0, attempt=5.0)
    limit = RateLimit(per_second=1000.0, burst=1000, concurrency=1000)
    async with (
        RawServer((0.2, GOOD)) as server,
        AsyncChatloom(KEY, base_url=server.url, timeouts=timeouts, retry=None, rate_limit=limit) as client,
    ):
        answers = await asyncio.gather(*(client.list_agents() for _ in range(300)))
    assert (len(answers), len(server.requests), server.connections) == (300, 300, 256)


async def test_a_key_keeps_its_connection_while_others_come_and_go(make: Make) -> None:
    """Several calls with each of 300 keys, 128 keys at a time: no key connects twice."""
    async with RawServer((GOOD,)) as server:
        transport = make()

        async def ask(key: str) -> None:
            for _ in range(3):
                await transport.send(signed(server.url, key))

        results = [result async for result in fan_out(keys(300), ask, concurrency=128)]
        await transport.aclose()
    assert (len(results), len(server.requests)) == (300, 900)
    assert server.connections == 300
