"""The program, in this process and as one of its own, and a sandbox on a real socket for it to ask."""

import asyncio
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from attrs import frozen

from chatloom_async.cli import main
from chatloom_async.sandbox import Sandbox

VARIABLES = (
    *("CHATLOOM_API_KEY", "CHATLOOM_BASE_URL", "COLUMNS", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"),
    "PYTHONUNBUFFERED",  # a stream without a buffer leaves nothing to be written at the end of the process
)
PROGRAM = (sys.executable, "-m", "chatloom_async")


def stdin_of(text: str) -> io.TextIOWrapper:
    """A standard input that holds this text."""
    return io.TextIOWrapper(io.BytesIO(text.encode()))


@frozen
class Ran:
    """What a command came to."""

    status: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key and no taste of the developer's own gets into a test."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def chatloom(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs the program in this process."""

    def run(*arguments: str) -> Ran:
        status = main(arguments)
        return Ran(status, *capsys.readouterr())

    return run


@pytest.fixture
def started() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts the program as a process of its own, with its output on pipes; it is ended with the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **options: Any) -> "subprocess.Popen[str]":
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(
            [*PROGRAM, *arguments],
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
            **{**streams, **options},
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox with the workspace acme, served by a thread; the environment points at it."""
    sandbox = Sandbox(seed=7, trouble=0)
    acme = sandbox.add_workspace("acme", agents=3)
    loop, ready, end = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with sandbox.serve() as url:
            os.environ["CHATLOOM_BASE_URL"] = url
            ready.set()
            await end.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    monkeypatch.setenv("CHATLOOM_BASE_URL", "")
    monkeypatch.setenv("CHATLOOM_API_KEY", acme.key.reveal())
    thread.start()
    assert ready.wait(10)
    yield sandbox
    loop.call_soon_threadsafe(end.set)
    thread.join()
    loop.close()
