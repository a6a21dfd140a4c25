"""What a `RedisLimiter` is told, checked, and what follows from it: a client for Redis, and a limiter without Redis."""

from collections.abc import Callable
from typing import Any

from attrs import field, frozen
from redis.asyncio import Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ...policy.clock import SystemClock
from ...policy.limit import RateLimit
from ...policy.limiter import KeyedLimiter
from ...wire.checks import INTERVAL, RATE, Wanted
from ...wire.errors import ConfigurationError

SHARE = Wanted("a number above 0, 1 at most, or None", lambda value: value is None or (RATE.fits(value) and value <= 1))
SECRET = Wanted("at most 64 bytes", lambda value: isinstance(value, bytes) and len(value) <= 64)

MakeRedis = Callable[[], Any]  # a redis.asyncio.Redis, whose type parameters differ between versions


@frozen(kw_only=True)
class Settings:
    """The options of a `RedisLimiter`. Raises ConfigurationError for what cannot work."""

    limit: RateLimit = field(validator=Wanted("a RateLimit", lambda value: isinstance(value, RateLimit)))
    share: float | None = field(validator=SHARE)
    lease: float = field(validator=INTERVAL)
    timeout: float = field(validator=INTERVAL)
    retry_every: float = field(validator=INTERVAL)
    prefix: str = field(validator=Wanted("a str", lambda value: isinstance(value, str)))
    secret: bytes = field(validator=SECRET, repr=False)

    def alone(self) -> KeyedLimiter | None:
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
