"""Decides whether a failed attempt is repeated, and when. Decisions only: retrier.py carries them out.

The rules:
- Only failures that a repeat can cure are repeated: see `kind` of the errors. A request that is not idempotent is
  repeated only if the server cannot have acted on it: it was not sent, or it was refused with a 429.
- A connection lost before any byte of the answer is retried once, at once and without cost: a stale keep-alive
  connection looks like that.
- Other waits are drawn evenly from 0 to base * 2^n ("full jitter") and are never shorter than Retry-After.
- A wait that would exceed the deadline is not started, nor one longer than `max_retry_after`.
- Retries have a budget, a token bucket that time does not refill: a retry costs tokens, a success earns some back.
  Transient failures are counted per origin, throttling per key; a lack of descriptors on this side is not charged.
  A client and its clones share the buckets.
"""

import random
from collections.abc import Callable

from attrs import define, field, frozen

from ..wire.errors import ChatloomError, ConnectError, ConnectionLostError, DeadlineExceededError, Kind, StopReason
from ..wire.validation import COUNT, FUNCTION, MAX_WAIT, WAIT
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
    cap: float = field(default=20.0, validator=MAX_WAIT)
    max_retry_after: float = field(default=60.0, validator=MAX_WAIT)
    random: Callable[[], float] = field(default=random.random, eq=False, repr=False, validator=FUNCTION)

    def next_wait(self, error: ChatloomError, call: Call, now: float) -> float | StopReason:
        """The wait before the next attempt, or the reason why there is none. The budget is asked elsewhere."""
        throttled = error.kind == "throttle"
        failed = call.failures[error.kind]
        if not error.retryable or not (call.endpoint.idempotent or throttled or not getattr(error, "sent", True)):
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


def is_local(error: ChatloomError) -> bool:
    """Whether this process lacks descriptors or the like. The budget is for the server's failures: see `Budgets`."""
    return isinstance(error, ConnectError) and error.reason == "local"


CAPACITY = 500.0
COST: dict[Kind, float] = {"transient": 14.0, "once": 14.0, "throttle": 5.0}


class RetryBudget:
    """Tokens for retries, by scope (an origin, or a key's fingerprint). A scope that is full takes no memory."""

    def __init__(self, capacity: float = CAPACITY) -> None:
        self._capacity = capacity
        self._spent: dict[str, float] = {}

    def left(self, scope: str) -> float:
        return self._capacity - self._spent.get(scope, 0.0)

    def spend(self, scope: str, cost: float) -> bool:
        """Takes `cost` tokens, or none and answers False if too few are left."""
        if cost > self.left(scope):
            return False
        self._spent[scope] = self._spent.get(scope, 0.0) + cost
        return True

    def earn(self, scope: str, tokens: float) -> None:
        if scope in self._spent:
            self._spent[scope] -= tokens
            if self._spent[scope] <= 0:
                del self._spent[scope]


@define
class Budgets:
    """What a client's calls may spend on retries: transient failures per origin, throttling per key."""

    origin: str
    transient: RetryBudget = field(factory=RetryBudget)
    throttle: RetryBudget = field(factory=RetryBudget)

    def account(self, error: ChatloomError, call: Call) -> tuple[RetryBudget, str]:
        return (self.throttle, call.key) if error.kind == "throttle" else (self.transient, self.origin)

    def succeeded(self, call: Call) -> None:
        self.transient.earn(self.origin, 1.0)
        self.throttle.earn(call.key, 1.0)
