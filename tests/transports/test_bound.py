"""How many connections may be open, which of them are closed for a new one, and who waits for one."""

import asyncio
import resource
import subprocess
import sys
from collections import Counter
from math import inf
from pathlib import Path
from typing import Any

import pytest

from chatloom_async import AiohttpTransport, ClientClosedError, ConfigurationError, ConnectError, Response, Timeouts
from chatloom_async.transports import network
from chatloom_async.transports.aiohttp.session import open_session
from chatloom_async.transports.network import MAX_CONNECTIONS, ConnectionBound, descriptor_share
from tests.faults.scenes import authority, no_descriptors, serving
from tests.raw_server import SILENCE, RawServer, http
from tests.signed import keys, signed
from tests.transports.gone import arrived

GOOD = http(b'{"agents": [], "count": 0}')
FIRST, SECOND, THIRD = keys(3)


async def test_the_connection_that_was_idle_for_longest_is_closed_for_a_new_one() -> None:
    """Two may be open: the third key's takes the place of the first one's, and the second key keeps its own."""
    opened: list[None] = []
    async with RawServer((GOOD,)) as server:
        transport = AiohttpTransport(max_connections=2, on_connect=lambda: opened.append(None))
        counts = []
        for key in (FIRST, SECOND, THIRD, SECOND, FIRST, SECOND, THIRD):
            await transport.send(signed(server.url, key))
            counts.append((len(opened), len(server.open)))
        await transport.aclose()
    assert counts == [(1, 1), (2, 2), (3, 2), (3, 2), (4, 2), (4, 2), (5, 2)]


async def test_a_key_with_several_idle_connections_gives_up_the_oldest() -> None:
    """And keeps the others."""
    async with RawServer((0.05, GOOD)) as server:
        transport = AiohttpTransport(max_connections=3)
        await asyncio.gather(*(transport.send(signed(server.url, FIRST)) for _ in range(3)))
        await transport.send(signed(server.url, SECOND))
        await asyncio.gather(*(transport.send(signed(server.url, FIRST)) for _ in range(2)))
        await transport.aclose()
    assert server.connections == 4


async def test_no_more_than_the_bound_are_in_use() -> None:
    """The others wait for their turn, and all are answered."""
    most = 0
    async with RawServer((0.02, GOOD)) as server:
        transport = AiohttpTransport(max_connections=3)

        async def ask(key: str) -> object:
            nonlocal most
            answer = await transport.send(signed(server.url, key))
            most = max(most, len(server.open))
            return type(answer)

        answers = await asyncio.gather(*(ask(key) for key in keys(12)))
        await transport.aclose()
    assert (answers, most) == ([Response] * 12, 3)


async def test_who_waits_too_long_gets_a_local_error() -> None:
    """It says that this process is at its limit, not that the server is slow."""
    async with RawServer((SILENCE,)) as server:
        transport = AiohttpTransport(max_connections=1)
        first = asyncio.create_task(transport.send(signed(server.url)))
        await arrived(server)
        late = await transport.send(signed(server.url, timeouts=Timeouts(connect=0.05)))
        first.cancel()
        await asyncio.wait([first])
        await transport.aclose()
    text = f"No socket for {server.url}: this process has too many open already"
    assert late == ConnectError(text, reason="local", sent=False)


async def test_closing_ends_the_requests_that_wait_for_their_turn() -> None:
    """Like the one under way."""
    async with RawServer((SILENCE,)) as server:
        transport = AiohttpTransport(max_connections=1)
        requests = [asyncio.create_task(transport.send(signed(server.url))) for _ in range(2)]
        await arrived(server)
        await transport.aclose()
        outcomes = await asyncio.gather(*requests, return_exceptions=True)
    text = "The transport was closed while this request was under way"
    assert outcomes == [ClientClosedError(text)] * 2


async def test_an_idle_connection_that_is_closing_can_be_closed() -> None:
    """aiohttp has closed it, and the event loop has not reported that yet."""
    async with RawServer((GOOD,)) as server, await open_session(ConnectionBound(9), shared=True) as session:
        connections: Any = session.connector
        async with session.get(server.url) as answer:
            await answer.read()
        (connection,) = connections.idle
        connection.close()
        connections.close_idle(connection)
        assert list(connections.idle) == []
        await session.close()


async def test_the_idle_connections_of_one_key_can_be_closed() -> None:
    """Those of others stay open; before the first request there is nothing to close."""
    async with RawServer((GOOD,)) as server:
        transport = AiohttpTransport()
        transport.close_idle(signed(server.url, FIRST).headers)
        for key in (FIRST, SECOND):
            await transport.send(signed(server.url, key))
        transport.close_idle(signed(server.url, FIRST).headers)
        await asyncio.sleep(0.02)
        left = len(server.open)
        for key in (SECOND, FIRST):
            await transport.send(signed(server.url, key))
        await transport.aclose()
    assert (left, server.connections) == (1, 3)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, None])
