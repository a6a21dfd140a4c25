"""Turns what a process wants for one key into the arguments of step.lua, and carries such steps to Redis and back.

The names in Redis hold a key's fingerprint only: `chatloom:{fingerprint}:state`, `...:flights` and `...:line`. The
braces keep the three on one node of a cluster.

All steps that have come up meanwhile go in one round trip, one after another: one connection is enough for any number
of keys. An error is returned, not raised; nothing is repeated, since a step without a reply may have
been taken.
"""

import asyncio
from collections.abc import Iterator, Sequence
from hashlib import sha1
from pathlib import Path
from time import monotonic
from typing import Any

from attrs import Factory, frozen
from redis.exceptions import NoScriptError, RedisError

from ...policy import limiter as rules
from ...policy.limiter import Outcome, RateLimit
from ...wire.cleaning import clean
from ...wire.errors import ConnectError

CONSTANTS: dict[str, float] = {
    **{
        name: getattr(rules, name)
        for name in ("RATE_CUT", "RATE_STEP", "MIN_RATE", "FIRST_PAUSE", "MAX_PAUSE", "ROUNDING")
    },
    "MAX_RETRY_AFTER": rules.MAX_RETRY_AFTER,
    "GRACE": 1.0,  # seconds that a place in line is kept for a process that does not come
    "OFTEN": 0.05,  # seconds between two looks for a free slot, at least
    "REMEMBERED": 3600.0,  # seconds that a lowered rate outlives the last request
}
PREAMBLE = "".join(f"local {name} = {value!r}\n" for name, value in CONSTANTS.items())
SCRIPT = PREAMBLE + Path(__file__).with_name("step.lua").read_text("utf-8")
SHA = sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()  # Redis names scripts by it
AT_ONCE = 200  # steps in one round trip, so that one reply is never long in coming


@frozen
class ScriptConfig:
    """What holds for every step of one limiter: the limit, the seconds of a lease, the process's name, the prefix."""

    limit: RateLimit
    lease: float
    who: str
    prefix: str


@frozen
class Release:
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
    """A wish for up to `want` permits for `queued` calls, after these releases. The leases are `name`1, `name`2, ..."""

    key: str
    name: str = ""
    want: int = 0
    queued: int = 0
    releases: Sequence[Release] = ()

    def arguments(self, config: ScriptConfig) -> Iterator[str | int | float]:
        """What EVALSHA takes after the script: the number of Redis keys, the keys, the arguments."""
        yield 3
        for part in ("state", "flights", "line"):
            yield f"{config.prefix}:{{{self.key}}}:{part}"
        yield from (config.limit.per_second, config.limit.burst, config.limit.concurrency, config.lease, config.who)
        yield from (self.name, self.want, self.queued)
        for release in self.releases:
            yield from release.arguments()


@frozen
class Reply:
    """Permits granted, and seconds to wait for the next; the rate now, seconds of a pause left, permits in flight."""

    granted: int
    wait: float
    rate: float
    pause: float
    in_flight: int

    @classmethod
    def of(cls, reply: Sequence[Any]) -> "Reply":
        granted, wait, rate, pause, in_flight = reply
        return cls(int(granted), float(wait), float(rate), float(pause), int(in_flight))


class RedisUnavailableError(ConnectError):
    """The shared limiter cannot reach its Redis, so nothing was sent. Raised only with `RedisLimiter(share=None)`."""

    hint = "Check that Redis is up and can be reached; give RedisLimiter a share= to go on without it."


class Connection:
    """Asks one Redis. `timeout` is in seconds, for a round trip."""

    def __init__(self, redis: Any, config: ScriptConfig, timeout: float) -> None:
        self._redis, self._config, self._timeout = redis, config, timeout
        self._waiting: list[tuple[Step, asyncio.Future[Reply | RedisUnavailableError]]] = []
        self._trip: asyncio.Task[None] | None = None

    async def ask(self, step: Step) -> Reply | RedisUnavailableError:
        waiter: asyncio.Future[Reply | RedisUnavailableError] = asyncio.get_running_loop().create_future()
        self._waiting.append((step, waiter))
        if self._trip is None:
            self._trip = asyncio.create_task(self._travel())
        return await waiter

    async def _travel(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
            try:
                async with asyncio.timeout(self._timeout):
                    answers: Sequence[object] = await self._sent([step for step, _ in batch])
            except (RedisError, OSError, TimeoutError) as problem:
                batch, self._waiting = batch + self._waiting, []  # who comes next would only wait as long again
                answers = [problem] * len(batch)
            for (_, waiter), reply in zip(batch, answers, strict=True):
                if not waiter.done():
                    waiter.set_result(_value(reply))
        self._trip = None

    async def _sent(self, steps: Sequence[Step]) -> Sequence[object]:
        answers = await self._round_trip(steps)
        unknown = [place for place, reply in enumerate(answers) if isinstance(reply, NoScriptError)]
        if unknown:  # this Redis is new, or has been restarted; these steps were not taken
            await self._redis.script_load(SCRIPT)
            again = await self._round_trip([steps[place] for place in unknown])
            for place, reply in zip(unknown, again, strict=True):
                answers[place] = reply
        return answers

    async def _round_trip(self, steps: Sequence[Step]) -> list[Any]:
        pipeline: Any = self._redis.pipeline(transaction=False)
        for step in steps:
            pipeline.evalsha(SHA, *step.arguments(self._config))
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers


def _value(reply: Any) -> Reply | RedisUnavailableError:
    if isinstance(reply, Exception):
        said = clean(f"{type(reply).__name__}: {reply}".removesuffix(": "))[:200]
        return RedisUnavailableError(f"The shared rate limiter's Redis does not answer ({said})", sent=False)
    return Reply.of(reply)
