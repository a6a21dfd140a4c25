"""Waits for what a server sees: a request that comes, and connections that end, which some clients do later."""

import asyncio
import time

from tests.raw_server import RawServer


async def gone(server: RawServer, seconds: float = 2.0) -> bool:
    """Whether every connection to this server ends within some seconds."""
    end = time.monotonic() + seconds
    while server.open and time.monotonic() < end:  # noqa: ASYNC110  # the server has no event for that
        await asyncio.sleep(0.01)
    return not server.open


async def arrived(server: RawServer, seconds: float = 2.0, requests: int = 1) -> bool:
    """Whether so many requests reach this server within some seconds."""
    end = time.monotonic() + seconds
    while len(server.requests) < requests and time.monotonic() < end:  # noqa: ASYNC110  # as above
        await asyncio.sleep(0.005)
    return len(server.requests) >= requests


async def connected(server: RawServer, seconds: float = 2.0) -> bool:
    """Whether somebody connects to this server within some seconds."""
    end = time.monotonic() + seconds
    while not server.open and time.monotonic() < end:  # noqa: ASYNC110  # as above
        await asyncio.sleep(0.005)
    return bool(server.open)
