"""One of several processes: takes permits of one key and keeps them, and says so; then ends, or waits to be killed."""

import asyncio
import sys

from chatloom_async import RateLimit
from chatloom_async.contrib.redis import RedisLimiter


async def take(limiter: RedisLimiter, tasks: int) -> None:
    """So many tasks at once, as soon as a line comes in; ends when the next one does."""
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.gather(*(limiter.acquire("a") for _ in range(tasks)))
    print("taken", flush=True)
    await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    url, number, per_second, concurrency, lease = sys.argv[1], *map(float, sys.argv[2:])
    limit = RateLimit(per_second=per_second, burst=8, concurrency=int(concurrency))
    asyncio.run(take(RedisLimiter(url, limit, lease=lease), int(number)))
