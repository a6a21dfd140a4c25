"""Ctrl-C in an audit: no workspace begins any more, and those under way get some seconds to end. Twice ends at once."""

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import TypeVar

from attrs import define

T = TypeVar("T")

GRACE = 10.0
"""Seconds: enough for a slow answer, and not more than a person, or a machine that is to be shut down, waits."""


@define(eq=False)
class Interrupt:
    """Whether the end was asked for. The task that made it is cancelled once its patience is over."""

    say: Callable[[str], None]
    asked: bool = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handles Ctrl-C inside of it. Where the event loop cannot (Windows, other threads), Ctrl-C cancels at once."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        timers: list[asyncio.TimerHandle] = []

        def ask() -> None:
            if self.asked:
                task.cancel()  # type: ignore[union-attr]  # it runs in one
                return
            self.asked = True
            timers.append(loop.call_later(GRACE, task.cancel))  # type: ignore[union-attr]
            self.say(f"stopping: what is under way has {GRACE:g} s to end; Ctrl-C again ends it at once")

        try:
            loop.add_signal_handler(signal.SIGINT, ask)
        except (NotImplementedError, RuntimeError, ValueError):
            yield
            return
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            for timer in timers:
                timer.cancel()

    async def until_asked(self, items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
        """The items, until the end is asked for."""
        async with aclosing(items):
            async for each in items:
                if self.asked:
                    return
                yield each
