"""Reads the workspaces of an audit while the API may fail: waits for the end of an outage, or gives up.

- Something worked before: it is an outage. One workspace probes and the others wait, so that the audit does not mark
  its whole list as failed.
- Nothing has worked since the first request, i.e. no list of agents was read: the address, the network or all keys are
  wrong, and waiting does not help. The audit gives up after GIVE_UP_AFTER seconds if each workspace in progress has
  failed at least once. While one still waits for its first answer, the API may just be slow: the audit gives up after
  FIRST_ANSWER seconds, which are also the limit for a single attempt until then.
- A 429 shows that the API is there. The audit gives up if it is the only answer for `max_pause` seconds.
"""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from math import inf

from attrs import Factory, define, evolve, field, frozen

from ..client import AsyncChatloom
from ..options import OnAttempt
from ..policy.clock import Clock, Timer
from ..wire.errors import Attempt, ChatloomError, TransportError
from ..wire.message import DEFAULT_TIMEOUTS
from ..wire.status import APIStatusError, RateLimitError, ServerError
from .lanes import Pace
from .reading import Read, read_workspace
from .values import Failure, Row, Workspace

MAX_PAUSE = 900.0
"""Seconds that an audit may spend on pauses, all outages together."""

PROBE_EVERY = 15.0  # seconds between two probes: notices the end of an outage soon, and is no load for the server
FIRST_PROBE_EVERY = 2.0  # seconds between two probes as long as nothing has worked: the audit gives up soon
GIVE_UP_AFTER = 8.0  # seconds without one success, since the first request, after which an audit gives up
FIRST_ANSWER = 11.0
"""Seconds that an attempt may take as long as nothing has worked, unless the client allows more than the default. The
end of a run against a server that sends a byte now and then is thus within 15 s, process start included."""

SHOW_THROTTLING_AFTER = 5.0
"""Seconds for which 429 may be the only answer before `on_pause` is called: a short burst is normal."""

REFUSALS = 16
"""Workspaces that must have failed before an audit gives up if the failures may be those of single workspaces, such as
a wrong key: a few bad keys at the top of a list say nothing about the rest."""

CONCERN_ALL = (TransportError, ServerError)
"""Errors that say something about the API, even from a single workspace."""

ROUNDING = 0.001  # seconds that a timer may fire early


@frozen
class Pause:
    """A wait before the next try. `error` is what failed, `seconds` the wait, `left` how long the audit goes on
    waiting at most, this wait included. `seconds` is None if the API answers 429: calls then wait on their own."""

    error: ChatloomError
    seconds: float | None
    left: float

    def __str__(self) -> str:
        status = f"HTTP {self.error.status}: " if isinstance(self.error, APIStatusError) else ""
        next_try = "" if self.seconds is None else f"next try in {self.seconds:.0f} s"
        limit = "" if self.left == inf else f"waiting for {self.left:.0f} s at most"
        plan = ", ".join(filter(None, (next_try, limit)))
        return f"paused: {status}{self.error.message.rstrip('.')}{'; ' if plan else ''}{plan}"


OnPause = Callable[[Pause], object]


@define(eq=False)
class InProgress:
    """One workspace in progress: its finished attempts, whether it has been begun, and what can end it."""

    limit: asyncio.Timeout
    attempts: list[Attempt] = Factory(list)
    begun: bool = False

    @property
    def awaits_first_answer(self) -> bool:
        return self.begun and not self.attempts


CURRENT: ContextVar[InProgress] = ContextVar("CURRENT")
"""The workspace that the current task reads."""


