"""Decides what an audit does while the API fails: wait for its end, or give up.

- Something worked before: it is an outage. One workspace probes and the others wait, so that the audit does not mark
  its whole list as failed.
- Nothing has worked since the audit began: the address, the network or all keys are wrong, and waiting does not help.
  The audit gives up after GIVE_UP_AFTER seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

from attrs import define, evolve, field, frozen

from ..options import OnAttempt
from ..policy.clock import Clock, Timer
from ..wire.errors import Attempt, ChatloomError, TransportError
from ..wire.status import APIStatusError, RateLimitError, ServerError
from .reading import Read
from .values import Failure, Row, Workspace

MAX_PAUSE = 900.0
"""Seconds that an audit may spend on pauses, all outages together."""

PROBE_EVERY = 15.0
"""Seconds between two probes: often enough to notice the end of an outage soon, and no load for the server."""

FIRST_PROBE_EVERY = 2.0
"""Seconds between two probes as long as nothing has worked: the audit gives up soon."""

GIVE_UP_AFTER = 8.0
"""Seconds without one success, since the beginning, after which an audit gives up."""

REFUSALS = 16
"""Workspaces that must have failed before an audit gives up if the failures may be those of single workspaces, such as
a wrong key: a few bad keys at the top of a list say nothing about the rest."""

ATTEMPTS: ContextVar[list[Attempt]] = ContextVar("ATTEMPTS")
"""The attempts for the workspace that the current task reads."""


@frozen
class Pause:
    """A wait before the next probe. `error` is what failed, `seconds` the wait, `left` how long the audit goes on
    waiting at most, this wait included."""

    error: ChatloomError
    seconds: float
    left: float

    def __str__(self) -> str:
        status = f"HTTP {self.error.status}: " if isinstance(self.error, APIStatusError) else ""
        waits = f"next try in {self.seconds:.0f} s, waiting for {self.left:.0f} s at most"
        return f"paused: {status}{self.error.message.rstrip('.')}; {waits}"


OnPause = Callable[[Pause], object]


@define(eq=False)
class OutagePause:
    """The outages of one audit. `max_pause` is how many seconds it may spend on waiting, all outages together.

    Every workspace is read through `run`, by a client whose `on_attempt` is `observe()`; `note_success` is called for
    each list of agents. `on_pause` is called before each wait. `gave_up` is why the audit gave up, or None.
    """

    clock: Clock
    max_pause: float = MAX_PAUSE
    on_pause: OnPause = lambda _: None
    gave_up: Failure | None = field(default=None, init=False)
    _give_up_at: float = field(init=False)
    _worked: bool = field(default=False, init=False)
    _failed: int = field(default=0, init=False)
    _timer: Timer | None = field(default=None, init=False)
    _running: set[asyncio.Timeout] = field(factory=set, init=False)
    _cause: Exception = field(factory=Exception, init=False)
    _probing: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    _ended: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._give_up_at = self.clock.time() + GIVE_UP_AFTER

    async def run(self, workspace: Workspace, read: Callable[[], Awaitable[Read]]) -> Read:
        """What `read` returns once the retry budget lasts for it, or the pauses have used up their time.

        Once the audit has given up, the row is a failed one that names the cause, and `read` is not called, or is
        cancelled.
        """
        attempts: list[Attempt] = []
        token = ATTEMPTS.set(attempts)
        try:
            result = await (self._read(read) if self._worked else self._read_or_give_up(workspace, read))
        finally:
            ATTEMPTS.reset(token)
        if len(attempts) > result.row.requests:  # it was read more than once, or cut off
            return evolve(result, row=evolve(result.row, requests=len(attempts)))
        return result

    def observe(self, also: OnAttempt | None = None) -> OnAttempt:
        """An `on_attempt` for the client that reads; it calls `also`, too."""

        def on_attempt(attempt: Attempt) -> object:
            ATTEMPTS.get().append(attempt)
            if not self._worked and attempt.error is not None:
                self._note_error(attempt.error)
            return None if also is None else also(attempt)

        return on_attempt

    async def _read_or_give_up(self, workspace: Workspace, read: Callable[[], Awaitable[Read]]) -> Read:
        if cause := self.gave_up:
            return _unread(workspace, cause)
        limit = asyncio.timeout(None)
        self._running.add(limit)
        try:
            async with limit:
                return await self._read(read)
        except TimeoutError:
            if not limit.expired():
                raise
            return _unread(workspace, self.gave_up or Failure.of(self._cause))
        finally:
            self._running.discard(limit)
            if not self._running:
                self._stop_timer()

    async def _read(self, read: Callable[[], Awaitable[Read]]) -> Read:
        while True:
            async with self._probing:  # no workspace starts during a probe
                ended = self._ended
            result = await self._noted(read)
            if result.budget_exhausted is None:
                return result
            async with self._probing:
                if ended == self._ended:  # nothing was read since this one started
                    return await self._probe(read, result)
            # otherwise the outage is over: it is read again, together with the others

    async def _probe(self, read: Callable[[], Awaitable[Read]], result: Read) -> Read:
        while (error := result.budget_exhausted) and self.max_pause > 0:
            every, left = PROBE_EVERY, self.max_pause
            if not self._worked:
                every, left = FIRST_PROBE_EVERY, min(left, max(0.0, self._give_up_at - self.clock.time()))
            seconds = min(every, self.max_pause)
            self.on_pause(Pause(error, seconds, left))
            self.max_pause -= seconds
            await self.clock.sleep(seconds)
            result = await self._noted(read)
            self._ended += result.budget_exhausted is None
        return result

    async def _noted(self, read: Callable[[], Awaitable[Read]]) -> Read:
        result = await read()
        if not self._worked and result.error is not None:
            self._failed += 1
            self._note_error(result.error)
        return result

    def note_success(self) -> None:
        """Notes that the API has answered as it should: from then on, failures are an outage."""
        self._worked = True
        self._stop_timer()

    def _note_error(self, error: Exception) -> None:
        if isinstance(error, RateLimitError):  # the API is there, and asks to wait
            self.note_success()
            return
        if isinstance(error, TransportError) and error.reason == "local":  # says nothing about the API
            return
        self._cause = evolve(error, stop_reason=None) if isinstance(error, ChatloomError) else error
        if self._timer is None:
            self._timer = self.clock.call_later(max(0.0, self._give_up_at - self.clock.time()), self._is_late)
        self._give_up()

    def _is_late(self) -> None:
        self._give_up_at = self.clock.time()
        self._give_up()

    def _give_up(self) -> None:
        """Ends what is running, if it is time to and the failures do not look like those of single workspaces."""
        late = self.clock.time() >= self._give_up_at
        concerns_all = isinstance(self._cause, (TransportError, ServerError)) or self._failed >= REFUSALS
        if late and concerns_all and self.gave_up is None:
            self.gave_up = Failure.of(self._cause)
            for limit in self._running:
                limit.reschedule(0.0)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _unread(workspace: Workspace, cause: Failure) -> Read:
    text = f"Not read, since nothing worked in the first {GIVE_UP_AFTER:g} s. {cause.message}"
    return Read(Row(workspace.name, "failed", error=Failure(cause.type, text)))
