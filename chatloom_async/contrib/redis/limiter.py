"""The rate limit of each key, shared by all processes that use the same Redis. Start at `RedisLimiter`.

Here is what outlives an event loop: the settings, and a key's name in Redis. What happens in a loop is queue.py's.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from types import TracebackType
from typing import Any, Self

from attrs import field, frozen
from redis.asyncio import Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from ...policy.clock import SystemClock
from ...policy.limiter import KeyedLimiter, LimitState, Outcome, RateLimit
from ...wire.auth import ApiKey
from ...wire.errors import ConfigurationError
from ...wire.validation import INTERVAL, RATE, Requirement
from .queue import KeyQueues
from .script import Connection, ScriptConfig, Step

CONTEXT = b"chatloom limiter"  # so that these fingerprints are no other program's
SHARE = Requirement(
    "a number above 0, 1 at most, or None", lambda value: value is None or (RATE.fits(value) and value <= 1)
)
SECRET = Requirement("at most 64 bytes", lambda value: isinstance(value, bytes) and len(value) <= 64)

MakeRedis = Callable[[], Any]  # a redis.asyncio.Redis, whose type parameters differ between versions


@frozen(kw_only=True)
class Settings:
    """The options of a `RedisLimiter`. Raises ConfigurationError for what cannot work."""

    limit: RateLimit = field(validator=Requirement("a RateLimit", lambda value: isinstance(value, RateLimit)))
    share: float | None = field(validator=SHARE)
    lease: float = field(validator=INTERVAL)
    timeout: float = field(validator=INTERVAL)
    retry_every: float = field(validator=INTERVAL)
    prefix: str = field(validator=Requirement("a str", lambda value: isinstance(value, str)))
    secret: bytes = field(validator=SECRET, repr=False)

    def fallback(self) -> KeyedLimiter | None:
        """The limiter of one process without Redis; None where nobody may go without."""
        if self.share is None:
            return None
        burst, concurrency = (max(1, int(n * self.share)) for n in (self.limit.burst, self.limit.concurrency))
        limit = RateLimit(per_second=self.limit.per_second * self.share, burst=burst, concurrency=concurrency)
        return KeyedLimiter(limit, SystemClock())


def redis_maker(redis: str | MakeRedis) -> MakeRedis:
    """What makes a client for one event loop. Raises ConfigurationError for a URL that is none, without showing it."""
    if not isinstance(redis, str):
        return redis
    try:
        parse_url(redis)
    except ValueError:
        problem = ConfigurationError("The limiter needs a URL such as redis://localhost:6379/0, rediss:// or unix://")
    else:
        return lambda: Redis.from_url(redis, decode_responses=True, retry=Retry(NoBackoff(), 0))
    raise problem


@frozen
class Opened:
    """The queues, the event loop and the process that they belong to, and what closes the connection to Redis."""

    queues: KeyQueues
    loop: asyncio.AbstractEventLoop
    clients: AsyncGenerator[Any, None]
    process: int = field(factory=os.getpid)


INHERITED: list[Opened] = []  # by a fork: kept, since to collect a connection would close the parent's


async def _open(make: MakeRedis) -> AsyncGenerator[Any, None]:
    """Yields a client for Redis, and closes it. An event loop finishes such generators when it shuts down, so that the
    connections of an `asyncio.run()` end with it even where nobody closed the limiter."""
    redis = make()
    try:
        yield redis
    finally:
        await redis.aclose()


class RedisLimiter:
    """A rate limit for each key that holds for all processes together, for `AsyncChatloom(rate_limit=...)`.

        async with RedisLimiter("redis://localhost") as limiter, AsyncChatloom(rate_limit=limiter) as chatloom: ...

    The rules are those of `RateLimit` in one process: `burst` at once, then `per_second`; `concurrency` in flight. A
    429 closes its key's gate for all until Retry-After, and slows all down; successes bring the rate back. Time is
    Redis's. In a process, first come, first served; processes take turns, as long as each comes when it was told to.
    Not promised: an exact order between processes, and that a slot that another one frees is taken at once: who waits
    for one looks again at the pace of the rate.

    While Redis is away, calls go on: each process keeps to `share` of the limit by itself, and to the pauses that it
    knows of. A good `share` is one over the number of processes. With None, calls raise RedisUnavailableError, a
    ConnectError, which is retried. Redis is away if it does not answer within `timeout` seconds, answers with an error
    or with anything but this script's reply, or if a background task of the limiter was cancelled. One WARNING says
    so, and Redis is asked again every `retry_every` seconds, over a new connection.

    A Redis that comes back empty allows each key one more burst, and has forgotten pauses and lowered rates. The same
    goes for a Redis whose clock is set forward. If the clock is set back, permits continue at their rate.

    redis: a URL (redis://, rediss://, unix://), or a callable that makes a `redis.asyncio.Redis`, once per event loop.
    lease: seconds after which the slot of a process that was killed is free. Longer than any attempt may take.
    prefix: what the names in Redis begin with: `chatloom:{fingerprint}:...`. Never the key itself; see `fingerprint`.
    secret: for the fingerprints; at most 64 bytes, the same in all processes.

    One limiter works in several event loops, one after the other. Redis 5 or later, or Valkey.
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
        self._opened: Opened | None = None

    def fingerprint(self, key: ApiKey) -> str:
        """A key's name in Redis, the same in every process: 16 hexadecimal digits.

        It is of no use to get at a key: keys are long and random, and 2^64 names stand for far more keys. Who already
        has a key could find out which name is its own; with a `secret`, not even that.
        """
        text = key.reveal().encode()
        return blake2b(text, key=self._settings.secret, person=CONTEXT, digest_size=8).hexdigest()

    async def acquire(self, key: str) -> None:
        await (await self._open_here()).acquire(key)

    def release(self, key: str, outcome: Outcome, retry_after: float | None = None) -> None:
        """Reports it in the background, together with the next request for a permit where there is one."""
        if opened := self._current():  # else the permit's event loop is over, or it is the parent process's
            opened.queues.release(key, outcome, retry_after)

    async def state(self, key: ApiKey) -> LimitState:
        """What holds for a key now, in all processes; `queued` counts the calls of this one. Raises
        RedisUnavailableError."""
        queues, name = await self._open_here(), self.fingerprint(key)
        reply = await queues.ask(Step(name, queued=queues.queued(name)))
        until = datetime.now(UTC) + timedelta(seconds=reply.pause) if reply.pause else None
        return LimitState(rate=reply.rate, queued=queues.queued(name), in_flight=reply.in_flight, paused_until=until)

    async def aclose(self) -> None:
        """Reports what is still to be reported, and closes the connection. The limiter may be used again."""
        if opened := self._current():
            self._opened = None
            await opened.queues.aclose(self._settings.timeout)
            with suppress(RedisError, OSError, TimeoutError):  # a broken connection is as good as closed
                async with asyncio.timeout(self._settings.timeout):
                    await opened.clients.aclose()

    def _current(self) -> Opened | None:
        """What is open in this process and event loop."""
        opened = self._opened
        try:
            here = opened is not None and (opened.loop, opened.process) == (asyncio.get_running_loop(), os.getpid())
        except RuntimeError:  # no event loop runs
            return None
        return opened if here else None

    async def _open_here(self) -> KeyQueues:
        if opened := self._current():
            return opened.queues
        if self._opened is not None and self._opened.process != os.getpid():
            INHERITED.append(self._opened)
        clients, settings = _open(self._make), self._settings
        name = secrets.token_hex(6)  # here, since a process may fork after it has made its limiter
        config = ScriptConfig(settings.limit, settings.lease, name, settings.prefix)
        connection = Connection(await anext(clients), config, settings.timeout)
        queues = KeyQueues(connection, name, settings.limit.burst, settings.fallback(), settings.retry_every)
        self._opened = Opened(queues, asyncio.get_running_loop(), clients)
        return queues

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"RedisLimiter({self._settings.limit}, prefix={self._settings.prefix!r})"
