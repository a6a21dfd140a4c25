"""Ways in which limiter, retries, budget and time limits could be wrong, to show that the properties would notice.

Each replaces one function of the real code for a while. Nothing here says which property it is that notices.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from chatloom_async.client import AsyncChatloom
from chatloom_async.policy.call import Call
from chatloom_async.policy.lifetime import TimeLimit
from chatloom_async.policy.limiter import KeyedLimiter, KeyLimiter
from chatloom_async.policy.retry import RetryBudget, RetryPolicy

next_wait, attempt_once = RetryPolicy.next_wait, AsyncChatloom._attempt
throttled, take, serve, acquire = KeyLimiter.throttled, KeyLimiter._take, KeyLimiter._serve, KeyLimiter.acquire
Mutant = tuple[type, str, Callable[..., Any]]


async def _tried_again_when_cancelled(self: Any, request: Any, call: Any) -> Any:
    with suppress(asyncio.CancelledError):
        return await attempt_once(self, request, call)
    return await attempt_once(self, request, call)


def _last_come_first_served(self: Any) -> None:
    if self._queue:
        self._queue.move_to_end(next(reversed(self._queue)), last=False)
    serve(self)


def _half_a_token(self: Any) -> bool:
    taken = take(self)
    self._tokens += taken / 2
    return taken


def _any_number_in_flight(self: Any) -> bool:
    in_flight, self._in_flight = self._in_flight, 0
    taken = take(self)
    self._in_flight += in_flight
    return taken


async def _slot_kept_when_cancelled(self: Any) -> None:
    try:
        await acquire(self)
    except asyncio.CancelledError:
        self._in_flight += 1
        raise


async def _all_keys_in_one_line(self: Any, key: str) -> None:
    limiter = next(iter(self._limiters.values()), None)
    self._limiters[key] = limiter or KeyLimiter(self._limit, self._clock)
    await self._limiters[key].acquire()


def _half_the_wait(self: Any, error: Any, call: Any, now: float) -> Any:
    answer = next_wait(self, error, call, now)
    return answer if isinstance(answer, str) else answer / 2


def _waits_past_the_deadline(self: Any, error: Any, call: Any, now: float) -> Any:
    return next_wait(self, error, call, now - 1000.0)


def _pays_what_it_has(self: Any, scope: str, cost: float) -> bool:
    self._spent[scope] = min(self._capacity, self._spent.get(scope, 0.0) + cost)
    return True


def _earns_without_end(self: Any, scope: str, tokens: float) -> None:
    self._spent[scope] = self._spent.get(scope, 0.0) - tokens


MUTANTS: dict[str, Mutant] = {
    "a cancelled call is tried again": (AsyncChatloom, "_attempt", _tried_again_when_cancelled),
    "last come, first served": (KeyLimiter, "_serve", _last_come_first_served),
    "a request takes half a token": (KeyLimiter, "_take", _half_a_token),
    "any number may be in flight": (KeyLimiter, "_take", _any_number_in_flight),
    "cancelled in the queue, a slot is kept": (KeyLimiter, "acquire", _slot_kept_when_cancelled),
    "an unused token is lost": (KeyLimiter, "give_back", lambda self: self._leave()),
    "an unused permit is lost": (KeyLimiter, "give_back", lambda self: None),
    "a 429 closes no gate": (KeyLimiter, "throttled", lambda self, retry_after: self._leave()),
    "a gate opens after a second": (KeyLimiter, "throttled", lambda self, retry_after: throttled(self, 1.0)),
    "all keys stand in one line": (KeyedLimiter, "acquire", _all_keys_in_one_line),
    "waits are half as long": (RetryPolicy, "next_wait", _half_the_wait),
    "waits may end after the deadline": (RetryPolicy, "next_wait", _waits_past_the_deadline),
    "attempts are not counted": (RetryPolicy, "limit", lambda self, kind: 99),
    "an empty budget pays": (RetryBudget, "spend", _pays_what_it_has),
    "a success overfills the budget": (RetryBudget, "earn", _earns_without_end),
    "the deadline does not bound an attempt": (Call, "left", lambda self, now, limit=None: limit),
    "time limits never ring": (TimeLimit, "expire", lambda self: None),
}
