"""One key in this process: its callers queue here, and one task asks for all of them, so that Redis sees one.

Knows neither Redis nor what to do without it: `ask` carries a step, and says where that failed.
"""

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

from ...policy.limiter import KeyedLimiter
from .courier import RedisUnavailableError
from .script import Answer, Ending, Step

Ask = Callable[[Step], Awaitable[Answer | RedisUnavailableError]]
JITTER = 0.01  # seconds at most, and a tenth of the wait: who waits for the same moment need not come at the same


class Line:
    """The queue of one key, first come, first served, and what its callers have: `held`, oldest first.

    A permit that they have is a lease from Redis, or of the limiter that gave it without Redis. `names` names steps,
    `burst` bounds what one step asks for.
    """

    def __init__(self, key: str, names: Iterator[str], burst: int, ask: Ask, changed: Callable[["Line"], None]) -> None:
        self.key: str = key
        self.held: deque[str | KeyedLimiter] = deque()
        self._names, self._burst, self._ask, self._changed = names, burst, ask, changed
        self._queue: OrderedDict[asyncio.Future[str], None] = OrderedDict()
        self._endings: list[Ending] = []
        self._in_line = False
        self._woken = asyncio.Event()
        self.asking: asyncio.Task[None] | None = None

    async def acquire(self) -> str:
        """The lease of a permit. Raises RedisUnavailableError. Cancelling it gives up the place, or the permit."""
        turn: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._queue[turn] = None
        self.go_on()
        try:
            return await turn
        except asyncio.CancelledError:
            if self._queue.pop(turn, self) is None:
                self.go_on(now=not self._queue)  # a place in Redis's line that nobody needs holds up the others
            elif not turn.cancelled() and not turn.exception():
                self.end(Ending(turn.result(), "unused"))
            raise

    def end(self, ending: Ending) -> None:
        """Reports it soon, in the background."""
        self._endings.append(ending)
        self.go_on(now=True)

    @property
    def queued(self) -> int:
        return len(self._queue)

    @property
    def idle(self) -> bool:
        """Whether there is nothing left to know about this key."""
        return not (self._queue or self._endings or self.held or self.asking)

    def go_on(self, *, now: bool = False) -> None:
        """Sees to it that somebody asks: after the wait that Redis has named, or now."""
        if now:
            self._woken.set()
        if self.asking is None:
            self.asking = asyncio.create_task(self._keep_asking())

    async def _keep_asking(self) -> None:
        while self._queue or self._endings or self._in_line:
            self._woken.clear()
            answer = await self._step()
            if isinstance(answer, RedisUnavailableError):
                break
            if self._queue and answer.wait:
                with suppress(TimeoutError):
                    async with asyncio.timeout(answer.wait + random.uniform(0.001, min(JITTER, answer.wait / 10))):
                        await self._woken.wait()
        self.asking = None
        self._changed(self)

    async def _step(self) -> Answer | RedisUnavailableError:
        endings, self._endings = self._endings, []
        name, want = next(self._names), min(len(self._queue), self._burst)
        leases = [f"{name}{number}" for number in range(1, want + 1)]
        answer = await self._ask(Step(self.key, name, want, len(self._queue), endings))
        if isinstance(answer, RedisUnavailableError):  # whether the step was taken, nobody knows: report all again
            self._endings = [*endings, *(Ending(lease, "unused") for lease in leases), *self._endings]
            self._fail(answer)
        else:
            self._in_line = answer.wait > 0
            self._hand_out(leases[: answer.granted])
        return answer

    def _hand_out(self, leases: list[str]) -> None:
        for lease in leases:
            if turn := self._first():
                turn.set_result(lease)
            else:
                self._endings.append(Ending(lease, "unused"))

    def _fail(self, problem: RedisUnavailableError) -> None:
        self._in_line = False
        while turn := self._first():
            turn.set_exception(RedisUnavailableError(problem.message, sent=False))

    def _first(self) -> asyncio.Future[str] | None:
        """Takes out who is to be served next; not those that were cancelled a moment ago."""
        while self._queue:
            turn, _ = self._queue.popitem(last=False)
            if not turn.done():
                return turn
        return None
