"""Waits for a server's connections to end: some clients end theirs a moment later, in a thread of their own."""

import asyncio
import time

from tests.raw_server import RawServer


async def gone(server: RawServer, seconds: float = 2.0) -> bool:
    """Whether every connection to this server ends within some seconds."""
    end = time.monotonic() + seconds
    while server.open and time.monotonic() < end:  # noqa: ASYNC110  # the server has no event for that
        await asyncio.sleep(0.01)
    return not server.open
