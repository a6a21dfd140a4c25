"""What happens while Redis is away: calls go on at a stated share, or fail, as was asked for."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from chatloom_async import RateLimit
from chatloom_async.contrib.redis import RedisLimiter, RedisUnavailableError
from chatloom_async.policy.limiter import KeyedLimiter
from tests.contrib.redis.looking import KEY, REST, reported, until
from tests.contrib.redis.server import RedisServer, free_port

AWAY = "The shared rate limiter's Redis does not answer"
BACK = "The shared rate limiter's Redis answers again"


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What the package logs."""
    with caplog.at_level(logging.INFO, "chatloom_async"):
        yield caplog


def limiter_at(url: str, limit: RateLimit | None = None, **options: Any) -> RedisLimiter:
    """A limiter that soon gives up, and soon tries again."""
    return RedisLimiter(url, limit or RateLimit(), **{"timeout": 0.2, "retry_every": 0.05, **options})


def fallback(limiter: RedisLimiter) -> KeyedLimiter:
    """The limiter that takes over in this process."""
    queues = limiter._queues.unclosed
    assert queues is not None
    assert queues._fallback is not None
    return queues._fallback


async def until_back(log: pytest.LogCaptureFixture) -> None:
    """Returns when the log says that Redis answers again."""
    await until(lambda: any(each.message == BACK for each in log.records))


async def test_killed_in_the_middle(own_server: RedisServer, log: pytest.LogCaptureFixture) -> None:
    """Who waits then goes on at a quarter of the limit; one warning says so; Redis counts again when it is back."""
    limiter = limiter_at(own_server.url, RateLimit(per_second=100.0, burst=4, concurrency=100))
    name = limiter.fingerprint(KEY)
    for _ in range(4):
        await limiter.acquire(name)
    waiting = [asyncio.create_task(limiter.acquire(name)) for _ in range(3)]
    own_server.kill()
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*waiting)
    assert asyncio.get_running_loop().time() - began > 0.05  # 25 a second, 1 at once
    assert fallback(limiter).states()[name] == evolve(REST, rate=25.0, in_flight=3)
    for _ in range(7):
        limiter.release(name, "failed")
    (warning,) = log.records
    assert (warning.levelname, AWAY in warning.message) == ("WARNING", True)
    assert warning.message.endswith("; until it does, each process keeps to its own share of the limit")
    own_server.start()
    await until_back(log)
    await limiter.acquire(name)
    limiter.release(name, "failed")
    assert await reported(limiter) == evolve(REST, rate=100.0)
    assert fallback(limiter).states()[name].in_flight == 0
    assert own_server.client.exists(f"chatloom:{{{name}}}:state")
    assert [each.levelname for each in log.records] == ["WARNING", "INFO"]
    await limiter.aclose()


async def test_never_there(log: pytest.LogCaptureFixture) -> None:
    """A service starts without Redis, too: every call goes through; the state cannot be told."""
    async with limiter_at(f"redis://:pass-word@127.0.0.1:{free_port()}") as limiter:
        for _ in range(2):
            await asyncio.wait_for(limiter.acquire("a"), 1.0)
            limiter.release("a", "succeeded")
        with pytest.raises(RedisUnavailableError, match=AWAY):
            await limiter.state(KEY)
        shown = repr(limiter) + repr(vars(limiter)) + log.text
        assert "pass-word" not in shown
    assert [each.levelname for each in log.records] == ["WARNING"]


async def test_calls_fail_where_that_is_asked_for(own_server: RedisServer, log: pytest.LogCaptureFixture) -> None:
    """With `share=None`, at once as long as Redis is away, those that wait included; then all is as before."""
    limiter = limiter_at(own_server.url, RateLimit(per_second=0.01, burst=1), share=None)
    await limiter.acquire("a")
    waiting = [asyncio.create_task(limiter.acquire("a")) for _ in range(2)]
    await asyncio.sleep(0.02)
    waiting[0].cancel()
    own_server.kill()
    limiter.release("a", "unused")
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in outcomes] == [asyncio.CancelledError, RedisUnavailableError]
    with pytest.raises(RedisUnavailableError) as caught:
        await limiter.acquire("b")
    assert (caught.value.sent, caught.value.retryable, caught.value.kind) == (False, True, "transient")
    own_server.start()
    await until_back(log)
    assert log.records[0].message.endswith("; until it does, calls fail")
    await asyncio.wait_for(limiter.acquire("a"), 1.0)
    limiter.release("a", "failed")
    await limiter.aclose()


