"""Looks up the addresses of host names in threads of its own.

asyncio's default executor is open to any blocking work of a program. If that hangs, for example on a network drive
that does not answer, lookups in the same executor would wait behind it.
"""

import asyncio
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

THREADS = 4
FLAGS = 0 if sys.platform == "win32" else socket.AI_ADDRCONFIG  # on Windows it hides localhost without a network
NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class ThreadResolver(AbstractResolver):
    """Resolves names as the operating system does."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "chatloom_async-dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, look_up, host, port, family)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def look_up(host: str, port: int, family: int) -> list[ResolveResult]:
    """The addresses of a host. Blocks. Raises OSError."""
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=FLAGS)
    except socket.gaierror:
        socket.socket().close()  # the resolver does not report a lack of descriptors; this raises it
        raise
    return [_result(host, *each) for each in found]


def _result(host: str, family: int, _: int, protocol: int, __: str, address: tuple[Any, ...]) -> ResolveResult:
    scope = address[3] if family == socket.AF_INET6 else 0  # of a link-local address
    numeric = f"{address[0]}%{scope}" if scope else address[0]
    return ResolveResult(hostname=host, host=numeric, port=address[1], family=family, proto=protocol, flags=NUMERIC)
