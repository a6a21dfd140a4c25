"""Bounds what the steps take together, so that no diagnosis hangs, whatever the network does."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from .observation import Observation, wrong

T = TypeVar("T")

AT_LEAST = 0.001  # a client takes no deadline of 0


class TimeLimit:
    """So many seconds from its construction, on the running event loop."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = asyncio.get_running_loop().time() + seconds

    @property
    def left(self) -> float:
        """Seconds; never 0."""
        return max(AT_LEAST, self._end - asyncio.get_running_loop().time())

    async def bound(self, step: Awaitable[T], otherwise: T) -> T:
        """What the step comes to, or `otherwise` where the time is up before."""
        try:
            async with asyncio.timeout_at(self._end):
                return await step
        except TimeoutError:
            return otherwise

    def passed(self, subject: str) -> Observation:
        """What to say of a step that was not done in time."""
        found = f"no result: the time limit of {self.seconds:g} s for everything was up"
        return wrong(subject, found, "Something drops packets or is very slow; --time-limit SECONDS waits longer.")
