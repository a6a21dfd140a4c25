"""A clock whose waits take no time, for everything that takes a `clock`."""

import asyncio
from collections.abc import Callable

from chatloom_async.policy.clock import Timer


class VirtualClock:
    """Starts at 0 and jumps ahead by every wait; `slept` lists the waits in their order, in seconds."""

    def __init__(self) -> None:
        self.time = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self._jump(seconds)
        await asyncio.sleep(0)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        self._jump(seconds)
        return asyncio.get_running_loop().call_soon(callback)

    def _jump(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
