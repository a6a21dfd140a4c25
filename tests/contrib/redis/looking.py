"""Looks into a RedisLimiter: what it still has to report, and what holds once it has."""

import asyncio
from collections.abc import Callable

from chatloom_async import ApiKey, LimitState
from chatloom_async.contrib.redis import RedisLimiter
from chatloom_async.contrib.redis.queue import KeyQueue

KEY = ApiKey("clf_test_0123456789")
REST = LimitState(rate=4.0, queued=0, in_flight=0, paused_until=None)


async def until(condition: Callable[[], bool]) -> None:
    """Waits for something that happens in the background."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it does not happen")


def queues(limiter: RedisLimiter) -> list[KeyQueue]:
    """The queues of the keys in use."""
    opened = limiter._queues.unclosed
    return [*opened._queues.values()] if opened else []


async def reported(limiter: RedisLimiter) -> LimitState:
    """The state of `KEY` once everything is reported."""
    await until(lambda: not any(queue.asking for queue in queues(limiter)))
    return await limiter.state(KEY)
