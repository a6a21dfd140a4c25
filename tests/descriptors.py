"""What this process holds open, as the operating system counts it (on Linux)."""

import asyncio
import gc
import os
import time


def open_descriptors() -> int:
    """Files, sockets, and what event loops wait with."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # counted often


async def back_to(count: int, seconds: float = 2.0) -> int:
    """The number of open descriptors once it has come down to `count`, or after some seconds."""
    end = time.monotonic() + seconds
    while open_descriptors() > count and time.monotonic() < end:
        gc.collect()
        await asyncio.sleep(0.01)
    return open_descriptors()


def settled(count: int, seconds: float = 2.0) -> int:
    """The same for a test that has no event loop, since one takes descriptors of its own."""
    end = time.monotonic() + seconds
    while open_descriptors() > count and time.monotonic() < end:
        gc.collect()
        time.sleep(0.01)
    return open_descriptors()
