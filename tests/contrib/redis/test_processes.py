"""Several real processes on one Redis."""

import asyncio
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from chatloom_async import RateLimit
from chatloom_async.contrib.redis import RedisLimiter
from tests.contrib.redis.server import RedisServer


class Worker:
    """A process that takes permits."""

    def __init__(self, server: RedisServer, tasks: int, per_second: float, concurrency: int, lease: float) -> None:
        arguments = map(str, (tasks, per_second, concurrency, lease))
        command = [sys.executable, "-m", "tests.contrib.redis.worker", server.url, *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def says(self) -> str:
        """Its next line."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go(self) -> None:
        """Lets it go on."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


def test_four_processes_keep_one_limit(server: RedisServer) -> None:
    """Four times fifty tasks: in no window, however long, are there more than burst + rate x window permits.

    Nobody gives anything back, so the leases in Redis tell when, by its own clock, and to whom each permit was given.
    """
    rate, burst, lease = 200.0, 8, 60.0
    workers = [Worker(server, 50, rate, 1000, lease) for _ in range(4)]
    assert [worker.says() for worker in workers] == ["ready"] * 4
    for worker in workers:
        worker.go()
    assert [worker.says() for worker in workers] == ["taken"] * 4
    given = server.client.zrange("chatloom:{a}:flights", 0, -1, withscores=True)
    moments = [until - lease for _, until in given]  # type: ignore[union-attr]
    over = [
        last - first + 1 - burst - rate * (moments[last] - moments[first])
        for first in range(200)
        for last in range(first, 200)
    ]
    assert (len(moments), max(over) < 0.001) == (200, True)
    owners = [name.partition(":")[0] for name, _ in given]  # type: ignore[union-attr]
    assert sorted(Counter(owners).values()) == [50] * 4
    assert len(set(owners[:150])) == 4  # nobody had to wait until the others were done
    for worker in workers:
        worker.process.communicate("\n")


async def test_a_killed_process_holds_no_slot(server: RedisServer) -> None:
    """Its permits are free again when their leases end; its place in line holds up nobody for long."""
    worker = Worker(server, 8, 1000.0, 8, 0.3)
    assert await asyncio.to_thread(worker.says) == "ready"
    worker.go()
    assert await asyncio.to_thread(worker.says) == "taken"
    worker.process.kill()
    worker.process.communicate()
    async with RedisLimiter(server.url, RateLimit(per_second=1000.0, concurrency=8), lease=0.3) as limiter:
        await asyncio.wait_for(limiter.acquire("a"), 5.0)
        limiter.release("a", "succeeded")


def test_two_event_loops_in_turn(server: RedisServer, recwarn: pytest.WarningsRecorder) -> None:
    """One limiter works in both, and leaves no connection behind even where nobody closes it."""
    limiter = RedisLimiter(server.url, RateLimit(per_second=0.01, burst=2))

    async def call() -> Any:
        await limiter.acquire("a")
        limiter.release("a", "failed")
        waiting = asyncio.create_task(limiter.acquire("b"))
        await asyncio.sleep(0.01)
        waiting.cancel()
        return server.client.info("clients")["connected_clients"]  # type: ignore[index]

    before = server.client.info("clients")["connected_clients"]  # type: ignore[index]
    assert [asyncio.run(call()) - before for _ in range(2)] == [1, 1]
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(call(), 0.1))
    assert recwarn.list == []


async def test_it_may_be_used_after_it_was_closed(server: RedisServer) -> None:
    """Closing reports what is to be reported, and the next call opens a connection again."""
    limiter = RedisLimiter(server.url, RateLimit(per_second=0.01, burst=1))
    for _ in range(2):
        await limiter.aclose()
        await limiter.acquire("a")
        limiter.release("a", "unused")
    await limiter.aclose()
    assert server.client.zcard("chatloom:{a}:flights") == 0


def test_closed_in_another_event_loop(server: RedisServer) -> None:
    """There is nothing left to close then; a permit of a loop that is over is left to its lease."""
    limiter = RedisLimiter(server.url)
    asyncio.run(limiter.acquire("a"))
    asyncio.run(limiter.aclose())
    limiter.release("a", "succeeded")

    async def call() -> None:
        await limiter.acquire("b")
        for key in "abb":
            limiter.release(key, "succeeded")
        await limiter.aclose()

    asyncio.run(call())
    assert server.client.zcard("chatloom:{a}:flights") == 1
    assert server.client.zcard("chatloom:{b}:flights") == 0
