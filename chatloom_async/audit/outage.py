"""Turns an outage into a pause: while nothing can be read, one workspace probes, and all others wait for it.

Without it, a run would go through its list at full speed during an outage, and mark all of it as failed.
"""

import asyncio
from collections.abc import Awaitable, Callable

from attrs import define, field

from ..policy.clock import Clock
from .reading import Read

PROBE_EVERY = 15.0
"""Seconds between two probes: a server that comes back is not met by a storm, and not kept waiting either."""

OnPause = Callable[[float], None]


@define(eq=False)
class Outage:
    """One run's patience. `left` is how many seconds it may still spend on waiting, all outages together.

    `on_pause` is called with the seconds until the next probe, before each.
    """

    clock: Clock
    left: float
    on_pause: OnPause = lambda _: None
    _turn: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    _ended: int = field(default=0, init=False)

    async def sit_out(self, read: Callable[[], Awaitable[Read]]) -> Read:
        """What `read` gives, once it is no longer starved of retries, or the patience is at its end."""
        while True:
            async with self._turn:  # while somebody probes, nobody begins
                ended = self._ended
            found = await read()
            if not found.starved:
                return found
            async with self._turn:
                if ended == self._ended:  # nobody was read since it began
                    return await self._probed(read, found)
            # else the outage that starved it is over: it is read again, beside the others

    async def _probed(self, read: Callable[[], Awaitable[Read]], found: Read) -> Read:
        while found.starved and self.left > 0:
            pause = min(PROBE_EVERY, self.left)
            self.left -= pause
            self.on_pause(pause)
            await self.clock.sleep(pause)
            found = await read()
            self._ended += not found.starved
        return found
