"""Where policies get their time from, so that tests can run an hour of back-off in a millisecond.

`time` and `call_later` are those of an asyncio event loop; `sleep` is asyncio's.
"""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Protocol


class Timer(Protocol):
    """Something scheduled that can be called off."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Monotonic time in seconds, and two ways to wait for it."""

    def time(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer: ...


class SystemClock:
    """The machine's monotonic clock and the running event loop's timers."""

    time: "staticmethod[[], float]" = staticmethod(monotonic)

    @staticmethod
    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)

    @staticmethod
    def call_later(seconds: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, callback)
