"""The way to Redis and back after it was away, with a client that does as it is told."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import pytest
from redis.exceptions import RedisError

from chatloom_async import RateLimit
from chatloom_async.contrib.redis import RedisLimiter
from chatloom_async.contrib.redis.queue import KeyQueues
from chatloom_async.contrib.redis.script import Connection, RedisUnavailableError, Reply, ScriptConfig, Step
from chatloom_async.policy.clock import SystemClock
from chatloom_async.policy.limiter import KeyedLimiter
from tests.contrib.redis.looking import KEY, until

LIMIT = RateLimit()
CONFIG = ScriptConfig(LIMIT, lease=60.0, who="me", prefix="test")
REPLY = [1, "0.0", "4.0", "0.0", 1]


class Client:
    """A Redis client whose pipelines grant each step, and whose pool closes its connections by `disconnect`."""

    def __init__(self, disconnect: Callable[[bool], Awaitable[None]] | None, reply: Sequence[Any] = REPLY) -> None:
        self._reply = reply
        self.commands: list[tuple[Any, ...]] = []
        self.aclose: Callable[[], Awaitable[None]]
        if disconnect:
            self.connection_pool, self._disconnect = self, disconnect

    async def disconnect(self, *, inuse_connections: bool) -> None:
        await self._disconnect(inuse_connections)

    def pipeline(self, *, transaction: bool) -> "Client":
        assert transaction is False
        self.commands.clear()
        return self

    def evalsha(self, *arguments: Any) -> None:
        self.commands.append(arguments)

    async def execute(self, *, raise_on_error: bool) -> list[Any]:
        assert raise_on_error is False
        return [self._reply for _ in self.commands]


async def refused(_: bool) -> None:
    """Closing a broken connection may raise anything."""
    raise ZeroDivisionError


async def hanging(_: bool) -> None:
    """Or never end."""
    await asyncio.Event().wait()


@pytest.mark.parametrize("disconnect", [refused, hanging, None])
async def test_a_connection_that_cannot_be_closed_does_not_matter(disconnect: Any) -> None:
    """Nor a client without a pool, as that of a cluster: Redis is asked all the same."""
    connection = Connection(Client(disconnect), CONFIG, timeout=0.01)
    assert (await connection.ask_anew(Step("a"))).granted == 1


async def test_connections_in_use_are_left_alone() -> None:
    """Another part of the program may share the client."""
    closed: list[bool] = []

    async def disconnect(inuse: bool) -> None:
        closed.append(inuse)

    await Connection(Client(disconnect), CONFIG, timeout=1.0).ask_anew(Step("a"))
    assert closed == [False]


def test_nothing_was_sent_if_redis_is_away() -> None:
    """So that a call may be repeated, whatever it is."""
    error = RedisUnavailableError.because(OSError("gone"))
    assert (error.message, error.sent) == ("The shared rate limiter's Redis does not answer (OSError: gone)", False)


@pytest.mark.parametrize("reply", [None, 5, [], [1, "x", "4", "0", 1], [-1, "0", "4", "0", 1], [1, "inf", "4", "0", 1]])
def test_another_reply_is_told_as_what_it_is(reply: Any) -> None:
    """Another program may use the same names."""
    problem = Reply.of(reply)
    assert isinstance(problem, RedisUnavailableError)
    assert problem.message.endswith("does not answer (ValueError: a reply that is not this script's)")


class AwayUnlessNew:
    """A connection that answers only when it is asked anew."""

    def __init__(self) -> None:
        self.asked: list[Step] = []

    async def ask(self, step: Step) -> Reply:
        raise RedisUnavailableError("away", sent=False)

    async def ask_anew(self, step: Step) -> Reply:
        self.asked.append(step)
        return Reply(0, 0.0, 4.0, 0.0, 0)


async def test_the_key_that_met_the_outage_is_tried_again() -> None:
    """Redis may work for others, such as on another node."""
    connection: Any = AwayUnlessNew()
    queues = KeyQueues(connection, "me", 4, KeyedLimiter(LIMIT, SystemClock()), retry_every=0.0)
    await queues.acquire("a")
    assert queues._reconnecting is not None
    await queues._reconnecting
    assert {step.key for step in connection.asked} == {"a"}


@pytest.mark.parametrize("ask", [lambda queues, key: queues.ask(Step(key)), KeyQueues.acquire])
async def test_a_cancelled_way_back_is_taken_by_the_next_that_asks(ask: Callable[..., Awaitable[None]]) -> None:
    """With its own key."""
    connection: Any = AwayUnlessNew()
    queues = KeyQueues(connection, "me", 4, None, retry_every=0.001)
    for key in ("a", "b"):
        with pytest.raises(RedisUnavailableError):
            await ask(queues, key)
        assert queues._reconnecting is not None
        if key == "a":
            queues._reconnecting.cancel()
        await asyncio.wait([queues._reconnecting])
    assert {step.key for step in connection.asked} == {"b"}


async def test_what_is_closed_looks_for_no_way_back() -> None:
    """A task would outlive it."""
    connection: Any = AwayUnlessNew()
    queues = KeyQueues(connection, "me", 4, None, retry_every=0.0)
    await queues.aclose(1.0)
    with pytest.raises(RedisUnavailableError):
        await queues.ask(Step("a"))
    assert queues._reconnecting is None


class Granting(AwayUnlessNew):
    """A connection that grants one permit with each step."""

    async def ask(self, step: Step) -> Reply:
        self.asked.append(step)
        return Reply(min(step.want, 1), 0.0, 4.0, 0.0, 1)


@pytest.mark.parametrize("connection", [AwayUnlessNew(), Granting()])
async def test_a_429_is_remembered_with_its_seconds(connection: Any) -> None:
    """Whoever granted the permit: without Redis, the pause goes on."""
    fallback = KeyedLimiter(LIMIT, SystemClock())
    queues = KeyQueues(connection, "me", 4, fallback, retry_every=60.0)
    await queues.acquire("a")
    queues.release("a", "throttled", 600.0)
    assert queues._pauses["a"] - monotonic() > 500
    if isinstance(connection, Granting):
        await queues.aclose(1.0)
        assert [release.outcome for step in connection.asked for release in step.releases] == ["throttled"]
    else:
        until = fallback.states()["a"].paused_until
        assert until is not None
        assert until - datetime.now(UTC) > timedelta(seconds=500)
        await queues.aclose(1.0)


async def test_a_queue_may_be_forgotten_twice() -> None:
    """Its task may end after its last permit was given back."""
    queues = KeyQueues(Granting(), "me", 4, None, retry_every=60.0)  # type: ignore[arg-type]
    queue = queues._queue_of("a")
    queues._forget(queue)
    queues._forget(queue)
    assert queues.queued("a") == 0


@pytest.mark.parametrize("problem", [OSError, RedisError, None])
async def test_a_limiter_closes_whatever_its_connection_does(problem: type[Exception] | None) -> None:
    """A broken connection needs no closing, and one that hangs is left."""
    client = Client(None)

    async def aclose() -> None:
        if problem:
            raise problem
        await asyncio.Event().wait()

    client.aclose = aclose
    async with RedisLimiter(lambda: client, timeout=0.01) as limiter:
        await limiter.acquire("a")
    assert limiter._queues.unclosed is None


async def test_who_asks_for_the_state_keeps_the_place_of_the_waiting_calls() -> None:
    """Redis forgets the line of a process that says that nobody waits."""
    client = Client(None, [0, "10.0", "4.0", "0.0", 4])
    client.aclose = lambda: asyncio.sleep(0)
    async with RedisLimiter(lambda: client) as limiter:
        waiting = asyncio.create_task(limiter.acquire(limiter.fingerprint(KEY)))
        await until(lambda: bool(client.commands))
        client.commands.clear()
        assert (await limiter.state(KEY)).queued == 1
        ((*_, queued),) = client.commands
        assert queued == 1
        waiting.cancel()