def test_a_bound_is_a_whole_number(value: object) -> None:
    """At least one."""
    with pytest.raises(ConfigurationError, match=r"^max_connections must be a whole number"):
        AiohttpTransport(max_connections=value)  # type: ignore[arg-type]


def test_half_of_the_descriptors_are_for_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that the process may have now; without a limit, any number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    shares = []
    try:
        for limit in (soft - 1, soft):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            shares.append(descriptor_share())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert shares == [(soft - 1) // 2, soft // 2]
    assert descriptor_share() == sys.maxsize


async def output_of(program: str, *arguments: str) -> bytes:
    """What a Python program prints: it runs in a process of its own, with limits of its own."""
    options = {"stdout": subprocess.PIPE, "cwd": Path(__file__).parents[2]}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, *arguments, **options)
    return (await process.communicate())[0]


FEW = """if True:
    import asyncio, os, resource, sys
    from collections import Counter
    from chatloom_async import AiohttpTransport, Response
    from tests.signed import keys, signed

    async def main(url, spare):
        transport = AiohttpTransport()
        await transport.send(signed(url))  # imports what is imported late
        lowest = os.dup(0)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + spare, lowest + spare))
        answers = await asyncio.gather(*(transport.send(signed(url, key)) for key in keys(60)))
        print(sorted(Counter(str(a.status if isinstance(a, Response) else a) for a in answers).items()))
        await transport.aclose()

    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


@pytest.mark.parametrize("spare", [1, 5, 20])
async def test_without_descriptors_a_request_waits_for_one_of_ours(spare: int) -> None:
    """Sixty requests with sixty keys, and descriptors for a few: the system refuses, and yet all are answered."""
    async with RawServer((0.01, GOOD)) as server:
        told = await output_of(FEW, server.url, str(spare))
    assert told == b"[('200', 60)]\n"


async def test_turns_are_given_in_order_and_handed_on() -> None:
    """A request that is cancelled, just before or just after it is let in, does not keep the place."""
    bound, entered = ConnectionBound(1), list[int]()

    async def enter(number: int) -> None:
        assert bound.enter() or await bound.turn(None)
        entered.append(number)

    assert bound.enter()
    tasks = [asyncio.create_task(enter(number)) for number in range(4)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.sleep(0)
    bound.leave()  # lets the second one in
    tasks[1].cancel()
    await asyncio.wait(tasks[:3])
    assert (entered, [task.cancelled() for task in tasks[:2]]) == ([2], [True, True])
    bound.leave()
    await tasks[3]
    assert entered == [2, 3]


async def test_a_turn_that_comes_at_the_last_moment_is_taken() -> None:
    """Timers run in the order of their times: the release first, then the limit of the wait."""
    bound, loop = ConnectionBound(1), asyncio.get_running_loop()
    assert bound.enter()
    loop.call_later(-1.0, bound.leave)
    assert (await bound.turn(0.0), bound.enter()) == (True, False)


async def test_a_wait_that_is_too_long_and_cancelled_frees_nothing() -> None:
    """It was never let in."""
    bound, loop = ConnectionBound(1), asyncio.get_running_loop()
    assert bound.enter()
    late = asyncio.create_task(bound.turn(-1.0))
    await asyncio.sleep(0)
    loop.call_later(0.0, late.cancel)
    await asyncio.wait([late])
    assert (late.cancelled(), bound.enter()) == (True, False)


async def test_a_bound_that_the_system_has_lowered_recovers() -> None:
    """By one for each connection that is opened at the bound, up to what it was."""
    bound = ConnectionBound(4)
    assert (await bound.refused(inf), bound.most) == (False, 1)  # nothing is held here, so nothing will come free
    with pytest.raises(OSError, match=r"^no"), bound.opening():
        raise OSError("no")
    assert (bound.held, await bound.refused(inf)) == (0, False)
    with bound.opening():
        assert (await bound.refused(inf), bound.most) == (True, 1)
    for _ in range(6):
        with bound.opening():
            pass
    assert (bound.held, bound.most, MAX_CONNECTIONS) == (7, 4, 512)
    bound.closed()
    assert (bound.held, await bound.refused(inf), bound.most) == (6, True, 4)


async def test_a_bound_that_the_system_has_lowered_grows_while_requests_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some time after the last refusal: by one for each that begins to wait, and for each that is done."""
    bound, now = ConnectionBound(4), 100.0
    monkeypatch.setattr(network.time, "monotonic", lambda: now)
    assert (await bound.refused(inf), bound.enter()) == (False, True)
    waiting = [asyncio.create_task(bound.turn(None)) for _ in range(5)]
    await asyncio.sleep(0)
    assert (bound.most, bound.enter()) == (1, False)
    now += network.REFUSAL_MEMORY
    bound.leave()  # two of them are let in
    await asyncio.sleep(0)
    assert (bound.most, [task.done() for task in waiting]) == (2, [True, True, False, False, False])
    waiting += [asyncio.create_task(bound.turn(None)) for _ in range(3)]
    await asyncio.sleep(0)
    assert (bound.most, bound.enter()) == (4, False)
    for _ in range(4):
        bound.leave()
    assert await asyncio.gather(*waiting) == [True] * 8


