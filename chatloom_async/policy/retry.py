"""Decides, after a failed attempt, whether there is another one, and when. What is decided is done in retrier.py.

The rules:
- Only failures that a repeat can cure are repeated: see `kind` of our errors. A request that is not idempotent is
  repeated only if the server cannot have acted on it: it was not sent, or refused with a 429.
- A connection lost before any byte of the answer is tried again at once and free of charge, the first time: that
  is what a stale keep-alive connection looks like.
- Other waits are drawn evenly from 0 to base * 2^n ("full jitter"), never shorter than Retry-After.
- No wait that would end after the deadline is begun, and none longer than `max_retry_after`.
"""

import random
from collections.abc import Callable

from attrs import field, frozen

from ..wire.checks import COUNT, FUNCTION, LONGEST, WAIT
from ..wire.errors import ChatloomError, ConnectionLostError, DeadlineExceededError, Kind, StopReason
from .call import Call


@frozen(kw_only=True)
class RetryPolicy:
    """How often and how fast a failed call is repeated. Times are in seconds.

    `attempts` and `throttle_attempts` count requests, the first included: for transient failures (5xx, timeouts,
    lost connections) and for 429. `base` and `throttle_base` are the first upper bounds of the jittered wait, `cap`
    the highest. Where the API asks for more than `max_retry_after`, the call fails at once instead of waiting.
    Raises ConfigurationError.

        chatloom = AsyncChatloom(retry=RetryPolicy(attempts=5), deadline=120.0)
    """

    attempts: int = field(default=3, validator=COUNT)
    throttle_attempts: int = field(default=6, validator=COUNT)
    base: float = field(default=0.25, validator=WAIT)
    throttle_base: float = field(default=1.0, validator=WAIT)
    cap: float = field(default=20.0, validator=LONGEST)
    max_retry_after: float = field(default=60.0, validator=LONGEST)
    random: Callable[[], float] = field(default=random.random, eq=False, repr=False, validator=FUNCTION)

    def again(self, error: ChatloomError, call: Call, now: float) -> float | StopReason:
        """The wait before the next attempt, or the reason why there is none. What it costs is budget.py's question."""
        throttled = error.kind == "throttle"
        failed = call.failures[error.kind]
        if not error.retryable or not (call.idempotent or throttled or not getattr(error, "sent", True)):
            return refusal(error)
        if failed >= self.limit(error.kind):
            return "attempts"
        if is_free(error, call):
            return 0.0
        asked = getattr(error, "retry_after", None) or 0.0
        if asked > self.max_retry_after:
            return "retry_after_too_long"
        base = self.throttle_base if throttled else self.base
        wait = max(asked, self.random() * min(self.cap, base * 2.0 ** min(failed - 1, 60)))
        return "deadline" if now + wait >= call.deadline else wait

    def limit(self, kind: Kind) -> int:
        """How many failures of this kind end a call."""
        once = min(2, self.attempts)
        return {"throttle": self.throttle_attempts, "transient": self.attempts, "once": once}.get(kind, 1)


def refusal(error: ChatloomError) -> StopReason:
    """Why an error that no repeat can cure is not repeated."""
    return "deadline" if isinstance(error, DeadlineExceededError) else "not_retryable"


def is_free(error: ChatloomError, call: Call) -> bool:
    """Whether this looks like a stale keep-alive connection, and is the first failure of its kind in this call."""
    return isinstance(error, ConnectionLostError) and not error.received and call.failures[error.kind] == 1
