"""Carries steps to Redis and answers back: all that have come up meanwhile in one round trip, one after another.

One connection is enough for any number of keys. What goes wrong comes back as an error, as data; nothing is repeated,
since a step that got no answer may have been taken.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.exceptions import NoScriptError, RedisError

from ...wire.cleaning import clean
from ...wire.transport_errors import ConnectError
from .script import SCRIPT, SHA, Answer, Step, Terms

AT_ONCE = 200  # steps in one round trip, so that one answer is never long in coming


class RedisUnavailableError(ConnectError):
    """The shared limiter cannot reach its Redis, so nothing was sent. Raised only with `RedisLimiter(share=None)`."""

    hint = "Check that Redis is up and can be reached; give RedisLimiter a share= to go on without it."


class Courier:
    """Asks one Redis. `timeout` is in seconds, for a round trip."""

    def __init__(self, redis: Any, terms: Terms, timeout: float) -> None:
        self._redis, self._terms, self._timeout = redis, terms, timeout
        self._waiting: list[tuple[Step, asyncio.Future[Answer | RedisUnavailableError]]] = []
        self._trip: asyncio.Task[None] | None = None

    async def ask(self, step: Step) -> Answer | RedisUnavailableError:
        turn: asyncio.Future[Answer | RedisUnavailableError] = asyncio.get_running_loop().create_future()
        self._waiting.append((step, turn))
        if self._trip is None:
            self._trip = asyncio.create_task(self._travel())
        return await turn

    async def _travel(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
            try:
                async with asyncio.timeout(self._timeout):
                    answers: Sequence[object] = await self._sent([step for step, _ in batch])
            except (RedisError, OSError, TimeoutError) as problem:
                batch, self._waiting = batch + self._waiting, []  # who comes next would only wait as long again
                answers = [problem] * len(batch)
            for (_, turn), answer in zip(batch, answers, strict=True):
                if not turn.done():
                    turn.set_result(_value(answer))
        self._trip = None

    async def _sent(self, steps: Sequence[Step]) -> Sequence[object]:
        answers = await self._round_trip(steps)
        unknown = [place for place, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:  # this Redis is new, or has been restarted; these steps were not taken
            await self._redis.script_load(SCRIPT)
            again = await self._round_trip([steps[place] for place in unknown])
            for place, answer in zip(unknown, again, strict=True):
                answers[place] = answer
        return answers

    async def _round_trip(self, steps: Sequence[Step]) -> list[Any]:
        pipeline: Any = self._redis.pipeline(transaction=False)
        for step in steps:
            pipeline.evalsha(SHA, *step.arguments(self._terms))
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers


def _value(answer: Any) -> Answer | RedisUnavailableError:
    if isinstance(answer, Exception):
        said = clean(f"{type(answer).__name__}: {answer}".removesuffix(": "))[:200]
        return RedisUnavailableError(f"The shared rate limiter's Redis does not answer ({said})", sent=False)
    return Answer.of(answer)
