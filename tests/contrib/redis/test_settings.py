"""What a RedisLimiter accepts, and what follows from it."""

from typing import Any

import pytest
import redis.asyncio

from chatloom_async import ConfigurationError, Limiter, RateLimit
from chatloom_async.contrib.redis import RedisLimiter
from chatloom_async.contrib.redis.limiter import Settings, redis_maker
from chatloom_async.policy.limiter import SharedLimiter


@pytest.mark.parametrize(
    "options",
    [
        {"share": 0.0},
        {"share": 1.5},
        {"share": "1/8"},
        {"lease": 0.0},
        {"timeout": -1.0},
        {"retry_every": "2"},
        {"prefix": b"chatloom"},
        {"secret": b"x" * 65},
        {"secret": "text"},
        {"limit": None},
    ],
)
def test_what_cannot_work(options: dict[str, Any]) -> None:
    """It is refused at construction, without the secret."""
    with pytest.raises(ConfigurationError, match=f"^{next(iter(options))} must be (?!.*(xxx|text))"):
        RedisLimiter("redis://localhost", **options)


@pytest.mark.parametrize("url", ["localhost", "http://me:pass-word@h", "redis://me:pass-word@h:port"])
def test_a_url_that_is_none(url: str) -> None:
    """It is refused without being shown, since it may hold a password."""
    with pytest.raises(ConfigurationError) as caught:
        RedisLimiter(url)
    assert caught.value.message == "The limiter needs a URL such as redis://localhost:6379/0, rediss:// or unix://"
    assert ("pass-word" in str(caught.value), caught.value.__context__) == (False, None)


def test_it_is_a_shared_limiter() -> None:
    """Construction does no I/O; the repr shows the limit, and no URL."""
    limiter = RedisLimiter("redis://me:pass-word@localhost", RateLimit(burst=2))
    assert isinstance(limiter, Limiter)
    assert isinstance(limiter, SharedLimiter)
    assert repr(limiter) == "RedisLimiter(RateLimit(per_second=4.0, burst=2, concurrency=8), prefix='chatloom')"


def test_a_client_of_ones_own() -> None:
    """A callable is taken as it is; a URL gives a client that repeats nothing by itself."""
    made = redis.asyncio.Redis()
    assert redis_maker(lambda: made)() is made
    client = redis_maker("redis://127.0.0.1:1/3")()
    options = client.connection_pool.connection_kwargs
    assert (options["host"], options["port"], options["db"]) == ("127.0.0.1", 1, 3)
    assert options["retry"]._retries == 0


def test_the_settings_that_are_not_given() -> None:
    """A quarter of the limit without Redis, and a second for each question to it."""
    assert RedisLimiter("redis://localhost")._settings == Settings(
        limit=RateLimit(), share=0.25, lease=60.0, timeout=1.0, retry_every=1.0, prefix="chatloom", secret=b""
    )
