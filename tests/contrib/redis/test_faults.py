"""Whatever goes wrong on the way to Redis or in the background: calls go on, and Redis is tried again."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import redis.asyncio

from chatloom_async import RateLimit
from chatloom_async.contrib.redis import RedisLimiter, RedisUnavailableError
from chatloom_async.contrib.redis.queue import MAX_RELEASES
from tests.contrib.redis.bad_server import GOOD, BadServer
from tests.contrib.redis.looking import KEY, queues, reported, until
from tests.contrib.redis.server import RedisServer

LIMIT = RateLimit(per_second=1000.0, burst=100, concurrency=100)
EAGER = [False, True] if sys.version_info >= (3, 12) else [False]
BAD: dict[str, bytes | None] = {
    "not UTF-8": b"$2\r\n\xff\xfe\r\n",
    "not UTF-8, inside": GOOD.replace(b"4.000000", b"\xff\xfe\xff\xfe\xff\xfe\xff\xfe"),
    "not the protocol": b"HTTP/1.1 200 OK\r\n\r\n",
    "a number": b":1\r\n",
    "nothing": b"$-1\r\n",
    "no array": b"*-1\r\n",
    "an empty array": b"*0\r\n",
    "two members": b"*2\r\n:1\r\n:1\r\n",
    "words": b"*5\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n",
    "nested": b"*5\r\n*0\r\n*0\r\n*0\r\n*0\r\n*0\r\n",
    "not a number": GOOD.replace(b"4.000000", b"     nan"),
    "without end": GOOD.replace(b"4.000000", b"     inf"),
    "beyond all dates": GOOD.replace(b"4.000000", b"1.0e+300"),
    "negative": GOOD.replace(b":1\r\n$8", b":-1\r\n$8"),
    "a wait below 0": GOOD.replace(b"$8\r\n0.000000", b"$4\r\n-1.0", 1),
    "no memory": b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    "a replica": b"-READONLY You can't write against a read only replica.\r\n",
    "loading": b"-LOADING Redis is loading the dataset in memory\r\n",
    "busy": b"-BUSY Redis is busy running a script.\r\n",
    "forgets the script": b"-NOSCRIPT No matching script.\r\n",
    "closes": b"",
    "half a reply": GOOD[:20],
    "silence": None,
}


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What the package logs."""
    with caplog.at_level(logging.INFO, "chatloom_async"):
        yield caplog


def levels(log: pytest.LogCaptureFixture) -> list[str]:
    """The levels of what the package logged."""
    return [record.levelname for record in log.records if record.name == "chatloom_async"]


def limiter_at(url: str, **options: Any) -> RedisLimiter:
    """A limiter that soon tries again."""
    return RedisLimiter(url, LIMIT, **{"timeout": 5.0, "retry_every": 0.02, **options})


async def call(limiter: RedisLimiter, key: str = "a") -> None:
    """One call that succeeds; it gets its permit in time."""
    async with asyncio.timeout(10.0):
        await limiter.acquire(key)
    limiter.release(key, "succeeded")


@pytest.mark.parametrize("bad", BAD)
async def test_a_bad_reply(bad: str, log: pytest.LogCaptureFixture) -> None:
    """The call goes on by the process's own share; then Redis is asked again, and counts as before."""
    replies = [BAD[bad]] * (2 if bad == "forgets the script" else 1)
    timeout = 0.3 if bad in ("silence", "half a reply") else 5.0
    async with BadServer(*replies) as server, limiter_at(server.url, timeout=timeout) as limiter:
        await call(limiter)
        assert levels(log) == ["WARNING"]
        await until(lambda: levels(log) == ["WARNING", "INFO"])
        asked = server.asked
        await call(limiter)
        assert server.asked > asked
    assert levels(log) == ["WARNING", "INFO"]


async def test_bad_replies_only(log: pytest.LogCaptureFixture) -> None:
    """Calls go on for as long as it lasts, with one warning; what is to be reported does not pile up."""
    async with BadServer(*[BAD["not UTF-8"]] * 10_000) as server, limiter_at(server.url) as limiter:
        for _ in range(50):
            await call(limiter)
            await asyncio.sleep(0.002)
        (queue,) = queues(limiter)
        assert len(queue._releases) <= 2
        assert server.asked > 2
    assert levels(log) == ["WARNING"]


