"""Turns what a process wants for one key into the arguments of step.lua, and the script's answer into a value. No I/O.

The names in Redis hold a key's fingerprint only: `chatloom:{fingerprint}:state`, `...:flights` and `...:line`. The
braces keep the three on one node of a cluster.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha1
from pathlib import Path
from time import monotonic
from typing import Any

from attrs import Factory, frozen

from ...policy import limit as rules
from ...policy.limit import RateLimit
from ...policy.limiter import Outcome

CONSTANTS: dict[str, float] = {
    **{name: getattr(rules, name) for name in ("SLOWER", "FASTER", "SLOWEST", "PAUSE", "LONGEST_PAUSE", "ALMOST")},
    "LONGEST_RETRY_AFTER": rules.LONGEST_RETRY_AFTER,
    "GRACE": 1.0,  # seconds that a place in line is kept for a process that does not come
    "OFTEN": 0.05,  # seconds between two looks for a free slot, at least
    "REMEMBERED": 3600.0,  # seconds that a lowered rate outlives the last request
}
PREAMBLE = "".join(f"local {name} = {value!r}\n" for name, value in CONSTANTS.items())
SCRIPT = PREAMBLE + Path(__file__).with_name("step.lua").read_text("utf-8")
SHA = sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()  # Redis names scripts by it


@frozen
class Terms:
    """What holds for every step of one limiter: the limit, the seconds of a lease, the process's name, the prefix."""

    limit: RateLimit
    lease: float
    who: str
    prefix: str


@frozen
class Ending:
    """A permit that is no longer used. `at` is when that was told, on this process's monotonic clock."""

    lease: str
    outcome: Outcome
    retry_after: float | None = None
    at: float = Factory(monotonic)

    def arguments(self) -> tuple[str, str, str]:
        """What is left of Retry-After counts from now: Redis may have been away meanwhile."""
        left = "" if self.retry_after is None else f"{max(0.0, self.retry_after - (monotonic() - self.at)):.6f}"
        return self.lease, self.outcome, left


@frozen
class Step:
    """A wish for up to `want` permits for `queued` calls, after these endings. The leases are `name`1, `name`2, ..."""

    key: str
    name: str = ""
    want: int = 0
    queued: int = 0
    endings: Sequence[Ending] = ()

    def arguments(self, terms: Terms) -> Iterator[str | int | float]:
        """What EVALSHA takes after the script: the number of Redis keys, the keys, the arguments."""
        yield 3
        for part in ("state", "flights", "line"):
            yield f"{terms.prefix}:{{{self.key}}}:{part}"
        yield from (terms.limit.per_second, terms.limit.burst, terms.limit.concurrency, terms.lease, terms.who)
        yield from (self.name, self.want, self.queued)
        for ending in self.endings:
            yield from ending.arguments()


@frozen
class Answer:
    """Permits granted, and seconds to wait for the next; the rate now, seconds of a pause left, permits in flight."""

    granted: int
    wait: float
    rate: float
    pause: float
    in_flight: int

    @classmethod
    def of(cls, answer: Sequence[Any]) -> "Answer":
        granted, wait, rate, pause, in_flight = answer
        return cls(int(granted), float(wait), float(rate), float(pause), int(in_flight))
