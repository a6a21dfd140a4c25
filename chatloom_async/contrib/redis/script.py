"""One step of step.lua: its arguments, its reply, and the way to Redis and back.

The names in Redis hold a key's fingerprint only: `chatloom:{fingerprint}:state`, `...:flights` and `...:line`. The
braces keep the three on one node of a cluster.

Steps that arrive during a round trip share the next one, so one connection is enough for any number of keys. No step
is repeated, because Redis may have executed a step without a reply.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import sha1
from pathlib import Path
from time import monotonic
from typing import Any

from attrs import Factory, frozen
from redis.exceptions import NoScriptError

from ...policy import limiter as rules
from ...policy.limiter import PermitOutcome, RateLimit
from ...wire.cleaning import clean
from ...wire.errors import ConnectError
from ...wire.validation import MAX_SECONDS

CONSTANTS: dict[str, float] = {
    **{
        name: getattr(rules, name)
        for name in ("RATE_CUT", "RATE_STEP", "MIN_RATE", "FIRST_PAUSE", "MAX_PAUSE", "ROUNDING")
    },
    "MAX_RETRY_AFTER": rules.MAX_RETRY_AFTER,
    "CLAIM_GRACE": 1.0,  # seconds until an unclaimed place in line expires
    "MIN_RECHECK": 0.05,  # minimum seconds between two checks for a free slot
    "RATE_MEMORY": 3600.0,  # seconds that a lowered rate outlives the last request
}
PREAMBLE = "".join(f"local {name} = {value!r}\n" for name, value in CONSTANTS.items())
SCRIPT = PREAMBLE + Path(__file__).with_name("step.lua").read_text("utf-8")
SHA = sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()  # Redis identifies scripts by their SHA-1
MAX_STEPS = 200  # steps in one round trip; limits the wait for a reply


@frozen
class ScriptConfig:
    """The settings of one limiter: the limit, the lease in seconds, the process's name and the prefix."""

    limit: RateLimit
    lease: float
    who: str
    prefix: str


@frozen
class Release:
    """A released permit. `at` is the time of its release on this process's monotonic clock."""

    lease: str
    outcome: PermitOutcome
    retry_after: float | None = None
    at: float = Factory(monotonic)

    def arguments(self) -> tuple[str, str, str]:
        """The script's arguments. Retry-After is reduced by the time since the release."""
        left = "" if self.retry_after is None else f"{max(0.0, self.retry_after - (monotonic() - self.at)):.6f}"
        return self.lease, self.outcome, left


@frozen
class Step:
    """Requests up to `want` permits for `queued` calls, after these releases. The leases are `name`1, `name`2, ..."""

    key: str
    name: str = ""
    want: int = 0
    queued: int = 0
    releases: Sequence[Release] = ()

    def arguments(self, config: ScriptConfig) -> Iterator[str | int | float]:
        """The arguments of EVALSHA after the script: the number of Redis keys, the keys, the arguments."""
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
    def of(cls, value: Any) -> "Reply | RedisUnavailableError":
        """Parses a reply of Redis, which may be anything."""
        if isinstance(value, Exception):
            return RedisUnavailableError.because(value)
        try:
            granted, *seconds, in_flight = value
            wait, rate, pause = (float(number) for number in seconds)
            reply = cls(int(granted), wait, rate, pause, int(in_flight))
            if all(0 <= number < MAX_SECONDS for number in (reply.granted, wait, rate, pause)):
                return reply
        except (TypeError, ValueError, OverflowError):
            pass
        return RedisUnavailableError.because(ValueError("a reply that is not this script's"))


class RedisUnavailableError(ConnectError):
    """The shared limiter cannot reach its Redis, so nothing was sent. Raised only with `RedisLimiter(share=None)`."""

    hint = "Check that Redis is up and can be reached; give RedisLimiter a share= to go on without it."

    @classmethod
    def because(cls, error: BaseException) -> "RedisUnavailableError":
        """The error with its cause. A CancelledError here comes from the background task, never from the caller."""
        reason = clean(f"{type(error).__name__}: {error}".removesuffix(": "))[:200]
        return cls(f"The shared rate limiter's Redis does not answer ({reason})", sent=False)


Question = tuple[Step, "asyncio.Future[Reply | RedisUnavailableError]"]


class Connection:
    """Asks one Redis. `timeout` is in seconds, for a round trip."""

    def __init__(self, redis: Any, config: ScriptConfig, timeout: float) -> None:
        self._redis, self._config, self._timeout = redis, config, timeout
        self._waiting: list[Question] = []
        self._asked: list[Question] = []
        self._trips: asyncio.Task[None] | None = None

    async def ask(self, step: Step) -> Reply:
        """Raises RedisUnavailableError."""
        answer: asyncio.Future[Reply | RedisUnavailableError] = asyncio.get_running_loop().create_future()
        self._waiting.append((step, answer))
        if self._trips is None:
            self._start()
        reply = await answer
        if isinstance(reply, RedisUnavailableError):
            raise reply
        return reply

    async def ask_anew(self, step: Step) -> Reply:
        """Asks over a new connection, because the old server may have become a replica."""
        with suppress(Exception):  # closing a broken connection may raise anything; a cluster's client has no such pool
            async with asyncio.timeout(self._timeout):
                await self._redis.connection_pool.disconnect(inuse_connections=False)
        return await self.ask(step)

    def _start(self) -> None:
        # A plain Task, whatever the loop's task factory makes: an eager one might end before it is known here.
        self._trips = asyncio.Task(self._make_trips(), loop=asyncio.get_running_loop())
        self._trips.add_done_callback(self._ended)

    async def _make_trips(self) -> None:
        while self._waiting:
            self._asked, self._waiting = self._waiting[:MAX_STEPS], self._waiting[MAX_STEPS:]
            async with asyncio.timeout(self._timeout):
                values = await self._round_trip([step for step, _ in self._asked])
            for (_, answer), value in zip(self._asked, values, strict=True):
                if not answer.done():
                    answer.set_result(Reply.of(value))
            self._asked = []

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Fails all waiting steps, however the round trips ended. Queued ones would only wait as long again."""
        self._trips = None
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            unanswered, self._asked, self._waiting = self._asked + self._waiting, [], []
            for _, answer in unanswered:
                if not answer.done():
                    answer.set_result(RedisUnavailableError.because(error))
        elif self._waiting:
            self._start()

    async def _round_trip(self, steps: Sequence[Step]) -> Sequence[object]:
        values = await self._send(steps)
        unknown = [place for place, value in enumerate(values) if isinstance(value, NoScriptError)]
        if unknown:  # this Redis is new or was restarted; it executed none of these steps
            await self._redis.script_load(SCRIPT)
            again = await self._send([steps[place] for place in unknown])
            for place, value in zip(unknown, again, strict=True):
                values[place] = value
        return values

    async def _send(self, steps: Sequence[Step]) -> list[Any]:
        pipeline: Any = self._redis.pipeline(transaction=False)
        for step in steps:
            pipeline.evalsha(SHA, *step.arguments(self._config))
        values: list[Any] = await pipeline.execute(raise_on_error=False)
        return values
