"""The real server, beside carrying answers."""

import asyncio
import socket
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import pytest

from chatloom_async.sandbox import Sandbox
from tests.sandbox.skins import bearer

LIST = "/api/plugin/agents"


async def test_slow_is_really_slow() -> None:
    """Unless told otherwise, a slow answer takes its time on the wall clock."""
    sandbox = Sandbox()
    acme = sandbox.add_workspace("acme", agents=0)
    acme.fails("slow", seconds=0.03)
    loop = asyncio.get_running_loop()
    async with sandbox.serve() as url, aiohttp.ClientSession() as session:
        started = loop.time()
        async with session.get(url + LIST, headers=bearer(acme.key)) as answer:
            assert await answer.json() == {"agents": [], "count": 0}
        assert loop.time() - started >= 0.029


async def test_several_servers_on_one_sandbox(sandbox: Sandbox) -> None:
    """Servers are independent of each other and share the sandbox; IPv6 addresses are written in brackets."""
    acme = sandbox.add_workspace("acme", agents=0)
    async with sandbox.serve() as one, sandbox.serve(host="::1") as two, aiohttp.ClientSession() as session:
        assert (one[:17], two[:13]) == ("http://127.0.0.1:", "http://[::1]:")
        for url in (one, two, one):
            async with session.get(url + LIST, headers=bearer(acme.key)) as answer:
                assert answer.status == 200
    assert acme.requests == 3


async def test_a_port_of_ones_own(sandbox: Sandbox) -> None:
    """The port can be chosen, is free again after the server, and an OSError where it is taken."""
    async with sandbox.serve() as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(OSError, match=str(port)):
            async with sandbox.serve(port=port):
                pass
    async with sandbox.serve(port=port) as again:
        assert again == url


SOMAXCONN = Path("/proc/sys/net/core/somaxconn")


@pytest.mark.skipif(
    not SOMAXCONN.exists() or int(SOMAXCONN.read_text()) < 1024,
    reason="the system allows fewer",
)
async def test_many_may_connect_before_the_first_is_accepted(sandbox: Sandbox) -> None:
    """A client with many workspaces opens hundreds of connections at once. One too many would take a second longer."""
    async with sandbox.serve() as url:
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        with ExitStack() as stack:  # the server's event loop is not left meanwhile, so nothing is accepted
            sockets = [stack.enter_context(socket.create_connection(address, timeout=0.5)) for _ in range(200)]
            assert {each.getpeername() for each in sockets} == {address}


async def test_a_repeated_header_on_the_wire(sandbox: Sandbox) -> None:
    """Two keys in one kind of header are no key."""
    acme = sandbox.add_workspace("acme")
    async with sandbox.serve() as url, aiohttp.ClientSession() as session:
        headers = [("X-API-Key", acme.key.reveal())] * 2
        async with session.get(url + LIST, headers=headers) as answer:
            assert answer.status == 401


async def test_closing_does_not_wait_for_slow_answers() -> None:
    """A server that closes cuts off what is in flight, and a client that goes away ends its slow answer."""
    begun, ended = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def sleep(_: float) -> None:
        begun.release()
        try:
            await asyncio.Event().wait()
        finally:
            ended.release()

    sandbox = Sandbox(sleep=sleep)
    acme = sandbox.add_workspace("acme")
    acme.fails("slow", times=2)
    async with aiohttp.ClientSession() as session:
        session._retry_connection = False  # else aiohttp repeats a lost request by itself
        async with sandbox.serve() as url:
            gone = asyncio.ensure_future(session.get(url + LIST, headers=bearer(acme.key)))
            await begun.acquire()
            gone.cancel()
            await ended.acquire()
            left = asyncio.ensure_future(session.get(url + LIST, headers=bearer(acme.key)))
            await begun.acquire()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await left
        await ended.acquire()
