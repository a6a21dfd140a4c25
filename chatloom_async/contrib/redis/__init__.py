"""One rate limit for several processes, kept in Redis. Needs the extra `redis`; start at `RedisLimiter`.

limiter.py   what users see, and its options
queue.py     the callers of one event loop, key by key
script.py    the round trips: values <-> step.lua, which holds the rules
"""

from ...wire.errors import needed_by

with needed_by("RedisLimiter", "redis", extra="redis"):
    from .limiter import RedisLimiter
    from .script import RedisUnavailableError

__all__ = ["RedisLimiter", "RedisUnavailableError"]
