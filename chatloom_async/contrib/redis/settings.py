"""What a `RedisLimiter` is told, checked, and what follows from it: a client for Redis, and a limiter without Redis."""

from collections.abc import Callable
from typing import Any

from attrs import field, frozen
from attrs.validators import and_, gt, instance_of, le, max_len, optional
from redis.asyncio import Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ...policy.clock import SystemClock
from ...policy.limit import RateLimit
from ...policy.limiter import KeyedLimiter
from ...wire.errors import ConfigurationError

MakeRedis = Callable[[], Any]  # a redis.asyncio.Redis, whose type parameters differ between versions


@frozen(kw_only=True)
class Settings:
    """The options of a `RedisLimiter`. Raises TypeError or ValueError for what cannot work."""

    limit: RateLimit = field(validator=instance_of(RateLimit))
    share: float | None = field(validator=optional(and_(gt(0), le(1))))
    lease: float = field(validator=gt(0))
    timeout: float = field(validator=gt(0))
    retry_every: float = field(validator=gt(0))
    prefix: str = field(validator=instance_of(str))
    secret: bytes = field(validator=and_(instance_of(bytes), max_len(64)), repr=False)

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
