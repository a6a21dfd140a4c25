"""Turns a stream of requests of one key into "go ahead" or "wait so many seconds". Reads no clock."""

from attrs import define, frozen


@frozen(kw_only=True)
class Rate:
    """How many requests a key may make: `per_minute` lasting, `burst` at once after a quiet time."""

    per_minute: float
    burst: int


@define
class TokenBucket:
    """Up to `burst` tokens, refilled evenly; a request takes one."""

    tokens: float
    filled: float  # the time at which `tokens` was right, in seconds

    def take(self, rate: Rate, now: float) -> float:
        """0 where the request may go ahead, else the seconds until it may. A refusal takes no token."""
        per_second = rate.per_minute / 60
        gained = max(0.0, now - self.filled) * per_second
        self.tokens, self.filled = min(float(rate.burst), self.tokens + gained), now
        if self.tokens < 1:
            return (1 - self.tokens) / per_second
        self.tokens -= 1
        return 0.0
