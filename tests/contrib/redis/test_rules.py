"""The rules of policy/limiter.py, kept by Redis; two limiters stand for two processes. Time passes by ageing states."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from chatloom_async import RateLimit
from chatloom_async.contrib.redis import RedisLimiter
from chatloom_async.policy.limiter import PermitOutcome
from tests.contrib.redis.looking import KEY, REST, queues, reported
from tests.contrib.redis.server import RedisServer


@pytest.fixture
async def limiters(server: RedisServer) -> AsyncIterator[Any]:
    """Makes limiters on one Redis, each with a connection of its own, and closes them."""
    made: list[RedisLimiter] = []

    def make(**options: Any) -> RedisLimiter:
        rules = {name: options.pop(name) for name in ("per_second", "burst", "concurrency") if name in options}
        made.append(RedisLimiter(server.url, RateLimit(**rules), **options))
        return made[-1]

    yield make
    for limiter in made:
        await limiter.aclose()


async def tried(limiter: RedisLimiter, name: str = "a", seconds: float = 0.2) -> bool:
    """Whether a permit comes within so short a time, once there is a connection."""
    await limiter.state(KEY)
    try:
        await asyncio.wait_for(limiter.acquire(name), seconds)
    except TimeoutError:
        return False
    return True


async def test_burst_then_rate(limiters: Any) -> None:
    """As many as `burst` leave at once, the others not before their time, and not much later."""
    limiter = limiters(per_second=50.0, burst=3)
    loop = asyncio.get_running_loop()
    moments: list[float] = []

    async def call() -> None:
        await limiter.acquire("a")
        moments.append(loop.time())
        limiter.release("a", "succeeded")

    began = loop.time()
    await asyncio.gather(*(call() for _ in range(8)))
    earliest = [max(0, number - 2) / 50 for number in range(8)]
    late = [moment - began - due for moment, due in zip(moments, earliest, strict=True)]
    assert min(late) > -0.002  # of the first reply's way
    assert min(late[3:]) < 0.1


async def test_a_limit_is_everybodys(limiters: Any) -> None:
    """What one process took, another cannot take; another key is another matter."""
    one, other = (limiters(burst=2, per_second=0.01) for _ in range(2))
    assert [await tried(each) for each in (one, other, one, other)] == [True, True, False, False]
    assert await tried(other, "b")


async def test_concurrency(limiters: Any) -> None:
    """Never more than `concurrency` are in flight in all processes; whatever ends one lets in the next."""
    one, other = (limiters(per_second=1000.0, burst=100, concurrency=2) for _ in range(2))
    name = one.fingerprint(KEY)
    assert [await tried(each, name) for each in (one, other, one, other)] == [True, True, False, False]
    assert await one.state(KEY) == evolve(REST, rate=1000.0, in_flight=2)
    for outcome in ("succeeded", "failed", "unused"):
        waiting = asyncio.create_task(one.acquire(name))
        await asyncio.sleep(0.01)
        other.release(name, outcome)
        await waiting
        one.release(name, "failed")
        await other.acquire(name)


@pytest.mark.parametrize(
    ("outcome", "rate", "again"),
    [("succeeded", 2.0, False), ("failed", 2.0, False), ("unused", 2.0, True), ("throttled", 1.4, False)],
)
async def test_outcomes(limiters: Any, outcome: PermitOutcome, rate: float, *, again: bool) -> None:
    """Only an unused permit brings its token back; only a 429 slows down; all end the flight."""
    limiter = limiters(per_second=2.0, burst=1)
    name = limiter.fingerprint(KEY)
    await limiter.acquire(name)
    limiter.release(name, outcome, 0.0)
    assert await reported(limiter) == evolve(REST, rate=rate)
    assert await tried(limiter, name) is again


@pytest.mark.parametrize(
    ("retry_after", "pause"), [(None, 1.0), (0.0, 0.0), (2.5, 2.5), (7.0, 7.0), (3600.0, 3600.0), (1e9, 86_400.0)]
)
async def test_a_429_closes_the_gate_for_all(
    server: RedisServer, limiters: Any, retry_after: float | None, pause: float
) -> None:
    """Nobody leaves before Retry-After, or a second where the API names none; then one, the rest by the rate."""
    one, other = (limiters(per_second=1.0) for _ in range(2))
    name = one.fingerprint(KEY)
    await one.acquire(name)
    one.release(name, "throttled", retry_after)
    state = await reported(one)
    until = state.paused_until or datetime.now(UTC)
    assert abs(until - datetime.now(UTC) - timedelta(seconds=pause)) < timedelta(seconds=0.3)
    assert evolve(state, paused_until=None) == evolve(REST, rate=0.7)
    assert await tried(other, name) is (pause == 0.0)
    server.age(name, pause)
    assert await tried(other, name) is (pause > 0.0)
    assert not await tried(other, name)


async def test_429s_in_a_row(server: RedisServer, limiters: Any) -> None:
    """The pause doubles up to 20 s, and the rate falls down to 0.2; a success ends the row, and speeds up by 0.02."""
    limiter = limiters(burst=1)
    name = limiter.fingerprint(KEY)
    pauses, rates = [], []
    for _ in range(11):
        await limiter.acquire(name)
        limiter.release(name, "throttled")
        state = await reported(limiter)
        assert state.paused_until is not None
        pauses.append(round((state.paused_until - datetime.now(UTC)).total_seconds() + 0.2))
        rates.append(round(state.rate, 3))
        server.age(name, 60.0)
    assert pauses == [1, 2, 4, 8, 16, 20, 20, 20, 20, 20, 20]
    assert rates == [2.8, 1.96, 1.372, 0.96, 0.672, 0.471, 0.329, 0.231, 0.2, 0.2, 0.2]
    await limiter.acquire(name)
    limiter.release(name, "succeeded")
    assert (await reported(limiter)).rate == pytest.approx(0.22)
    server.age(name, 60.0)
    await limiter.acquire(name)
    limiter.release(name, "throttled")
    paused_until = (await reported(limiter)).paused_until
    assert paused_until is not None
    assert paused_until - datetime.now(UTC) < timedelta(seconds=1)


async def test_429s_within_a_second_count_as_one(limiters: Any) -> None:
    """A whole burst that is refused slows down once; the longest Retry-After holds."""
    one, other = limiters(), limiters()
    name = one.fingerprint(KEY)
    for limiter in (one, other, one):
        await limiter.acquire(name)
    for limiter, retry_after in ((one, 1.0), (other, 30.0), (one, 2.0)):
        limiter.release(name, "throttled", retry_after)
        await reported(limiter)
    state = await one.state(KEY)
    assert state.paused_until is not None
    assert timedelta(seconds=29) < state.paused_until - datetime.now(UTC) <= timedelta(seconds=30)
    assert evolve(state, paused_until=None) == evolve(REST, rate=2.8)


async def test_a_pause_is_a_second_at_least(limiters: Any) -> None:
    """Also where a success came between two 429 that are one event, so that the row begins anew and counts none."""
    limiter = limiters()
    name = limiter.fingerprint(KEY)
    for _ in range(3):
        await limiter.acquire(name)
    limiter.release(name, "throttled", 0.0)
    limiter.release(name, "succeeded")
    limiter.release(name, "throttled")
    paused_until = (await reported(limiter)).paused_until
    assert paused_until is not None
    assert paused_until - datetime.now(UTC) > timedelta(seconds=0.6)


async def test_the_rate_comes_back(limiters: Any) -> None:
    """By 0.02 with each success, never above what was asked for."""
    limiter = limiters(per_second=100.0, burst=10)
    name = limiter.fingerprint(KEY)
    await limiter.acquire(name)
    limiter.release(name, "throttled", 0.0)
    for rate in (70.02, 70.04):
        await limiter.acquire(name)
        limiter.release(name, "succeeded")
        assert (await reported(limiter)).rate == pytest.approx(rate)
    assert (await limiters(per_second=50.0).state(KEY)).rate == 50.0


async def test_a_lease_ends_by_itself(limiters: Any) -> None:
    """A permit that its process never gives back is free again after `lease` seconds."""
    one, other = (limiters(per_second=1000.0, burst=10, concurrency=1, lease=0.6) for _ in range(2))
    assert [await tried(one), await tried(other), await tried(other, seconds=2.0)] == [True, False, True]
    one.release("a", "unused")  # too late, so it brings back no token


async def test_first_come_first_served(limiters: Any) -> None:
    """In one process, also for those who come when others wait already."""
    limiter = limiters(per_second=100.0, burst=1)
    order: list[int] = []

    async def call(number: int) -> None:
        await limiter.acquire("a")
        order.append(number)

    tasks = []
    for number in range(6):
        tasks.append(asyncio.create_task(call(number)))
        await asyncio.sleep(0.003)
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4, 5]


async def test_processes_take_turns(limiters: Any) -> None:
    """However long the queue in one of them is."""
    one, other = (limiters(per_second=10.0, burst=1) for _ in range(2))
    await other.state(KEY)
    order: list[str] = []

    async def call(limiter: RedisLimiter, name: str) -> None:
        await limiter.acquire("a")
        order.append(name)

    tasks = [asyncio.create_task(call(one, "one")) for _ in range(5)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    tasks += [asyncio.create_task(call(other, "other")) for _ in range(2)]
    await asyncio.gather(*tasks)
    assert order == ["one", "one", "other", "one", "other", "one", "one"]


async def test_who_does_not_come_loses_the_turn(server: RedisServer, limiters: Any) -> None:
    """A place in line is kept for a second, then a process that was killed holds up nobody."""
    limiter = limiters(per_second=1000.0, burst=1)
    seconds, micros = server.client.time()  # type: ignore[misc]
    server.client.zadd("chatloom:{a}:line", {"killed": seconds + micros / 1e6 - 0.5})
    assert [await tried(limiter), await tried(limiter, seconds=2.0)] == [False, True]


async def test_who_gives_up_leaves_no_trace(server: RedisServer, limiters: Any) -> None:
    """A call that is cancelled in the queue, the only one or not, takes neither token, nor slot, nor place in line."""
    limiter = limiters(per_second=0.5, burst=1)
    name = limiter.fingerprint(KEY)
    await limiter.acquire(name)
    tasks = [asyncio.create_task(limiter.acquire(name)) for _ in range(3)]
    await asyncio.sleep(0.02)
    assert (await limiter.state(KEY)).queued == 3
    for task in tasks:
        task.cancel()
        await asyncio.wait([task])
    limiter.release(name, "unused")
    assert await reported(limiter) == evolve(REST, rate=0.5)
    assert server.client.exists(f"chatloom:{{{name}}}:line", f"chatloom:{{{name}}}:flights") == 0
    assert await tried(limiter, name)


@pytest.mark.parametrize("turns", range(12))
async def test_cancelled_at_any_moment(limiters: Any, turns: int) -> None:
    """On the way to Redis, on the way back, or when the permit is just there: it goes back."""
    limiter = limiters(per_second=0.01, burst=1)
    name = limiter.fingerprint(KEY)
    await limiter.state(KEY)
    task = asyncio.create_task(limiter.acquire(name))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        limiter.release(name, "unused")
    assert await reported(limiter) == evolve(REST, rate=0.01)
    assert await tried(limiter, name)


async def test_a_permit_that_nobody_waits_for_any_more_goes_back(limiters: Any) -> None:
    """Cancelled in the very moment in which the permit is handed over."""
    limiter = limiters(per_second=0.01, burst=1)
    name = limiter.fingerprint(KEY)
    task = asyncio.create_task(limiter.acquire(name))
    await asyncio.sleep(0)
    (queue,) = queues(limiter)
    for _ in range(1000):
        if not queue.queued:
            break
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert await reported(limiter) == evolve(REST, rate=0.01)
    assert await tried(limiter, name)


async def test_redis_sees_fingerprints_only(server: RedisServer, limiters: Any) -> None:
    """No name and no value holds a key, or this process's salted fingerprint; and all of it goes away by itself."""
    limiter, secretive = limiters(burst=1, prefix="mine"), limiters(secret=b"pepper")
    name = limiter.fingerprint(KEY)
    await limiter.acquire(name)
    waiting = asyncio.create_task(limiter.acquire(name))
    await asyncio.sleep(0.02)
    names = sorted(server.client.keys())  # type: ignore[type-var, arg-type]
    assert names == [f"mine:{{{name}}}:{part}" for part in ("flights", "line", "state")]
    told = repr(names)
    for part in ("flights", "line"):
        told += repr(server.client.zrange(f"mine:{{{name}}}:{part}", 0, -1))
    told += repr(server.client.hgetall(f"mine:{{{name}}}:state"))
    assert (KEY.reveal() in told, KEY.fingerprint in told, name in told) == (False, False, True)
    assert all(0 < int(server.client.ttl(each)) <= 3600 for each in names)  # type: ignore[arg-type]
    assert name == "a006f72483026741"  # the same in every process, and in the next version
    assert secretive.fingerprint(KEY) != name
    waiting.cancel()
