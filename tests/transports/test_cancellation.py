"""Cancelling a call, wherever it is: it ends as cancelled, at once, and leaves nothing behind."""

import asyncio
import random
import time
from typing import Any

import pytest

from chatloom_async import AgentList, AiohttpTransport, AsyncChatloom, RateLimit, RetryPolicy, Timeouts
from tests.descriptors import back_to, open_descriptors
from tests.faults import scenes
from tests.faults.scenes import SceneMaker, plays
from tests.raw_server import SILENCE, Loop, RawServer, http
from tests.samples import KEY
from tests.secrets import found
from tests.transports.kinds import Make

GOOD = http(b'{"agents": [], "count": 0}')
ONE = RateLimit(per_second=0.5, burst=1, concurrency=1)
LONG = RetryPolicy(base=60.0, random=lambda: 1.0)
TIMEOUTS = Timeouts(connect=1.0, read=1.0, attempt=9.0)

MOMENTS: dict[str, tuple[SceneMaker, int]] = {
    "looking up the host": (scenes.slow_names, 1),
    "connecting": (scenes.black_hole, 1),
    "shaking hands": (scenes.no_tls(SILENCE), 1),
    "asking the proxy": (scenes.proxy((SILENCE,)), 1),
    "waiting for the answer": (plays((SILENCE,)), 1),
    "in the head": (plays((b"HTTP/1.1 200 OK\r\n", SILENCE)), 1),
    "in the body": (plays((http(b"[", length=9), SILENCE)), 1),
    "in a long body": (plays((http(b"[", length=10**6), Loop((b" " * 99, 0.001)))), 1),
    "in the queue of the limiter": (plays((SILENCE,)), 2),
    "waiting for the next attempt": (plays((http(b"", "500 No"),)), 1),
}


@pytest.mark.parametrize(("scene", "calls"), MOMENTS.values(), ids=MOMENTS)
async def test_a_cancelled_call_ends_at_once(scene: SceneMaker, calls: int, make: Make) -> None:
    """As the CancelledError that asyncio raised, without a frame that knows the key, its connection closed."""
    before = open_descriptors()
    async with scene() as where:
        transport = make(ssl=where.ssl, proxy=where.proxy)
        options: dict[str, Any] = {
            "base_url": where.url,
            "timeouts": TIMEOUTS,
            "retry": LONG,
            "rate_limit": ONE,
            "deadline": 900.0,
        }
        client = AsyncChatloom(KEY, transport=transport, **options)
        tasks = [asyncio.create_task(client.list_agents()) for _ in range(calls)]
        await asyncio.sleep(0.05 if make is AiohttpTransport else 0.2)  # httpx2 reads certificates first
        for task in reversed(tasks):
            began = time.perf_counter()
            task.cancel("enough")
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert time.perf_counter() - began < 0.2
            assert (caught.value.args, found(KEY, caught.value)) == (("enough",), [])
        if where.server:
            kept = "500 No" in repr(where.server.scripts)
            end = time.monotonic() + 2.0
            while len(where.server.open) != kept and time.monotonic() < end:  # noqa: ASYNC110  # the server's side
                await asyncio.sleep(0.005)
            assert len(where.server.open) == kept
        await transport.aclose()
    assert await back_to(before) <= before


async def test_a_timeout_of_the_callers_own() -> None:
    """`asyncio.timeout` around a call: the caller's TimeoutError, whose history shows no headers."""
    async with RawServer((SILENCE,)) as server, AsyncChatloom(KEY, base_url=server.url) as client:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.05):
                await client.list_agents()
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    assert found(KEY, caught.value) == []


async def test_cancelled_after_every_number_of_steps(make: Make) -> None:
    """Whatever the loop was about to do next: the call is answered or cancelled, and the next one works."""
    ended = set()
    async with RawServer((GOOD,)) as server:
        transport = make()
        client = AsyncChatloom(KEY, base_url=server.url, rate_limit=None, transport=transport)
        for steps in range(60):
            task = asyncio.create_task(client.list_agents())
            for _ in range(steps):
                await asyncio.sleep(0 if steps < 50 else 0.0005)  # not every transport's work is done in steps
            task.cancel()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            ended.add(type(result))
        assert ended == {AgentList, asyncio.CancelledError}
        assert await client.list_agents() == AgentList((), 0)
        await transport.aclose()


async def test_a_thousand_cancelled_calls_leave_nothing_behind() -> None:
    """No descriptor stays open, and the transport works as before."""
    before, chance = open_descriptors(), random.Random(7)
    async with RawServer((0.01, GOOD)) as server:
        listening = open_descriptors()
        client = AsyncChatloom(KEY, base_url=server.url, rate_limit=None, retry=None, deadline=30.0)
        for _ in range(10):
            tasks = [asyncio.create_task(client.list_agents()) for _ in range(100)]
            await asyncio.sleep(chance.random() * 0.02)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(10):
            assert await asyncio.gather(*(client.list_agents() for _ in range(30))) == [AgentList((), 0)] * 30
        await client.aclose()
        assert await back_to(listening) == listening
    assert await back_to(before) == before
