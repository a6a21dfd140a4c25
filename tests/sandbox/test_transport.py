"""The in-memory transport, beside carrying answers."""

import asyncio

import pytest

from chatloom_async.sandbox import Sandbox
from chatloom_async.transports.interface import Transport
from chatloom_async.wire.errors import AttemptTimeoutError, ConnectionLostError, PayloadError
from chatloom_async.wire.message import Headers, Request, Timeouts
from tests.sandbox.skins import Clock, bearer

LIST = "/api/plugin/agents"


async def test_errors_in_memory(sandbox: Sandbox) -> None:
    """Broken connections come back as the errors that a network's transport returns; nothing is raised."""
    acme, transport = sandbox.add_workspace("acme", agents=0), sandbox.transport()
    acme.fails("lost")
    acme.fails("cut")
    request = Request("GET", f"http://anything.example{LIST}?a=b", bearer(acme.key))
    assert isinstance(transport, Transport)
    assert [await transport.send(request) for _ in range(2)] == [
        ConnectionLostError("The server closed the connection before it answered"),
        PayloadError("The body broke off", reason="cut", received=11, expected=23),
    ]
    await transport.aclose()
    await transport.aclose()


async def test_a_read_timeout_in_memory(sandbox: Sandbox, clock: Clock) -> None:
    """A wait beyond the read timeout is a timeout after that time; without a timeout the answer comes late."""
    acme, transport = sandbox.add_workspace("acme", agents=0), sandbox.transport()
    acme.fails("slow", seconds=11, times=2)
    headers = Headers(bearer(acme.key))
    first = await transport.send(Request("GET", f"https://chatloom.app{LIST}", headers))
    second = await transport.send(Request("GET", f"https://chatloom.app{LIST}", headers, timeouts=Timeouts(read=None)))
    assert first == AttemptTimeoutError("No answer within 10 s", reason="read")
    assert getattr(second, "status", None) == 200
    assert clock.slept == [10.0, 11.0]


async def test_a_loop_over_it_can_be_cancelled(sandbox: Sandbox) -> None:
    """Every send lets other tasks run, so that an endless loop in memory does not stop the program."""
    transport = sandbox.transport()

    async def forever() -> None:
        while True:
            await transport.send(Request("GET", f"https://chatloom.app{LIST}"))

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(forever(), 0.01)
