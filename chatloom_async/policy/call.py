"""What one call has been through so far. Everything that happens to it is written down here, and read from here."""

from collections.abc import Awaitable, Callable, Container
from math import inf

from attrs import Factory, define, evolve

from ..wire.auth import ApiKey
from ..wire.endpoint import Endpoint
from ..wire.errors import Attempt, AttemptTimeoutError, ChatloomError, DeadlineExceededError, Kind, StopReason
from ..wire.message import Response

Outcome = Response | ChatloomError
Attempting = Callable[[], Awaitable[Outcome]]


@define(eq=False)
class Call:
    """The record of one call. `started` and `deadline` are moments of the clock, `key` is a key's fingerprint,
    `refused` the key that was answered with a 401."""

    operation: str
    idempotent: bool
    success: Container[int]
    started: float
    deadline: float
    attempts: list[Attempt] = Factory(list)
    failures: dict[Kind, int] = Factory(dict)
    stop_reason: StopReason | None = None
    key: str = ""
    refused: ApiKey | None = None

    @classmethod
    def begin(cls, endpoint: Endpoint[object], now: float, deadline: float | None) -> "Call":
        until = inf if deadline is None else now + deadline
        return cls(type(endpoint).__name__, endpoint.idempotent, endpoint.success, now, until)

    def left(self, now: float, limit: float | None = None) -> float | None:
        """Seconds until the deadline, or `limit` seconds if that is sooner. None: for ever."""
        left = self.deadline - now if limit is None else min(limit, self.deadline - now)
        return None if left == inf else left

    def timed_out(self, sent_at: float | None, limit: float | None) -> ChatloomError:
        """The error for what `left(sent_at, limit)` ended: the call's deadline, or the attempt's own limit."""
        if sent_at is None or limit is None or self.deadline - sent_at <= limit:
            seconds = f"its deadline of {self.deadline - self.started:g} s"
            text = f"The call was not done within {seconds}"
            if sent_at is None and not self.attempts:
                text = f"The call was not sent within {seconds}: it waited for its turn behind others, or for its key"
            return DeadlineExceededError(text, last=self.last_failure)
        return AttemptTimeoutError(f"The attempt was not done within {limit:g} s", reason="total")

    @property
    def last_failure(self) -> ChatloomError | None:
        """The last failure that came from outside, not from this call's own clock."""
        for attempt in reversed(self.attempts):
            if isinstance(attempt.error, ChatloomError) and not isinstance(attempt.error, DeadlineExceededError):
                return attempt.error
        return None

    def record_attempt(
        self, status: int | None, error: ChatloomError | None, began: float, sent_at: float | None, ended: float
    ) -> Attempt:
        """Writes down one attempt, by what came of it and the moments in it; one that was not sent only waited."""
        sent_at = ended if sent_at is None else sent_at
        attempt = Attempt(
            operation=self.operation,
            number=len(self.attempts) + 1,
            started=began - self.started,
            waited=sent_at - began,
            elapsed=ended - sent_at,
            status=status,
            error=error,
        )
        self.record(attempt)
        return attempt

    def record(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)
        if isinstance(attempt.error, ChatloomError):
            self.failures[attempt.error.kind] = self.failures.get(attempt.error.kind, 0) + 1

    def finish(self, error: ChatloomError) -> ChatloomError:
        """The error to raise: with the history of the call, and why it ended."""
        return evolve(error, attempts=tuple(self.attempts), stop_reason=self.stop_reason)