async def test_slow(own_server: RedisServer, log: pytest.LogCaptureFixture) -> None:
    """A Redis that does not answer in time is as good as none; what it did all the same is undone when it is back."""
    limiter = limiter_at(own_server.url, RateLimit(per_second=0.5, burst=4), timeout=0.1)
    name = limiter.fingerprint(KEY)
    await limiter.state(KEY)
    own_server.halt()
    await asyncio.wait_for(limiter.acquire(name), 1.0)
    own_server.go_on()
    await until_back(log)
    limiter.release(name, "succeeded")
    assert await reported(limiter) == evolve(REST, rate=0.5)
    for _ in range(4):  # the token of the step that nobody waited for is back
        await asyncio.wait_for(limiter.acquire(name), 0.1)
    await limiter.aclose()


async def test_a_pause_outlives_redis(own_server: RedisServer) -> None:
    """Nobody goes before Retry-After because Redis has gone away meanwhile; whoever heard of the pause."""
    one, other = (limiter_at(own_server.url, retry_every=60.0) for _ in range(2))
    name = one.fingerprint(KEY)
    await one.acquire(name)
    await other.state(KEY)
    one.release(name, "throttled", 0.4)
    await reported(one)
    assert (await other.state(KEY)).paused_until is not None
    began = asyncio.get_running_loop().time()
    own_server.kill()
    await asyncio.gather(one.acquire(name), other.acquire(name))
    assert asyncio.get_running_loop().time() - began > 0.3
    assert [fallback(each).states()[name].rate for each in (one, other)] == [0.7, 0.7]
    await one.aclose()
    await other.aclose()


async def test_a_pause_has_its_length_without_redis(own_server: RedisServer) -> None:
    """What is left of Retry-After, and not the first pause of one that nobody has heard of."""
    limiter = limiter_at(own_server.url, retry_every=60.0)
    name = limiter.fingerprint(KEY)
    await limiter.acquire(name)
    limiter.release(name, "throttled", 600.0)
    await reported(limiter)
    own_server.kill()
    waiting = asyncio.create_task(limiter.acquire(name))
    await until(lambda: name in (states := fallback(limiter).states()) and states[name].paused_until is not None)
    paused_until = fallback(limiter).states()[name].paused_until
    assert paused_until is not None
    assert paused_until - datetime.now(UTC) > timedelta(seconds=500)
    waiting.cancel()
    await limiter.aclose()


async def test_a_429_while_redis_is_away(own_server: RedisServer, log: pytest.LogCaptureFixture) -> None:
    """For a permit of Redis it is told when that is back, with what is left of Retry-After; for one's own, at once."""
    limiter = limiter_at(own_server.url, retry_every=0.2)
    name = limiter.fingerprint(KEY)
    await limiter.acquire(name)
    own_server.kill()
    await limiter.acquire(name)
    limiter.release(name, "throttled", 30.0)
    limiter.release(name, "throttled")
    assert fallback(limiter).states()[name].paused_until is not None
    own_server.start()
    await until_back(log)
    state = await reported(limiter)
    assert state.paused_until is not None
    assert state.rate == pytest.approx(2.8)
    assert timedelta(seconds=20) < state.paused_until - datetime.now(UTC) < timedelta(seconds=29.9)
    await limiter.aclose()


async def test_redis_is_there_but_refuses(server: RedisServer, log: pytest.LogCaptureFixture) -> None:
    """Names that are taken for something else, no memory, a replica: as good as away, and the warning says why."""
    server.client.set("chatloom:{a}:state", "something else")
    async with limiter_at(server.url, retry_every=60.0) as limiter:
        await asyncio.wait_for(limiter.acquire("a"), 1.0)
        limiter.release("a", "succeeded")
    assert "WRONGTYPE" in log.records[0].message


async def test_scripts_are_loaded_again(server: RedisServer, log: pytest.LogCaptureFixture) -> None:
    """A Redis that has forgotten the script is told it, unnoticed."""
    async with limiter_at(server.url) as limiter:
        await limiter.acquire("a")
        limiter.release("a", "succeeded")
        server.client.script_flush()
        await asyncio.gather(limiter.acquire("a"), limiter.acquire("b"))
    assert log.records == []


async def test_many_keys_at_once(server: RedisServer) -> None:
    """500 keys take three round trips, over one connection."""
    async with limiter_at(server.url, timeout=10.0) as limiter:
        await limiter.state(KEY)
        server.client.config_resetstat()
        await asyncio.gather(*(limiter.acquire(f"key {number}") for number in range(500)))
        assert server.client.info("commandstats")["cmdstat_evalsha"]["calls"] == 500  # type: ignore[index]
        assert server.client.info("clients")["connected_clients"] == 2  # type: ignore[index]


async def test_pauses_are_forgotten(server: RedisServer) -> None:
    """Those that are over, when there are many."""
    async with limiter_at(server.url, RateLimit(per_second=1e6), timeout=10.0) as limiter:
        for number in range(1100):
            await limiter.acquire(f"key {number}")
            limiter.release(f"key {number}", "throttled", 0.001)
        queues = limiter._queues.unclosed
        assert queues is not None
        assert len(queues._pauses) < 1024
