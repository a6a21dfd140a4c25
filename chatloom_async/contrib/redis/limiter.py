"""The rate limit of each key, shared by all processes that use the same Redis. Start at `RedisLimiter`.

This file holds what outlives an event loop: the settings and the names of keys in Redis. queue.py works in one loop.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Self

from attrs import field, frozen
from redis.asyncio import Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from ...policy.clock import SystemClock
from ...policy.limiter import KeyedLimiter, LimitState, PermitOutcome, RateLimit
from ...transports.per_loop import PerLoop
from ...wire.auth import ApiKey
from ...wire.errors import ConfigurationError
from ...wire.validation import INTERVAL, RATE, Requirement
from .queue import KeyQueues
from .script import Connection, ScriptConfig, Step

CONTEXT = b"chatloom limiter"  # keeps these fingerprints different from those of other programs
SHARE = Requirement(
    "a number above 0, 1 at most, or None", lambda value: value is None or (RATE.fits(value) and value <= 1)
)
SECRET = Requirement("at most 64 bytes", lambda value: isinstance(value, bytes) and len(value) <= 64)

MakeRedis = Callable[[], Any]  # a redis.asyncio.Redis, whose type parameters differ between versions


@frozen(kw_only=True)
class Settings:
    """The options of a `RedisLimiter`. Raises ConfigurationError for invalid values."""

    limit: RateLimit = field(validator=Requirement("a RateLimit", lambda value: isinstance(value, RateLimit)))
    share: float | None = field(validator=SHARE)
    lease: float = field(validator=INTERVAL)
    timeout: float = field(validator=INTERVAL)
    retry_every: float = field(validator=INTERVAL)
    prefix: str = field(validator=Requirement("a str", lambda value: isinstance(value, str)))
    secret: bytes = field(validator=SECRET, repr=False)

    def fallback(self) -> KeyedLimiter | None:
        """The limiter of this process while Redis is away; None if calls must not continue without Redis."""
        if self.share is None:
            return None
        burst, concurrency = (max(1, int(n * self.share)) for n in (self.limit.burst, self.limit.concurrency))
        limit = RateLimit(per_second=self.limit.per_second * self.share, burst=burst, concurrency=concurrency)
        return KeyedLimiter(limit, SystemClock())


def redis_maker(redis: str | MakeRedis) -> MakeRedis:
    """A function that makes a client for one event loop. Raises ConfigurationError for an invalid URL, unquoted."""
    if not isinstance(redis, str):
        return redis
    try:
        parse_url(redis)
    except ValueError:
        problem = ConfigurationError("The limiter needs a URL such as redis://localhost:6379/0, rediss:// or unix://")
    else:
        return lambda: Redis.from_url(redis, decode_responses=True, retry=Retry(NoBackoff(), 0))
    raise problem


class RedisLimiter:
    """A rate limit for each key that holds for all processes together, for `AsyncChatloom(rate_limit=...)`.

        async with RedisLimiter("redis://localhost") as limiter, AsyncChatloom(rate_limit=limiter) as chatloom: ...

    The rules are those of `RateLimit`: `burst` at once, then `per_second`; at most `concurrency` in flight. A 429
    pauses its key in all processes until Retry-After and lowers the rate; successes restore it. Redis's clock counts.
    Within a process, callers are served in order. Processes take turns, if each returns at its time. Not guaranteed:
    an exact order between processes, and that a slot freed by another process is taken at once; waiters check again
    at the pace of the rate.

    While Redis is unavailable, calls continue: each process uses `share` of the limit and the pauses that it knows.
    A good `share` is one divided by the number of processes. If it is None, calls raise RedisUnavailableError, a
    ConnectError, which is retried. Redis counts as unavailable if it does not answer within `timeout` seconds, answers
    with an error or an unknown reply, or if a background task of the limiter was cancelled. It logs one WARNING, and
    tries Redis again every `retry_every` seconds over a new connection.

    A Redis that comes back empty, or whose clock is set forward, allows each key one more burst and has no pauses and
    lowered rates. If the clock is set back, permits continue at their rate.

    redis: a URL (redis://, rediss://, unix://), or a callable that makes a `redis.asyncio.Redis`, once per event loop.
    lease: seconds after which the slot of a killed process is released. Use more than an attempt may take.
    prefix: the beginning of the names in Redis: `chatloom:{fingerprint}:...`. They never contain the key.
    secret: a salt for the fingerprints; at most 64 bytes, the same in all processes.

    One limiter works in several event loops, one after the other. Needs Redis 5 or later, or Valkey.
    """

    def __init__(
        self,
        redis: str | MakeRedis,
        limit: RateLimit = RateLimit(),
        *,
        share: float | None = 0.25,
        lease: float = 60.0,
        timeout: float = 1.0,
        retry_every: float = 1.0,
        prefix: str = "chatloom",
        secret: bytes = b"",
    ) -> None:
        self._settings = Settings(
            limit=limit,
            share=share,
            lease=lease,
            timeout=timeout,
            retry_every=retry_every,
            prefix=prefix,
            secret=secret,
        )
        self._make = redis_maker(redis)
        self._queues = PerLoop(self._open)

    def fingerprint(self, key: ApiKey) -> str:
        """A key's name in Redis, the same in every process: 16 hexadecimal digits.

        It does not reveal the key: keys are long and random, and far more than 2^64 exist. Somebody who has a key
        could find its name; a `secret` prevents that.
        """
        text = key.reveal().encode()
        return blake2b(text, key=self._settings.secret, person=CONTEXT, digest_size=8).hexdigest()

    async def acquire(self, key: str) -> None:
        await (self._queues.current() or await self._queues.open()).acquire(key)

    def release(self, key: str, outcome: PermitOutcome, retry_after: float | None = None) -> None:
        """Reports the release in the background, together with the next request for a permit, if any."""
        try:
            queues = self._queues.current()
        except RuntimeError:  # no event loop runs
            return
        if queues is not None:  # else the permit belongs to a closed event loop or to the parent process
            queues.release(key, outcome, retry_after)

    async def state(self, key: ApiKey) -> LimitState:
        """The current state of a key in all processes; `queued` counts the calls of this process. Raises
        RedisUnavailableError."""
        queues, name = self._queues.current() or await self._queues.open(), self.fingerprint(key)
        reply = await queues.ask(Step(name, queued=queues.queued(name)))
        until = datetime.now(UTC) + timedelta(seconds=reply.pause) if reply.pause else None
        return LimitState(rate=reply.rate, queued=queues.queued(name), in_flight=reply.in_flight, paused_until=until)

    async def aclose(self) -> None:
        """Reports the remaining releases and closes the connection. The limiter may be used again."""
        if queues := self._queues.current():
            opened, self._queues = self._queues, PerLoop(self._open)
            await queues.aclose(self._settings.timeout)
            with suppress(RedisError, OSError, TimeoutError):  # a broken connection needs no closing
                async with asyncio.timeout(self._settings.timeout):
                    await opened.aclose()

    async def _open(self) -> AsyncGenerator[KeyQueues]:
        """Yields the queues of one event loop, and closes their connection to Redis."""
        redis, settings = self._make(), self._settings
        name = secrets.token_hex(6)  # made here: a process may fork after creating its limiter
        config = ScriptConfig(settings.limit, settings.lease, name, settings.prefix)
        connection = Connection(redis, config, settings.timeout)
        try:
            yield KeyQueues(connection, name, settings.limit.burst, settings.fallback(), settings.retry_every)
        finally:
            await redis.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"RedisLimiter({self._settings.limit}, prefix={self._settings.prefix!r})"
