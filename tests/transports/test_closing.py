"""How a transport ends: closed, closed too early, forgotten, or with its event loop."""

import asyncio
import gc
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chatloom_async import AgentList, AiohttpTransport, AsyncChatloom, ClientClosedError, Response, Timeouts
from chatloom_async.transports.aiohttp import resolver
from tests.descriptors import back_to, open_descriptors, settled
from tests.raw_server import SILENCE, RawServer, Script, http
from tests.samples import KEY
from tests.secrets import found
from tests.signed import keys, signed
from tests.transports.gone import arrived, connected, gone
from tests.transports.kinds import Make

GOOD = http(b'{"agents": [], "count": 0}')
NONE = AgentList((), 0)
SHORT = Timeouts(connect=1.0, read=1.0)  # the latest moment at which what goes on in the background ends


@contextmanager
def elsewhere(server: RawServer) -> Iterator[RawServer]:
    """Runs a server on an event loop in another thread, so that it outlives the test's own loops."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(5)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def test_a_closed_transport_stays_closed(make: Make) -> None:
    """Closing twice is fine; sending afterwards says what is wrong, and sends nothing."""
    async with RawServer((GOOD,)) as server:
        transport = make()
        await transport.send(signed(server.url))
        await transport.aclose()
        await transport.aclose()
        with pytest.raises(ClientClosedError):
            await transport.send(signed(server.url))
    assert (len(server.requests), len(server.open)) == (1, 0)


async def test_an_unused_transport_closes_as_well(make: Make) -> None:
    """It has opened nothing, and is closed for good all the same."""
    transport = make()
    await transport.aclose()
    with pytest.raises(ClientClosedError):
        await transport.send(signed("http://127.0.0.1:9"))


WAITING: dict[str, Script] = {
    "before the answer": (SILENCE,),
    "in its head": (b"HTTP/1.1 200 OK\r\n", SILENCE),
    "in its body": (http(b"[", length=9), SILENCE),
}


@pytest.mark.parametrize("script", WAITING.values(), ids=WAITING)
@pytest.mark.parametrize("others", [0, 20])
async def test_closing_ends_the_requests_under_way(script: Script, others: int, make: Make) -> None:
    """Also beside many idle connections. They hear that the transport was closed, not that the server failed."""
    async with RawServer(script, (GOOD,)) as server:
        transport = make()
        task = asyncio.create_task(transport.send(signed(server.url, timeouts=SHORT)))
        await asyncio.sleep(0.05)
        for key in keys(others):
            await transport.send(signed(server.url, key))
        await transport.aclose()
        with pytest.raises(ClientClosedError) as caught:
            await task
        assert await gone(server)
    assert found(KEY, caught.value) == []


async def test_closing_ends_the_requests_that_wait_for_a_connection() -> None:
    """Without sending them. Closing twice at once does the same."""
    async with RawServer((SILENCE,)) as server:
        transport = AiohttpTransport(max_connections=1)
        tasks = [asyncio.create_task(transport.send(signed(server.url, key, timeouts=SHORT))) for key in keys(3)]
        await asyncio.sleep(0.05)
        await asyncio.gather(transport.aclose(), transport.aclose())
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ClientClosedError] * 3
        assert (len(server.requests), server.connections) == (1, 1)


async def test_closing_ends_a_handshake() -> None:
    """At once, and its connection with it."""
    async with RawServer(greeting=(SILENCE,)) as server:
        transport = AiohttpTransport()
        task = asyncio.create_task(transport.send(signed(server.url.replace("http:", "https:"))))
        assert await connected(server)
        await transport.aclose()
        async with asyncio.timeout(5):
            with pytest.raises(ClientClosedError):
                await task
        assert await gone(server)


async def test_closing_ends_the_request_that_makes_room_for_a_connection() -> None:
    """An idle connection was closed for it, and none is opened any more."""
    first, second = keys(2)
    async with RawServer((GOOD,)) as server:
        transport = AiohttpTransport(max_connections=1)
        await transport.send(signed(server.url, first))
        task = asyncio.create_task(transport.send(signed(server.url.replace("127.0.0.1", "localhost"), second)))
        await asyncio.sleep(0)
        await transport.aclose()
        with pytest.raises(ClientClosedError):
            await task
        assert server.connections == 1


@pytest.mark.parametrize("cancelled", [False, True])
async def test_closing_ends_the_requests_that_look_up_a_name(cancelled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not cancelled, unless their own task is."""
    free = threading.Event()
    monkeypatch.setattr(resolver, "look_up", lambda *_: free.wait(5) and [])
    transport = AiohttpTransport()
    request = signed("http://api.example", timeouts=SHORT)
    tasks = [asyncio.create_task(transport.send(request)) for _ in range(3)]
    await asyncio.sleep(0.05)
    if cancelled:
        tasks[0].cancel()
    await transport.aclose()
    free.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    first = asyncio.CancelledError if cancelled else ClientClosedError
    assert [type(outcome) for outcome in outcomes] == [first, ClientClosedError, ClientClosedError]


async def test_a_client_lets_calls_finish_before_it_closes() -> None:
    """For as long as `drain` says; who takes longer gets ClientClosedError."""
    async with RawServer((0.1, GOOD), (SILENCE,)) as server:
        client = AsyncChatloom(KEY, base_url=server.url)
        quick = asyncio.create_task(client.list_agents())
        await asyncio.sleep(0.02)
        slow = asyncio.create_task(client.list_agents())
        await asyncio.sleep(0.02)
        await client.aclose(drain=0.2)
        with pytest.raises(ClientClosedError):
            await slow
        assert await quick == NONE


