"""What holds for every test: nothing leaves this machine, and what is made up at random is the same in every run."""

import asyncio
import ipaddress
import signal
import sys
from typing import Any

import pytest
from hypothesis import settings

from tests.loop_time import LoopTime

# A run of pytest says whether a change broke something. New random cases are for `nox -s schedules` and `nox -s fuzz`.
# There is no deadline for one case, because the machine may be busy.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

TRANSPORTS = ("aiohttp", "httpx2")
ADDRESS_AT = {"socket.connect": 1, "socket.sendto": 1, "socket.sendmsg": 1}
HOST_AT = {"socket.getaddrinfo": 0, "socket.gethostbyname": 0}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Two choices: the transports that meet the tests for any transport, and the Redis server."""
    parser.addoption("--transport", action="append", choices=TRANSPORTS, help="run tests of transports for this one")
    parser.addoption("--redis-server", metavar="PATH", help="run tests that need Redis on this server program")


def pytest_configure() -> None:
    """Programs that tests start inherit ignored signals, as of nohup or of a shell's background job: undo that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def is_loopback(host: object) -> bool:
    """Whether this is a loopback address, `localhost`, or no host at all (as when a server binds)."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in (None, "", "localhost", "0.0.0.0", "::"):
        return True
    try:
        return ipaddress.ip_address(str(host).partition("%")[0]).is_loopback
    except ValueError:
        return False


def stay_on_loopback(event: str, arguments: tuple[Any, ...]) -> None:
    """Fails the test that looks up or talks to another machine; an audit hook, so below every library."""
    if event in ADDRESS_AT:
        address = arguments[ADDRESS_AT[event]]
        host = address[0] if isinstance(address, tuple) else None  # a path is a Unix socket, None a connected one
    elif event in HOST_AT:
        host = arguments[HOST_AT[event]]
    else:
        return
    if not is_loopback(host):
        pytest.fail(f"A test tried to reach {host!r}: tests talk to loopback addresses only ({event}).")


sys.addaudithook(stay_on_loopback)


@pytest.fixture
async def loop_time(monkeypatch: pytest.MonkeyPatch) -> LoopTime:
    """The time of the running event loop, which passes when the test says so."""
    loop = asyncio.get_running_loop()
    time = LoopTime(loop)
    monkeypatch.setattr(loop, "time", time)
    return time
