"""What this process holds open, as the operating system counts it (on Linux)."""

import asyncio
import gc
import os
import time
from contextlib import suppress
from pathlib import Path


def open_descriptors() -> int:
    """Files, sockets, and what event loops wait with."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # counted often


def open_below(folder: Path) -> int:
    """The descriptors of files in this folder. Other tests, threads and garbage do not change it."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            count += link.readlink().is_relative_to(folder)
    return count


async def opened_below(folder: Path, count: int, seconds: float = 10.0) -> int:
    """The number of descriptors of files in this folder once it is `count`, or after some seconds."""
    end = time.monotonic() + seconds
    while open_below(folder) != count and time.monotonic() < end:  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0.01)
    return open_below(folder)


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
