"""pytest fixtures for programs that use this package: no account, no network, no waiting.

All are synchronous, so they work in synchronous tests and under every asyncio plugin. Only the fixture that needs
aiohttp imports it.
"""

import logging
from collections.abc import Callable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from .clock import VirtualClock

if TYPE_CHECKING:
    from ..client import AsyncChatloom
    from ..sandbox import Sandbox


@pytest.fixture
def chatloom_clock() -> VirtualClock:
    """A virtual clock: `.now` in seconds, from 0, and `.slept`, the list of finished waits. Waits take no real time."""
    return VirtualClock()


@pytest.fixture
def chatloom_sandbox(chatloom_clock: VirtualClock) -> "Sandbox":
    """A stand-in for the Chatloom API with one workspace, "acme", with twelve agents. The data never changes.

    Script failures with `chatloom_sandbox["acme"].fails(429, times=2, retry_after=1)`. It has no rate limit, and slow
    responses wait on `chatloom_clock`.
    """
    from ..sandbox import Sandbox

    sandbox = Sandbox(seed=7, trouble=0, rate_limit=None, clock=chatloom_clock.time, sleep=chatloom_clock.sleep)
    sandbox.add_workspace("acme", agents=12)
    return sandbox


@pytest.fixture
def chatloom_client(chatloom_sandbox: "Sandbox", chatloom_clock: VirtualClock) -> "AsyncChatloom":
    """An in-memory AsyncChatloom with the key of "acme". Its waits, for retries and the rate limit, use
    `chatloom_clock`. It needs no closing."""
    from ..client import AsyncChatloom

    transport = chatloom_sandbox.transport()
    return AsyncChatloom(chatloom_sandbox["acme"].key, transport=transport, clock=chatloom_clock)


@pytest.fixture
def chatloom_server(chatloom_sandbox: "Sandbox") -> Iterator[str]:
    """The base URL of `chatloom_sandbox` on a loopback socket, for any HTTP client.

    The server runs in its own thread, so synchronous tests can use it. Slow responses take real time.
    """
    from .server import serve_in_thread

    with serve_in_thread(chatloom_sandbox) as url:
        yield url


@pytest.fixture
def assert_no_secret(chatloom_sandbox: "Sandbox", caplog: pytest.LogCaptureFixture) -> Callable[..., None]:
    """A function that takes any objects and fails if they reveal an API key of `chatloom_sandbox`, even a rotated one.

    It searches their str, repr and pickle, the traceback of exceptions with local variables, and the captured logs.
    The fixture sets the logger "chatloom_async" to DEBUG. Keys are also found percent-encoded, escaped or in base64.
    """
    from .secrets import find, logged, renderings

    caplog.set_level(logging.DEBUG, logger="chatloom_async")

    def assert_no_secret(*objects: object) -> None:
        __tracebackhide__ = True
        records = [record for when in ("setup", "call") for record in caplog.get_records(when)]
        shown = (
            (f"{place} of argument {number}, of type {type(value).__name__}", text)
            for number, value in enumerate(objects, 1)
            for place, text in renderings(value)
        )
        if found := find(chatloom_sandbox, chain(shown, logged(records))):
            pytest.fail(found, pytrace=False)

    return assert_no_secret
