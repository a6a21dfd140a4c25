"""How host names become addresses."""

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from aiohttp.abc import ResolveResult

from chatloom_async import AiohttpTransport, ConnectError, Response
from chatloom_async.transports.aiohttp.resolver import NUMERIC, ThreadResolver
from tests.faults.scenes import no_descriptors, replaced
from tests.raw_server import RawServer, http
from tests.signed import signed

GOOD = http(b'{"agents": [], "count": 0}')


def result(host: str, family: int) -> ResolveResult:
    """An address of api.example."""
    return ResolveResult(hostname="api.example", host=host, port=443, family=family, proto=6, flags=NUMERIC)


async def test_every_address_of_a_host_is_found() -> None:
    """Of both families, a link-local one with its scope."""
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 443)),
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 443, 0, 0)),
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 443, 0, 2)),
    ]
    resolver = ThreadResolver()
    with replaced(socket, "getaddrinfo", lambda *_, **__: found):
        results = await resolver.resolve("api.example", 443)
    await resolver.close()
    assert results == [
        result("192.0.2.1", socket.AF_INET),
        result("2001:db8::1", socket.AF_INET6),
        result("fe80::1%2", socket.AF_INET6),
    ]


async def test_lookups_do_not_wait_for_the_default_executor() -> None:
    """Although all of its threads are busy, a request to a host with a name is answered."""
    free, loop = threading.Event(), asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(2))
    stuck = [loop.run_in_executor(None, free.wait, 30.0) for _ in range(4)]
    async with RawServer((GOOD,)) as server:
        transport = AiohttpTransport()
        async with asyncio.timeout(5):
            answer = await transport.send(signed(server.url.replace("127.0.0.1", "localhost")))
        await transport.aclose()
        free.set()
        await asyncio.gather(*stuck)
    assert isinstance(answer, Response)


async def test_a_lookup_without_descriptors_is_a_local_failure() -> None:
    """The system's resolver says only that the name was not found."""

    def fails(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "scripted")

    transport = AiohttpTransport()
    await transport.send(signed("http://127.0.0.1:1"))  # imports what is imported late
    await asyncio.to_thread(int)  # starts a thread
    with replaced(socket, "getaddrinfo", fails):
        async with no_descriptors():
            without = await transport.send(signed("http://api.example"))
        otherwise = await transport.send(signed("http://api.example"))
    await transport.aclose()
    assert [each.reason for each in (without, otherwise) if isinstance(each, ConnectError)] == ["local", "dns"]


async def test_a_resolver_that_is_closed_takes_no_more_names() -> None:
    """Its threads end."""
    resolver = ThreadResolver()
    await resolver.close()
    with pytest.raises(RuntimeError):
        await resolver.resolve("localhost")