async def test_a_replica_behind_the_connection(log: pytest.LogCaptureFixture) -> None:
    """After a failover, the connection that is there leads to a replica. A new one is made."""
    cure = BAD["a replica"]
    assert cure
    async with BadServer(cure=cure) as server, limiter_at(server.url) as limiter:
        await call(limiter)
        await until(lambda: levels(log) == ["WARNING", "INFO"])
        assert server.connections == 2


async def test_a_real_replica_and_a_real_lack_of_memory(own_server: RedisServer, log: pytest.LogCaptureFixture) -> None:
    """A server that becomes a replica and a primary again is an outage; one that is full still counts permits."""
    async with limiter_at(own_server.url) as limiter:
        await call(limiter)
        own_server.client.replicaof("127.0.0.1", "1")
        await call(limiter)
        own_server.client.replicaof("NO", "ONE")
        await until(lambda: levels(log) == ["WARNING", "INFO"])
        own_server.client.config_set("maxmemory", "1")
        await call(limiter)
        own_server.client.config_set("maxmemory", "0")
        await call(limiter)
    assert ("ReadOnlyError" in log.messages[0], levels(log)) == (True, ["WARNING", "INFO"])


@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize("steps", range(0, 40, 2))
async def test_other_tasks_are_cancelled_once(server: RedisServer, steps: int, *, eager: bool) -> None:
    """Whatever the background was about: those who wait get a permit, and soon after Redis counts again."""
    if eager:
        asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory", None))
    async with limiter_at(server.url) as limiter:
        name, before = limiter.fingerprint(KEY), asyncio.all_tasks()
        calls = {asyncio.create_task(call(limiter, name)) for _ in range(3)}
        for _ in range(steps):
            await asyncio.sleep(0)
        for task in asyncio.all_tasks() - before - calls:
            task.cancel()
        await asyncio.gather(*calls)
        await call(limiter, name)
        await until(lambda: (queues := limiter._queues.unclosed) is not None and queues._outage is None)
        await call(limiter, name)
        state = await reported(limiter)
        assert (state.in_flight, state.queued) == (0, 0)


@pytest.mark.parametrize("share", [1.0, None])
async def test_other_tasks_are_cancelled_always(
    server: RedisServer, log: pytest.LogCaptureFixture, share: float | None
) -> None:
    """Calls go on by the process's own share, or fail at once; none waits for ever, and one warning says why."""
    limiter = limiter_at(server.url, share=share)
    before = asyncio.all_tasks()
    me = asyncio.current_task()
    ended = False

    async def cancel() -> None:
        while not ended:
            for task in asyncio.all_tasks() - before - calls - {asyncio.current_task(), me}:
                task.cancel()
            await asyncio.sleep(0)

    calls: set[Any] = set()
    calls |= {asyncio.create_task(call(limiter)) for _ in range(5)}
    canceller = asyncio.create_task(cancel())
    results = await asyncio.gather(*calls, return_exceptions=True)
    ended = True
    await canceller
    expected = {type(None)} if share else {RedisUnavailableError}
    assert ({type(result) for result in results}, levels(log)) == (expected, ["WARNING"])
    await until(lambda: (queues := limiter._queues.unclosed) is not None and queues._outage is not None)
    if share:
        await call(limiter)  # which tries again, since nobody else is left who could
    else:
        with pytest.raises(RedisUnavailableError):
            await call(limiter)
    await until(lambda: levels(log) == ["WARNING", "INFO"])
    await call(limiter)
    await limiter.aclose()


def test_the_event_loop_ends(server: RedisServer, log: pytest.LogCaptureFixture) -> None:
    """Its tasks are cancelled then, which is no outage: nothing is logged, and nothing begins."""

    async def main() -> None:
        limiter = RedisLimiter(server.url, RateLimit(per_second=0.01, burst=1))
        await limiter.acquire("a")
        waiting.append(asyncio.create_task(limiter.acquire("a")))
        await asyncio.sleep(0.05)

    waiting: list[Any] = []
    asyncio.run(main())
    assert (waiting[0].cancelled(), log.records) == (True, [])


