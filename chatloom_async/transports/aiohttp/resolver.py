"""Resolves host names in threads of this package."""

import asyncio
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

DNS_THREADS = 4
FLAGS = 0 if sys.platform == "win32" else socket.AI_ADDRCONFIG  # on Windows it hides localhost without a network
NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class ThreadResolver(AbstractResolver):
    """Resolves host names as the operating system does, in threads of its own.

    asyncio's default executor is open to any blocking work of a program. If that hangs, for example on a network drive
    that does not answer, lookups in the same executor would wait behind it.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(DNS_THREADS, "chatloom_async-dns")

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
        addresses: list[Any] = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=FLAGS)
    except socket.gaierror:
        socket.socket().close()  # the resolver does not report a lack of descriptors; this raises it
        raise
    results: list[ResolveResult] = []
    for kind, _, protocol, _, address in addresses:
        scope = address[3] if kind == socket.AF_INET6 else 0  # of a link-local address
        numeric = f"{address[0]}%{scope}" if scope else address[0]
        result = ResolveResult(hostname=host, host=numeric, port=address[1], family=kind, proto=protocol, flags=NUMERIC)
        results.append(result)
    return results
