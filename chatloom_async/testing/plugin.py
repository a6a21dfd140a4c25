"""pytest's fixtures for programs that use this package: no account, no network, no waiting.

None of them is asynchronous, so they do the same in synchronous tests and under every plugin that runs asynchronous
ones. aiohttp is imported by the one fixture that needs it.
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
    """A virtual clock: `.now` in seconds, from 0, and `.slept`, the list of the waits that passed. Nothing waits."""
    return VirtualClock()


@pytest.fixture
def chatloom_sandbox(chatloom_clock: VirtualClock) -> "Sandbox":
    """A stand-in for the Chatloom API with one workspace, "acme", of twelve agents; the same data in every run.

    Script what goes wrong by `chatloom_sandbox["acme"].fails(429, times=2, retry_after=1)`. It has no rate limit of its
    own, and slow answers wait on `chatloom_clock`.
    """
    from ..sandbox import Sandbox

    sandbox = Sandbox(seed=7, trouble=0, rate_limit=None, clock=chatloom_clock.time, sleep=chatloom_clock.sleep)
    sandbox.add_workspace("acme", agents=12)
    return sandbox


@pytest.fixture
def chatloom_client(chatloom_sandbox: "Sandbox", chatloom_clock: VirtualClock) -> "AsyncChatloom":
    """An AsyncChatloom with the key of "acme", in memory; its waits, for retries and the rate limit, are on
    `chatloom_clock`. It holds nothing that needs closing."""
    from ..client import AsyncChatloom

    transport = chatloom_sandbox.transport()
    return AsyncChatloom(chatloom_sandbox["acme"].key, transport=transport, clock=chatloom_clock)


@pytest.fixture
def chatloom_server(chatloom_sandbox: "Sandbox") -> Iterator[str]:
    """The base URL of `chatloom_sandbox` on a real socket of this machine, for any HTTP client.

    It runs in a thread of its own, also for synchronous tests. Slow answers take their time for real.
    """
    from .server import serve_in_thread

    with serve_in_thread(chatloom_sandbox) as url:
        yield url


@pytest.fixture
def assert_no_secret(chatloom_sandbox: "Sandbox", caplog: pytest.LogCaptureFixture) -> Callable[..., None]:
    """Called with any objects, fails if an API key of `chatloom_sandbox`, also a rotated one, can be seen.

    It looks into their str, repr and pickle, for exceptions into the traceback with local variables, and into the
    captured logs, which the fixture sets to DEBUG for the logger "chatloom_async". It finds keys also where they are
    percent-encoded, escaped or in base64.
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
