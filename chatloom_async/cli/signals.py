"""What Ctrl-C does to an audit: the first lets what is under way end, the second ends it at once."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..audit.session import AuditSession

STOP_GRACE = 10.0
"""Seconds that workspaces under way have to end after the first Ctrl-C."""


@contextmanager
def stopping(session: AuditSession, say: Callable[[str], None]) -> Iterator[None]:
    """Handles Ctrl-C inside of it. Where the event loop cannot (Windows, other threads), Ctrl-C cancels at once."""
    loop = asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []

    def stop() -> None:
        if session.stop.is_set():
            session.abort()
            return
        session.stop.set()
        timers.append(loop.call_later(STOP_GRACE, session.abort))
        say(f"stopping: what is under way has {STOP_GRACE:g} s to end; Ctrl-C again ends it at once")

    try:
        loop.add_signal_handler(signal.SIGINT, stop)
    except (NotImplementedError, RuntimeError, ValueError):
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        for timer in timers:
            timer.cancel()
