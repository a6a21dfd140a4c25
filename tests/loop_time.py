"""The time of an event loop, for tests that do not wait for it."""

import asyncio


class LoopTime:
    """What the running loop takes for the time: it stands still until a test lets it pass."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._now = loop.time()

    def __call__(self) -> float:
        return self._now

    async def pass_by(self, seconds: float) -> None:
        """Lets so many seconds pass at once, and runs the timers that are due then."""
        self._now += seconds
        for _ in range(5):
            await asyncio.sleep(0)
