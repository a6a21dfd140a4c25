"""The record of one call: its limits, its attempts so far, and why it ended.

The client writes to it; the retry policy and the errors read from it.
"""

from collections.abc import Awaitable, Callable
from logging import Logger, getLogger
from math import ceil, inf

from attrs import Factory, define, evolve

from ..wire.auth import ApiKey
from ..wire.endpoint import Endpoint
from ..wire.errors import Attempt, AttemptTimeoutError, ChatloomError, DeadlineExceededError, Kind, StopReason
from ..wire.message import Response

log: Logger = getLogger("chatloom_async")

Outcome = Response | ChatloomError
Attempting = Callable[[], Awaitable[Outcome]]


@define(eq=False)
class Call:
    """The record of one call.

    Times are moments of the client's clock: `began` and `sent_at` of the current attempt, the others of the call.
    `attempt_limit` is in seconds. `api_key` signed the last request, and `key` is its fingerprint. `refreshed` is True
    once a 401 has been answered by asking the key provider for another key. `host` and `label` are those of an
    `Attempt`.
    """

    endpoint: Endpoint[object]
    started: float
    deadline: float
    attempt_limit: float | None = None
    host: str = ""
    label: str | None = None
    attempts: list[Attempt] = Factory(list)
    failures: dict[Kind, int] = Factory(dict)
    stop_reason: StopReason | None = None
    key: str = ""
    api_key: ApiKey | None = None
    refreshed: bool = False
    began: float = 0.0
    sent_at: float | None = None

    @property
    def operation(self) -> str:
        return type(self.endpoint).__name__

    def begin_attempt(self, now: float) -> float | None:
        """Starts an attempt, which waits for its key and its turn first. Returns the seconds it may take for that."""
        self.began, self.sent_at = now, None
        return self.left(now)

    def begin_sending(self, now: float) -> float | None:
        """Notes that the attempt is sent now. Returns the seconds it may take from here."""
        self.sent_at = now
        return self.left(now, self.attempt_limit)

    def left(self, now: float, limit: float | None = None) -> float | None:
        """Seconds until the deadline, or `limit` seconds if that is sooner. None: no limit."""
        left = self.deadline - now if limit is None else min(limit, self.deadline - now)
        return None if left == inf else left

    def timed_out(self) -> ChatloomError:
        """The error for the time limit that ended the current attempt: the call's deadline, or the attempt's own."""
        sent_at, limit = self.sent_at, self.attempt_limit
        if sent_at is None or limit is None or self.deadline - sent_at <= limit:
            return self.deadline_exceeded()
        return AttemptTimeoutError(f"The attempt was not done within {limit:g} s", reason="total")

    def deadline_exceeded(self) -> DeadlineExceededError:
        """The error for a call that the deadline ended."""
        seconds = f"its deadline of {self.deadline - self.started:g} s"
        text = f"The call was not done within {seconds}"
        if self.sent_at is None and not self.attempts:
            text = f"The call was not sent within {seconds}: it waited for its key or for the rate limit"
        return DeadlineExceededError(text, last=self.last_failure)

    def paused(self, seconds: float) -> DeadlineExceededError:
        """The error for a call whose key is paused for so many seconds, which end after the deadline."""
        text = f"The call was not sent: the API asked to pause this key for {ceil(seconds)} s more"
        return DeadlineExceededError(text, last=self.last_failure)

    @property
    def last_failure(self) -> ChatloomError | None:
        """The last failure other than the deadline."""
        for attempt in reversed(self.attempts):
            if isinstance(attempt.error, ChatloomError) and not isinstance(attempt.error, DeadlineExceededError):
                return attempt.error
        return None

    def record_attempt(self, status: int | None, error: ChatloomError | None, ended: float) -> Attempt:
        """Adds the current attempt to the history. One that was not sent has waited all the time."""
        sent_at = ended if self.sent_at is None else self.sent_at
        attempt = Attempt(
            operation=self.operation,
            number=len(self.attempts) + 1,
            started=self.began - self.started,
            waited=sent_at - self.began,
            elapsed=ended - sent_at,
            status=status,
            error=error,
            method=self.endpoint.method,
            path=self.endpoint.path,
            host=self.host,
            key=self.key,
            label=self.label,
        )
        self.record(attempt)
        return attempt

    def record(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)
        if isinstance(attempt.error, ChatloomError):
            self.failures[attempt.error.kind] = self.failures.get(attempt.error.kind, 0) + 1

    @property
    def origin(self) -> str:
        """Whose call it is, for the end of a log line."""
        label = f"label={self.label} " if self.label else ""
        return f"[{label}key={self.key or '-'} path={self.endpoint.path} host={self.host}]"

    def warn(self, text: str) -> None:
        """Logs something odd about the answer."""
        log.warning("%s: %s %s", self.operation, text, self.origin)

    def finish(self, error: ChatloomError) -> ChatloomError:
        """The error to raise: a copy with the call's history and the reason why it ended. Logs it, by names and
        numbers only: no text of the server's."""
        number, name = len(self.attempts), getattr(error, "status", type(error).__name__)
        reason = f", {self.stop_reason}" if self.stop_reason else ""
        log.info("%s failed after attempt %d: %s%s %s", self.operation, number, name, reason, self.origin)
        return evolve(error, attempts=tuple(self.attempts), stop_reason=self.stop_reason)