async def test_more_releases_than_one_step_reports(server: RedisServer) -> None:
    """All are reported, in several steps."""
    number = MAX_RELEASES + 5
    limit = RateLimit(per_second=1e6, burst=number, concurrency=number)
    async with RedisLimiter(server.url, limit, timeout=10.0) as limiter:
        name = limiter.fingerprint(KEY)
        await asyncio.gather(*(limiter.acquire(name) for _ in range(number)))
        for _ in range(number):
            limiter.release(name, "succeeded")
        assert (await reported(limiter)).in_flight == 0


@pytest.mark.parametrize("decode", [False, True])
async def test_a_client_that_decodes_or_not(server: RedisServer, decode: bool, log: pytest.LogCaptureFixture) -> None:
    """Both are fine, with either version of the protocol."""
    for protocol in (2, 3):
        url = f"{server.url}?protocol={protocol}"
        limiter = RedisLimiter(partial(redis.asyncio.from_url, url, decode_responses=decode))
        await call(limiter)
        assert (await limiter.state(KEY)).rate == 4.0
        await limiter.aclose()
    assert log.records == []


@pytest.mark.parametrize("step", [-7200.0, -60.0, 60.0])
async def test_the_clock_of_redis_is_set(server: RedisServer, step: float) -> None:
    """Back or forward: permits come at their rate, slots come free by themselves, and nothing is given twice."""
    limit = RateLimit(per_second=20.0, burst=2, concurrency=3)
    async with RedisLimiter(server.url, limit, lease=0.5) as limiter, RedisLimiter(server.url, limit) as other:
        name = limiter.fingerprint(KEY)
        for _ in range(2):
            await limiter.acquire(name)
        waiting = asyncio.create_task(other.acquire(name))
        await asyncio.sleep(0.01)
        server.set_clock(name, step)
        began = asyncio.get_running_loop().time()
        await asyncio.wait_for(waiting, 2.0)
        for _ in range(3):  # the slots are free when the leases have ended
            await asyncio.wait_for(limiter.acquire(name), 2.0)
        assert asyncio.get_running_loop().time() - began > (0.02 if step < 0 else 0.0)


async def test_a_pause_outlives_a_clock_that_is_set_back(server: RedisServer) -> None:
    """It takes as long as it would have, not longer by the step."""
    async with limiter_at(server.url) as limiter:
        name = limiter.fingerprint(KEY)
        await limiter.acquire(name)
        began = asyncio.get_running_loop().time()
        limiter.release(name, "throttled", 0.3)
        await reported(limiter)
        server.set_clock(name, -3600.0)
        await asyncio.wait_for(limiter.acquire(name), 10.0)
        assert asyncio.get_running_loop().time() - began > 0.29


FORK = """
import asyncio, os, sys
from chatloom_async import RateLimit
from chatloom_async.contrib.redis import RedisLimiter

limiter = RedisLimiter(sys.argv[1], RateLimit(per_second=1000.0, concurrency=2))

async def child():
    limiter.release("a", "succeeded")  # the parent's permit is not the child's
    await asyncio.wait_for(limiter.acquire("a"), 5)
    limiter.release("a", "unused")
    await limiter.aclose()

async def parent():
    await limiter.acquire("a")
    process = os.fork()
    if process == 0:
        asyncio.run(child())
        os._exit(0)
    for _ in range(20):  # its connection is still its own
        await asyncio.wait_for(limiter.acquire("a"), 5)
        limiter.release("a", "succeeded")
        await asyncio.sleep(0.01)
    status = await asyncio.to_thread(os.waitpid, process, 0)
    await limiter.acquire("a")
    print("parent", status[1], len(limiter._queues.unclosed._queues["a"].held), flush=True)
    await limiter.aclose()

asyncio.run(parent())
"""


def test_a_release_outside_of_an_event_loop(server: RedisServer) -> None:
    """Does nothing: the permit's lease ends by itself."""
    limiter = limiter_at(server.url)
    asyncio.run(limiter.acquire("a"))
    limiter.release("a", "succeeded")
    assert server.client.zcard("chatloom:{a}:flights") == 1


def test_a_fork(server: RedisServer) -> None:
    """Parent and child go on, each over a connection of its own and with its own permits."""
    command = [sys.executable, "-W", "error", "-c", FORK, server.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("parent 0 2\n", "")
