"""One rate limit for several processes, kept in Redis. Needs the extra `redis`; start at `RedisLimiter`.

limiter.py   what users see        settings.py  its options
session.py   one event loop        line.py      one key in it
courier.py   the round trips       script.py    values <-> step.lua, which holds the rules
"""

from ..extras import brought_by, extra

with brought_by(extra("redis"), "redis"):
    from .courier import RedisUnavailableError
    from .limiter import RedisLimiter

__all__ = ["RedisLimiter", "RedisUnavailableError"]