ENDING = """if True:
    import asyncio, faulthandler, os, resource, sys
    from chatloom_async import AiohttpTransport
    from tests.signed import signed

    async def main(url):
        transport = AiohttpTransport()
        await transport.send(signed(url))  # imports what is imported late
        await asyncio.sleep(0.05)
        lowest = os.dup(0)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 1, lowest + 1))
        print([(await transport.send(signed(url))).status for _ in range(4)])
        await transport.aclose()

    faulthandler.dump_traceback_later(10, exit=True)
    asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize("encrypted", [False, True])
async def test_the_descriptor_of_a_connection_that_is_closing_is_awaited(encrypted: bool, tmp_path: Path) -> None:
    """One descriptor, and answers after which the connection is closed: the next request comes before that is done."""
    program = ENDING
    if encrypted:
        authority().cert_pem.write_to_path(tmp_path / "ca.pem")
        trusting = (
            f"AiohttpTransport(ssl=__import__('ssl').create_default_context(cafile={str(tmp_path / 'ca.pem')!r}))"
        )
        program = ENDING.replace("AiohttpTransport()", trusting)
    async with RawServer((http(b"{}", "200 OK", "Connection: close"),), tls=serving() if encrypted else None) as server:
        told = await output_of(program, server.url)
    assert (told, server.connections) == (b"[200, 200, 200, 200]\n", 5)


AGAIN = """if True:
    import asyncio, os, resource, sys
    from chatloom_async import AiohttpTransport
    from chatloom_async.transports import network
    from tests.signed import signed

    async def main(url):
        network.REFUSAL_MEMORY = 0.1
        transport = AiohttpTransport()
        await transport.send(signed(url))
        lowest, (soft, hard) = os.dup(0), resource.getrlimit(resource.RLIMIT_NOFILE)
        os.close(lowest)
        for limit in (lowest, soft):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            answers = await asyncio.gather(*(transport.send(signed(url)) for _ in range(8)))
            print([answer.status for answer in answers])
            await asyncio.sleep(0.1)
        await transport.aclose()

    asyncio.run(main(sys.argv[1]))
"""


async def test_after_a_moment_without_descriptors_several_connections_are_used_again() -> None:
    """Though the one that was left is always free for the next request with its key."""
    async with RawServer((0.05, GOOD)) as server:
        told = await output_of(AGAIN, server.url)
    assert (told, server.connections) == (b"[200, 200, 200, 200, 200, 200, 200, 200]\n" * 2, 8)


async def test_the_wait_for_a_descriptor_is_bounded() -> None:
    """By `Timeouts.connect`, even if a connection never ends."""
    transport = AiohttpTransport()
    async with RawServer((GOOD,)) as server:
        await transport.send(signed(server.url))
    direct = transport._exchanges.current()
    assert direct is not None
    direct.connections.bound.held += 1
    async with no_descriptors() as scene:
        late = await transport.send(signed(scene.url, timeouts=Timeouts(connect=0.05)))
    assert isinstance(late, ConnectError)
    assert (late.reason, late.sent) == ("local", False)
    await transport.aclose()


async def test_few_connections_are_begun_in_one_step_of_the_event_loop() -> None:
    """The first request is sent, and may be answered, before the last connection is begun."""
    loop = asyncio.get_running_loop()
    step, begun = 0, list[tuple[int, int]]()
    turnstile = network.Turnstile()

    def count() -> None:
        nonlocal step
        step += 1
        loop.call_soon(count)

    async def begin(number: int) -> None:
        await turnstile.turn()
        begun.append((number, step))

    count()
    tasks = [asyncio.create_task(begin(number)) for number in range(40)]
    await asyncio.sleep(0)
    tasks.pop(10).cancel()
    await asyncio.gather(*tasks)
    assert [number for number, _ in begun] == [*range(10), *range(11, 40)], "first come, first served"
    in_a_step = list(Counter(step for _, step in begun).values())
    assert in_a_step == [8, 8, 8, 8, 7], "the turn of a cancelled one goes to the next"
    last = step
    await turnstile.turn()
    assert step == last, "nobody waits where nobody else begins a connection"


@pytest.mark.parametrize("options", [{}, {"connection_reuse": False}], ids=["direct", "by aiohttp's session"])
async def test_the_first_request_is_sent_before_the_last_connection_is_begun(options: dict[str, bool]) -> None:
    """The API works on it meanwhile."""
    begun, answered = 0, list[int]()

    def begin() -> None:
        nonlocal begun
        begun += 1

    async with RawServer((GOOD,)) as server:
        transport = AiohttpTransport(on_connect=begin, **options)

        async def ask(key: str) -> None:
            await transport.send(signed(server.url, key))
            answered.append(begun)

        await asyncio.gather(*map(ask, keys(100)))
        await transport.aclose()
    assert begun == 100
    assert min(answered) < 50
