"""Ways in which fan_out, limiter, retries, budget and time limits could be wrong: the properties must notice each.

Each replaces one function of the real code for a while. Nothing here says which property it is that notices.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from chatloom_async import fanout
from chatloom_async.client import AsyncChatloom
from chatloom_async.fanout import Ok, _Workers
from chatloom_async.policy.call import Call
from chatloom_async.policy.lifetime import TimeLimit
from chatloom_async.policy.limiter import KeyedLimiter, KeyLimiter
from chatloom_async.policy.retry import RetryBudget, RetryPolicy

next_wait, attempt_once = RetryPolicy.next_wait, AsyncChatloom._attempt
throttled, take, serve, acquire = KeyLimiter.throttled, KeyLimiter._take, KeyLimiter._serve, KeyLimiter.acquire
start_one, read, stop = _Workers.start_one, _Workers._read, _Workers.stop
Mutant = tuple[Any, str, Callable[..., Any]]


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


async def _errors_of_the_source_are_its_end(self: Any) -> Any:
    item = await read(self)
    self.read_error = None
    return item


async def _cancelled_operations_are_lost(item: Any, operation: Any) -> Any:
    try:
        return Ok(item, await operation(item))
    except Exception as error:
        return fanout.Err(item, error)


async def _an_old_cancellation_loses_errors(item: Any, operation: Any) -> Any:
    try:
        return Ok(item, await operation(item))
    except (Exception, asyncio.CancelledError) as error:
        task = asyncio.current_task()
        if task and task.cancelling():  # which an operation may have swallowed
            raise
        return fanout.Err(item, error)


def _any_number_of_workers(self: Any) -> None:
    concurrency, self._concurrency = self._concurrency, 99
    start_one(self)
    self._concurrency = concurrency


async def _not_waited_for(self: Any) -> None:
    for task in self.tasks:
        task.cancel()


async def _not_cancelled(self: Any) -> None:
    self.tasks.clear()
    await stop(self)


def _one_that_did_not_begin_is_forgotten(self: Any, task: Any) -> None:
    self.tasks.discard(task)
    self._tell()


MUTANTS: dict[str, Mutant] = {
    "a cancelled call is tried again": (AsyncChatloom, "_attempt", _tried_again_when_cancelled),
    "an error of the source is taken for its end": (_Workers, "_read", _errors_of_the_source_are_its_end),
    "a cancelled operation loses its item": (fanout, "_result", _cancelled_operations_are_lost),
    "a swallowed cancellation loses errors": (fanout, "_result", _an_old_cancellation_loses_errors),
    "any number of operations at once": (_Workers, "start_one", _any_number_of_workers),
    "a fan-out reads without end": (_Workers, "_may_read", lambda self: not self._exhausted),
    "a result wakes nobody": (_Workers, "_tell", lambda self: None),
    "workers are cancelled, but not waited for": (_Workers, "stop", _not_waited_for),
    "workers are not cancelled": (_Workers, "stop", _not_cancelled),
    "a worker that did not begin is forgotten": (_Workers, "_ended", _one_that_did_not_begin_is_forgotten),
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
