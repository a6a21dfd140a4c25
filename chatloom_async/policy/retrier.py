"""Carries out what retry.py decides, by tenacity.

The first attempt is made outside of tenacity and handed over only when it has failed: entering tenacity costs about
a third of a whole request, and calls that succeed shall not pay for it. Every call has a tenacity object of its own;
a shared one under concurrent calls mixes up their results.
"""

from collections.abc import Awaitable, Callable
from logging import Logger, getLogger
from typing import Protocol

from attrs import define, field
from tenacity import AsyncRetrying, RetryCallState, RetryError

from ..wire.errors import ChatloomError, ClientClosedError
from ..wire.message import Response
from .budget import COST, RetryBudget
from .call import Call
from .clock import Clock
from .lifetime import Lifetime
from .retry import RetryPolicy, is_free, refusal

Outcome = Response | ChatloomError
Attempting = Callable[[], Awaitable[Outcome]]

log: Logger = getLogger("chatloom_async")


class Retrier(Protocol):
    """Makes a call's first attempt and those that follow; the last failure comes back as data."""

    async def run(self, attempt: Attempting, call: Call) -> Outcome: ...


def resumed(first: Outcome, attempt: Attempting) -> Attempting:
    """`attempt`, but the first result is one that is there already. So tenacity's count starts where it should."""
    pending: list[Outcome] = [first]

    async def next_outcome() -> Outcome:
        return pending.pop() if pending else await attempt()

    return next_outcome


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


@define
class PolicyRetrier:
    """Retries by a `RetryPolicy`, within the budgets."""

    policy: RetryPolicy
    clock: Clock
    budgets: Budgets
    lifetime: Lifetime

    async def run(self, attempt: Attempting, call: Call) -> Outcome:
        outcome = await attempt()
        if isinstance(outcome, Response):
            self.budgets.succeeded(call)
            return outcome
        decisions = Decisions(self, call)
        retrying = AsyncRetrying(retry=decisions.again, wait=decisions.wait, sleep=self._sleep)
        try:
            outcome = await retrying(resumed(outcome, attempt))
        except ClientClosedError as closed:  # while it waited
            return closed.with_traceback(None)
        if isinstance(outcome, Response):
            decisions.succeeded()
        return outcome

    async def _sleep(self, seconds: float) -> None:
        with self.lifetime.limit(None):
            await self.clock.sleep(seconds)


@define
class Decisions:
    """tenacity's questions about one call, answered from the policy, the call's record and the budgets."""

    retrier: PolicyRetrier
    call: Call
    pause: float = 0.0
    paid: tuple[RetryBudget, str, float] | None = None

    def again(self, state: RetryCallState) -> bool:
        failure = state.outcome.result() if state.outcome and not state.outcome.failed else None
        if not isinstance(failure, ChatloomError):
            return False
        answer = self.retrier.policy.again(failure, self.call, self.retrier.clock.now())
        if isinstance(answer, str):
            self.call.stop_reason = answer
        elif not self._pay(failure):
            self.call.stop_reason = "budget"
        else:
            self.pause = answer
        self._tell(failure)
        return self.call.stop_reason is None

    def _tell(self, failure: ChatloomError) -> None:
        """A line for each retry and for giving up after all, of names and numbers only: no text of the server's."""
        operation, number = self.call.operation, len(self.call.attempts)
        what = getattr(failure, "status", type(failure).__name__)
        if self.call.stop_reason is None:
            log.info("%s attempt %d: %s, again in %.2f s", operation, number, what, self.pause)
        elif failure.retryable:
            log.info("%s attempt %d: %s, given up: %s", operation, number, what, self.call.stop_reason)

    def wait(self, _: RetryCallState) -> float:
        return self.pause

    def succeeded(self) -> None:
        """A retry that led to success gets back what the last one cost; a free one earns like any other success."""
        if self.paid:
            budget, scope, cost = self.paid
            budget.earn(scope, cost)
        else:
            self.retrier.budgets.succeeded(self.call)

    def _pay(self, failure: ChatloomError) -> bool:
        if is_free(failure, self.call):
            return True
        budget, scope = self.retrier.budgets.account(failure, self.call)
        self.paid = (budget, scope, COST[failure.kind])
        return budget.spend(scope, COST[failure.kind])


@define
class TenacityRetrier:
    """Retries as a tenacity object of the caller's says, which sees our errors as exceptions. It is copied per call."""

    template: AsyncRetrying
    clock: Clock
    lifetime: Lifetime

    async def run(self, attempt: Attempting, call: Call) -> Outcome:
        outcome = await attempt()
        if isinstance(outcome, Response):
            return outcome
        next_outcome = resumed(outcome, attempt)

        async def raising() -> Response:
            outcome = await next_outcome()
            if isinstance(outcome, ChatloomError):
                raise outcome
            return outcome

        result: Outcome | None = None
        limit = self.lifetime.limit(call.left(self.clock.now()))
        try:
            with limit:
                result = await self.template.copy(reraise=True, retry_error_cls=RetryError)(raising)
        except ChatloomError as error:
            result = error
        except RetryError as error:
            result = error.last_attempt.result()  # a response that the caller's rules would have liked to be another
        except TimeoutError:
            if not limit.expired:
                raise
            result = call.timed_out(self.clock.now(), None)
        for tried in call.attempts:
            if tried.error is not None:
                tried.error.__traceback__ = None  # its frames would keep the whole call alive
        if not isinstance(result, (Response, ChatloomError)):  # what a retry_error_callback made up
            result = call.last_failure or outcome
        if isinstance(result, ChatloomError):
            call.stop_reason = "attempts" if result.retryable else refusal(result)
        return result


@define
class SingleAttempt:
    """No retries at all."""

    async def run(self, attempt: Attempting, call: Call) -> Outcome:
        outcome = await attempt()
        if isinstance(outcome, ChatloomError):
            call.stop_reason = "disabled" if outcome.retryable else refusal(outcome)
        return outcome
