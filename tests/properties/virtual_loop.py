"""An event loop whose time jumps: the whole client, its deadlines and timers included, lives an hour in a millisecond.

VirtualClock is for policies that are handed a clock; what counts on the event loop's own clock, as every
time limit does, needs this. Nothing here waits, and a loop in which nothing can ever happen again says so.
"""

import asyncio
import selectors

START = 1000.0


class JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]  # which one depends on the system
    """Takes no time: where it would wait, it moves `now` on instead."""

    now = START

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("Everybody waits, and nothing is left that could wake anybody")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs like any other event loop, on a virtual clock. It is a `policy.clock.Clock` too."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def settle(self) -> None:
        """Lets every task run until it waits for a later moment."""
        for _ in range(5):
            self.run_until_complete(asyncio.sleep(0))

    def pass_time(self, seconds: float) -> None:
        """Runs everything that falls due within these seconds."""
        self.run_until_complete(asyncio.sleep(seconds))
        self.settle()

    def end(self) -> None:
        """Cancels what is left and closes."""
        for task in asyncio.all_tasks(self):
            task.cancel()
        self.settle()
        self.close()
