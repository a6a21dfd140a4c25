"""What becomes of connections between two requests."""

import asyncio
import gc
import weakref
from typing import Any

import aiohttp
import pytest

from chatloom_async import AiohttpTransport, ConfigurationError, Response
from chatloom_async.transports.aiohttp.connection import WatchedConnection
from chatloom_async.transports.aiohttp.idle import KEEP_ALIVE, IdleConnections
from chatloom_async.transports.aiohttp.session import MemoryTransport, open_session
from chatloom_async.transports.network import ConnectionBound
from tests.loop_time import LoopTime
from tests.raw_server import RawServer, http
from tests.signed import keys, signed
from tests.transports.gone import gone

GOOD = http(b'{"agents": [], "count": 0}')


class Closable:
    """A connection that knows whether it was closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


async def test_the_connection_that_was_used_last_is_taken_first() -> None:
    """Of those with the same key. What was removed is not found again."""
    connections = IdleConnections[Closable](asyncio.get_running_loop())
    first, second, third, other = (Closable() for _ in range(4))
    for key, connection in (("a", first), ("a", second), ("b", other), ("a", third)):
        connections.add(key, connection)
    assert ([*connections], len(connections)) == ([first, second, other, third], 4)
    connections.remove(second)
    connections.remove(second)
    assert [connections.take(key) for key in ("a", "a", "a", "b")] == [third, first, None, other]
    connections.add("a", first)
    connections.remove(first)
    assert (connections.take("a"), len(connections)) == (None, 0)


async def test_a_connection_is_closed_once_it_was_idle_for_too_long(loop_time: LoopTime) -> None:
    """Counted from its last use. There is one timer, and none while nothing is idle."""
    connections = IdleConnections[Closable](asyncio.get_running_loop())
    old, used, new = (Closable() for _ in range(3))
    connections.add("old", old)
    connections.add("used", used)
    await loop_time.pass_by(KEEP_ALIVE / 2)
    assert connections.take("used") is used
    connections.add("used", used)
    connections.add("new", new)
    await loop_time.pass_by(KEEP_ALIVE / 2)
    assert ([*connections], old.closed, used.closed, new.closed) == ([used, new], True, False, False)
    await loop_time.pass_by(KEEP_ALIVE / 2)
    assert ([*connections], used.closed, new.closed) == ([], True, True)
    connections.add("new", new)
    assert connections.take("new") is new


async def test_an_abandoned_pool_is_collected(loop_time: LoopTime) -> None:
    """Its timer does not keep it alive."""
    problems = list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    connections = IdleConnections[Closable](asyncio.get_running_loop())
    connections.add("a", Closable())
    seen = weakref.ref(connections)
    del connections
    assert seen() is None
    await loop_time.pass_by(KEEP_ALIVE)
    assert not problems


async def test_the_transport_closes_connections_that_are_idle_for_too_long(loop_time: LoopTime) -> None:
    """The next request opens another one."""
    async with RawServer((GOOD,)) as server:
        transport = AiohttpTransport()
        await transport.send(signed(server.url))
        await loop_time.pass_by(KEEP_ALIVE)
        for _ in range(100):  # the time stands still, so nothing can sleep
            await asyncio.sleep(0)
        left = len(server.open)
        answer = await transport.send(signed(server.url))
        await transport.aclose()
    assert (left, type(answer), server.connections) == (0, Response, 2)


def test_on_connect_is_not_async() -> None:
    """It would be dropped without having run."""

    async def later() -> None: ...

    with pytest.raises(ConfigurationError, match=r"^on_connect must be a function that is not async"):
        AiohttpTransport(on_connect=later)


async def test_a_connection_that_is_closing_is_not_taken() -> None:
    """The event loop reports its end in the next round."""
    async with RawServer((GOOD,)) as server, await open_session(ConnectionBound(9), shared=True) as session:
        connections: Any = session.connector
        for _ in range(2):
            async with session.get(server.url) as answer:
                await answer.read()
            (connection,) = connections.idle
            connection.transport.close()
        await session.close()
    assert server.connections == 2


async def test_a_closed_connection_is_freed_at_once() -> None:
    """Not by the garbage collector, which would leave thousands of them in memory."""
    async with RawServer((GOOD,)) as server:
        transport = AiohttpTransport(max_connections=2)
        first, *others = keys(4)
        await transport.send(signed(server.url, first))
        (connection,) = transport._exchanges.current().connections.idle  # type: ignore[union-attr]
        seen = [weakref.ref(connection), weakref.ref(connection.transport)]
        del connection
        gc.disable()
        try:
            for key in others:
                await transport.send(signed(server.url, key))
            assert [each() for each in seen] == [None, None]
        finally:
            gc.enable()
        await transport.aclose()


async def test_a_connection_that_comes_with_the_end_of_the_session_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody would close it later."""
    session = await open_session(ConnectionBound(9), shared=True)
    connections: Any = session.connector
    connection = WatchedConnection(asyncio.get_running_loop())
    MemoryTransport(connection)

    async def create(*_: object) -> WatchedConnection:
        await session.close()
        return connection

    monkeypatch.setattr(connections, "_create_connection", create)
    with pytest.raises(aiohttp.ClientConnectionError, match=r"^closed on this side"):
        await connections.open(None, None, aiohttp.ClientTimeout())
    assert not connection.is_connected()
    assert not connections._acquired


async def test_a_trace_that_fails_takes_no_connection_with_it() -> None:
    """The session reports reused connections to traces, as aiohttp does."""
    trace, reused = aiohttp.TraceConfig(), []

    async def note(*_: object) -> None:
        reused.append(1)
        if len(reused) > 1:
            raise RuntimeError("trace")

    trace.on_connection_reuseconn.append(note)
    trace.freeze()
    async with RawServer((GOOD,)) as server, await open_session(ConnectionBound(9), shared=True) as session:
        session.trace_configs.append(trace)
        for _ in range(2):
            async with session.get(server.url) as answer:
                await answer.read()
        with pytest.raises(RuntimeError, match=r"^trace"):
            await session.get(server.url)
        connections: Any = session.connector
        assert (len(reused), len(connections.idle), connections._acquired) == (2, 0, set())
        await session.close()


async def test_a_callback_that_raises_leaves_no_connection_open() -> None:
    """The caller gets its exception. The place is free for the next request, and nothing is left when it closes."""

    def on_connect() -> None:
        raise LookupError

    async with RawServer((GOOD,)) as server:
        transport = AiohttpTransport(on_connect=on_connect)
        for _ in range(3):
            with pytest.raises(LookupError):
                await transport.send(signed(server.url))
        assert await gone(server)
        await transport.aclose()
