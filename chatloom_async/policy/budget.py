"""Decides whether retries still make sense: when most calls fail, more requests only make it worse.

A token bucket that is never refilled by time: a retry costs tokens, a success earns some back. Transient
failures are counted per origin, throttling per key. The client and its clones share the buckets.
"""

from attrs import define, field

from ..wire.errors import ChatloomError, Kind
from .call import Call

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
        """Takes `cost` tokens, or none and answers False where too few are left."""
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
