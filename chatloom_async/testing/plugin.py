"""pytest fixtures for programs that use this package: no account, no network, no waiting.

All are synchronous, so they work in synchronous tests and under every asyncio plugin. A fixture imports what it needs
when it is used: every pytest run imports this file.
"""

import logging
import pickle
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from threading import Thread
from traceback import TracebackException
from typing import TYPE_CHECKING, Any

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
    """A stand-in for the Chatloom API with one workspace, "acme", with twelve agents. Every run has the same data.

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
    with serve_in_thread(chatloom_sandbox) as url:
        yield url


@pytest.fixture
def assert_no_secret(chatloom_sandbox: "Sandbox", caplog: pytest.LogCaptureFixture) -> Callable[..., None]:
    """A function that takes any objects and fails if they reveal an API key of `chatloom_sandbox`, even a rotated one.

    It searches their str, repr and pickle, the traceback of exceptions with local variables, and the captured logs.
    The fixture sets the logger "chatloom_async" to DEBUG. Keys are also found percent-encoded, escaped or in base64.
    """
    caplog.set_level(logging.DEBUG, logger="chatloom_async")

    def assert_no_secret(*objects: object) -> None:
        __tracebackhide__ = True
        records = [record for when in ("setup", "call") for record in caplog.get_records(when)]
        shown = (
            (f"{place} of argument {number}, of type {type(value).__name__}", text)
            for number, value in enumerate(objects, 1)
            for place, text in renderings(value)
        )
        if finding := find_key(chatloom_sandbox, chain(shown, logged(records))):
            pytest.fail(finding, pytrace=False)

    return assert_no_secret


@contextmanager
def serve_in_thread(sandbox: "Sandbox") -> Iterator[str]:
    """Serves a sandbox on a loopback port, in a thread with its own event loop. The context's value is the base URL."""
    import asyncio

    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="chatloom_server", daemon=True)
    thread.start()

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    def end() -> None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    server = sandbox.serve(sleep=asyncio.sleep)  # over a real connection, a slow answer takes real time
    with ExitStack() as stack:
        stack.callback(end)
        url = run(server.__aenter__())
        stack.callback(lambda: run(server.__aexit__(None, None, None)))
        yield url


AROUND = 120  # bytes before a key that a report shows


def renderings(value: object) -> Iterator[tuple[str, str | bytes]]:
    """The visible forms of a value, by where they would be seen."""
    yield "str", str(value)
    yield "repr", repr(value)
    with suppress(Exception):  # a value that cannot be pickled reveals nothing that way
        yield "pickle", pickle.dumps(value)
    if isinstance(value, BaseException):
        yield "traceback with locals", "".join(TracebackException.from_exception(value, capture_locals=True).format())


def logged(records: Iterable[logging.LogRecord]) -> Iterator[tuple[str, str | bytes]]:
    """Log records in the usual format, and their other fields, which other formats may print."""
    for record in records:
        yield "captured logs", logging.Formatter().format(record)
        yield "captured logs", repr(vars(record))


def find_key(sandbox: "Sandbox", shown: Iterable[tuple[str, str | bytes]]) -> str | None:
    """The place of the sandbox's first key and the text before it, without the key; None if there is no key."""
    from ..wire.cleaning import clean, holds_key, spelling_in

    issued = tuple(sandbox.keys())
    for place, text in shown:
        raw = text if isinstance(text, bytes) else text.encode(errors="backslashreplace")
        for workspace, key in issued:
            if holds_key(key.reveal(), raw):
                spelling = spelling_in(key.reveal(), raw) or raw
                before = raw[: raw.index(spelling)][-AROUND:].decode(errors="replace")
                return f"The API key of workspace {workspace!r} is in the {place}: ...{clean(before + 'clf_***')}"
    return None