def unclosed(caught: list[warnings.WarningMessage]) -> list[str]:
    """The texts of the ResourceWarnings."""
    return [str(each.message) for each in caught if issubclass(each.category, ResourceWarning)]


async def test_a_forgotten_client_is_named_with_the_line_that_made_it(caplog: pytest.LogCaptureFixture) -> None:
    """One warning, ours; none of aiohttp's, no key, and the connections are closed all the same."""
    before = open_descriptors()
    async with RawServer((GOOD,)) as server:
        listening = open_descriptors()
        client = AsyncChatloom(KEY, base_url=server.url)
        line = test_a_forgotten_client_is_named_with_the_line_that_made_it.__code__.co_firstlineno + 5
        await client.list_agents()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del client
            gc.collect()
        assert await back_to(listening) == listening
    assert await back_to(before) == before
    assert unclosed(caught) == [
        f"AsyncChatloom (created at {__file__}:{line}) was not closed: use `async with`, or await its aclose()"
    ]
    assert "nclosed" not in caplog.text


def test_a_client_that_outlives_its_event_loop_is_named_too(caplog: pytest.LogCaptureFixture) -> None:
    """Its loop was closed without asyncio.run, so nothing has closed the connections: one warning of this package."""
    with elsewhere(RawServer((GOOD,))) as server, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client = AsyncChatloom(KEY, base_url=server.url)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(client.list_agents())
        loop.close()
        del client, loop
        gc.collect()
    texts = [text for text in unclosed(caught) if not text.startswith(("unclosed <socket", "unclosed transport"))]
    assert [text.partition(" (")[0] for text in texts] == ["AsyncChatloom"]
    assert "nclosed" not in caplog.text


async def test_a_forgotten_transport_is_named_too(make: Make) -> None:
    """A user's own transport is the user's to close."""
    async with RawServer((GOOD,)) as server:
        transport = make()
        async with AsyncChatloom(KEY, base_url=server.url, transport=transport) as client:
            await client.list_agents()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del client, transport
            gc.collect()
        await asyncio.sleep(0.05)
        assert len(server.open) == 0
    assert unclosed(caught) == [f"{make.__name__} was not closed: use `async with`, or await its aclose()"]


def test_one_client_serves_two_event_loops_in_turn(caplog: pytest.LogCaptureFixture) -> None:
    """Each asyncio.run() gets connections of its own, which end with it: no warning, nothing logged, nothing open."""
    with elsewhere(RawServer((GOOD,))) as server:
        listening = open_descriptors()
        client = AsyncChatloom(KEY, base_url=server.url)
        assert [asyncio.run(client.list_agents()) for _ in range(2)] == [NONE, NONE]
        asyncio.run(client.aclose())
        assert settled(listening) == listening
        del client
        gc.collect()
    assert (server.connections, [r.message for r in caplog.records if r.levelno >= logging.WARNING]) == (2, [])


def test_a_loop_that_was_closed_without_ceremony_does_no_harm(caplog: pytest.LogCaptureFixture, make: Make) -> None:
    """No asyncio.run(), no shutdown: the next loop works, and what aiohttp had open is given up quietly."""
    with elsewhere(RawServer((GOOD,))) as server:
        transport = make()
        first = asyncio.new_event_loop()
        first.run_until_complete(transport.send(signed(server.url)))
        first.close()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "unclosed", ResourceWarning)  # asyncio's own, and right
            second = asyncio.run(transport.send(signed(server.url)))
            asyncio.run(transport.aclose())
            del first
            gc.collect()
    assert isinstance(second, Response)
    assert [r.message for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_two_loops_that_take_turns_each_clean_up_after_themselves(caplog: pytest.LogCaptureFixture, make: Make) -> None:
    """Going back and forth between two living loops is slow, since each turn opens anew, but it works."""
    with elsewhere(RawServer((GOOD,))) as server, asyncio.Runner() as one, asyncio.Runner() as other:
        listening = open_descriptors()
        transport = make()
        for runner in (one, other, one, other):
            assert isinstance(runner.run(transport.send(signed(server.url))), Response)
        one.run(transport.aclose())
        del transport
        gc.collect()
        one.run(asyncio.sleep(0.02))
        other.run(asyncio.sleep(0.02))
        assert other.run(back_to(listening)) <= listening
    assert [r.message for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_a_program_that_ends_in_the_middle_of_a_fan_out_ends_quietly(
    caplog: pytest.LogCaptureFixture, make: Make
) -> None:
    """Its event loop cancels what is under way, on many connections, and closes them without a complaint."""
    with elsewhere(RawServer((SILENCE,))) as server:
        listening = open_descriptors()
        tasks: list[asyncio.Task[object]] = []

        async def program(transport: AiohttpTransport) -> None:
            tasks.extend(
                asyncio.create_task(transport.send(signed(server.url, key, timeouts=Timeouts(read=60.0, attempt=90.0))))
                for key in keys(192)
            )
            assert await arrived(server, 60.0, requests=len(tasks))

        asyncio.run(program(make()))
        assert settled(listening) == listening
        gc.collect()
    assert {task.cancelled() for task in tasks} == {True}
    assert [r.message for r in caplog.records if r.levelno >= logging.WARNING] == []