@define(eq=False)
class PatientReader:
    """Reads workspaces by clones of `client`, and waits for an API that is down, `max_pause` seconds in all.

    `on_pause` is called before each wait for the end of an outage, and from time to time while 429 is the only answer.
    `gave_up` is why the audit gave up, or None.
    """

    client: AsyncChatloom
    max_pause: float = MAX_PAUSE
    on_pause: OnPause = lambda _: None
    gave_up: Failure | None = field(default=None, init=False)
    _first_client: AsyncChatloom = field(init=False)
    _clock: Clock = field(init=False)
    _began: float | None = field(default=None, init=False)
    _show_at: float = field(default=inf, init=False)
    _listed: bool = field(default=False, init=False)
    _worked: bool = field(default=False, init=False)
    _failed: int = field(default=0, init=False)
    _timer: Timer | None = field(default=None, init=False)
    _running: set[InProgress] = field(factory=set, init=False)
    _cause: Exception = field(factory=Exception, init=False)
    _probing: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    _ended: int = field(default=0, init=False)
    _pace: Pace = field(factory=Pace, init=False)

    def __attrs_post_init__(self) -> None:
        self._clock = self.client.clock
        self.client = self.client.with_options(on_attempt=self._observer(self.client.on_attempt))
        timeouts = self.client.timeouts
        if timeouts.attempt is not None and timeouts.attempt <= (DEFAULT_TIMEOUTS.attempt or inf):
            timeouts = evolve(timeouts, attempt=min(timeouts.attempt, FIRST_ANSWER))
        self._first_client = self.client.with_options(timeouts=timeouts)

    async def read(self, workspace: Workspace) -> Read:
        """What `read_workspace` returns. Waits for the end of an outage, or until `max_pause` is used up.

        Once the audit has given up, the row is a failed one that names the cause, and nothing is sent any more.
        """
        if self.gave_up:
            return Read(Row(workspace.name, "failed", error=self.gave_up))
        reading = InProgress(asyncio.timeout(None))
        token = CURRENT.set(reading)
        self._running.add(reading)
        try:
            async with reading.limit:
                result = await self._read(workspace)
        except TimeoutError:
            if not reading.limit.expired():
                raise
            result = Read(Row(workspace.name, "failed", error=self.gave_up))
        finally:
            CURRENT.reset(token)
            self._running.discard(reading)
            if not self._running:
                self._stop_timer()
        if len(reading.attempts) <= result.row.requests:
            return result
        return evolve(result, row=evolve(result.row, requests=len(reading.attempts)))  # it was read again, or cut off

    async def _read(self, workspace: Workspace) -> Read:
        while True:
            async with self._probing:  # no workspace starts during a probe
                ended = self._ended
            result = await self._try(workspace)
            if result.budget_exhausted is None:
                return result
            async with self._probing:
                if ended == self._ended:  # nothing was read since this one started
                    return await self._probe(workspace, result)
            # otherwise the outage is over: it is read again, together with the others

    async def _probe(self, workspace: Workspace, result: Read) -> Read:
        while (error := result.budget_exhausted) and self.max_pause > 0:
            every, left = PROBE_EVERY, self.max_pause
            if not self._worked:
                elapsed = self._clock.time() - (self._began or 0.0)
                every, left = FIRST_PROBE_EVERY, min(left, max(0.0, self._patience - elapsed))
            seconds = min(every, self.max_pause)
            self.on_pause(Pause(error, seconds, left))
            self.max_pause -= seconds
            await self._clock.sleep(seconds)
            result = await self._try(workspace)
            self._ended += result.budget_exhausted is None
        return result

    async def _try(self, workspace: Workspace) -> Read:
        CURRENT.get().begun = True
        client = self.client if self._worked else self._first_client
        result = await read_workspace(workspace, client, self._pace, self._note_list)
        if not self._worked and result.error is not None:
            self._failed += 1
            self._note_error(result.error)
        return result

    def _observer(self, also: OnAttempt | None) -> OnAttempt:
        """An `on_attempt` that notes each attempt and calls `also`."""

        def on_attempt(attempt: Attempt) -> object:
            CURRENT.get().attempts.append(attempt)
            if not self._listed:
                self._note_attempt(attempt)
            return None if also is None else also(attempt)

        return on_attempt

    def _note_attempt(self, attempt: Attempt) -> None:
        """Notes an attempt that ended before any list was read."""
        now = self._clock.time()
        if self._began is None:
            self._began = now - attempt.elapsed
            self._show_at = self._began + SHOW_THROTTLING_AFTER
        if isinstance(attempt.error, RateLimitError):
            self._note_answer()
            self._cause = attempt.error
            left = max(0.0, max(self.max_pause, GIVE_UP_AFTER) - (now - self._began))
            self._timer = None if left == inf else self._clock.call_later(left, self._give_up)
            if now >= self._show_at:
                self._show_at = now + PROBE_EVERY
                self.on_pause(Pause(attempt.error, None, left))
        elif self._worked:  # 429 is not the only answer any more
            self._stop_timer()
        elif attempt.error is not None:
            self._note_error(attempt.error)

    def _note_list(self) -> None:
        self._listed = True
        self._note_answer()

    def _note_answer(self) -> None:
        """The API is there: from now on, failures are an outage."""
        self._worked = True
        self._stop_timer()

    def _note_error(self, error: Exception) -> None:
        if isinstance(error, TransportError) and error.reason == "local":  # says nothing about the API
            return
        self._cause = evolve(error, stop_reason=None) if isinstance(error, ChatloomError) else error
        self._give_up_in_time()

    def _give_up_in_time(self) -> None:
        """Ends what is running if it is time to, and the failures do not look like those of single workspaces."""
        self._stop_timer()
        elapsed = self._clock.time() - (self._began or 0.0)
        left = self._patience - elapsed
        if left > ROUNDING:
            self._timer = None if left == inf else self._clock.call_later(left, self._give_up_in_time)
        elif self.gave_up is None and (isinstance(self._cause, CONCERN_ALL) or self._failed >= REFUSALS):
            self._give_up()

    def _give_up(self) -> None:
        elapsed = self._clock.time() - (self._began or 0.0)
        cause = Failure.of(self._cause)
        text = f"Not read, since nothing worked in the first {elapsed:.0f} s. {cause.message}"
        self.gave_up = Failure(cause.type, text)
        for reading in self._running:
            reading.limit.reschedule(0.0)

    @property
    def _patience(self) -> float:
        """Seconds from the first request to the moment at which the audit gives up, as it looks now."""
        if not any(reading.awaits_first_answer for reading in self._running):
            return GIVE_UP_AFTER
        return max(GIVE_UP_AFTER, self._first_client.timeouts.attempt or inf)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
