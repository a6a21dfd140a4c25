"""What happens after a call's first attempt: a success earns budget, a failure is retried as retry.py decides.

tenacity makes the retries. Every call has its own tenacity object, because a shared one mixes up the results of
concurrent calls. It is imported after the first failure: entering tenacity costs about a third of a whole request, and
importing it a fifth of the time that importing this package takes. Calls that succeed at once pay for neither.
"""

from logging import Logger, getLogger
from typing import TYPE_CHECKING

from attrs import define

from ..wire.errors import ChatloomError, ClientClosedError
from ..wire.message import Response
from .call import Attempting, Call, Outcome
from .clock import Clock
from .lifetime import Lifetime
from .retry import COST, Budgets, RetryBudget, RetryPolicy, is_free, is_local, refusal

if TYPE_CHECKING:
    from tenacity import AsyncRetrying, RetryCallState

log: Logger = getLogger("chatloom_async")


@define
class PolicyRetrier:
    """Retries as a `RetryPolicy` says, within the budgets."""

    policy: RetryPolicy
    clock: Clock
    budgets: Budgets
    lifetime: Lifetime

    def succeeded(self, call: Call) -> None:
        """Notes that the first attempt succeeded."""
        self.budgets.succeeded(call)

    async def retry(self, failure: ChatloomError, attempt: Attempting, call: Call) -> Outcome:
        """Makes further attempts after the first one failed. The last failure comes back as data."""
        return await Retrying(self.policy, self.clock, self.budgets, self.lifetime, call).after(failure, attempt)


@define
class SingleAttempt:
    """No retries at all."""

    def succeeded(self, call: Call) -> None:
        return

    async def retry(self, failure: ChatloomError, attempt: Attempting, call: Call) -> Outcome:
        call.stop_reason = "disabled" if failure.retryable else refusal(failure)
        return failure


def resumed(first: Outcome, attempt: Attempting) -> Attempting:
    """`attempt`, but with `first` as its first result, so that tenacity counts the first attempt too."""
    pending: list[Outcome] = [first]

    async def next_outcome() -> Outcome:
        return pending.pop() if pending else await attempt()

    return next_outcome


@define
class Retrying:
    """The retries of one call: tenacity's questions, answered from the policy, the call's record and the budgets."""

    policy: RetryPolicy
    clock: Clock
    budgets: Budgets
    lifetime: Lifetime
    call: Call
    pause: float = 0.0
    paid: tuple[RetryBudget, str, float] | None = None

    async def after(self, failed: Outcome, attempt: Attempting) -> Outcome:
        """The outcome of a call whose first attempt has failed."""
        from tenacity import AsyncRetrying

        tenacity = AsyncRetrying(retry=self.again, wait=self.wait, sleep=self._sleep)
        try:
            outcome: Outcome = await tenacity(resumed(failed, attempt))
        except ClientClosedError as closed:  # while it waited
            return closed.with_traceback(None)
        if isinstance(outcome, Response):
            self._succeeded()
        return outcome

    async def _sleep(self, seconds: float) -> None:
        with self.lifetime.limit(None):
            await self.clock.sleep(seconds)

    def again(self, state: "RetryCallState") -> bool:
        failure = state.outcome.result() if state.outcome and not state.outcome.failed else None
        if not isinstance(failure, ChatloomError):
            return False
        answer = self.policy.next_wait(failure, self.call, self.clock.time())
        if isinstance(answer, str):
            self.call.stop_reason = answer
        elif not self._pay(failure):
            self.call.stop_reason = "budget"
        else:
            self.pause = answer
        call, name = self.call, getattr(failure, "status", type(failure).__name__)
        if call.stop_reason is None:  # logged by names and numbers only: no text of the server's
            number, origin = len(call.attempts), call.origin
            log.info("%s attempt %d: %s, again in %.2f s %s", call.operation, number, name, self.pause, origin)
        return call.stop_reason is None

    def wait(self, _: "RetryCallState") -> float:
        return self.pause

    def _succeeded(self) -> None:
        """A retry that led to success gets back what the last one cost; a free one earns like any other success."""
        if self.paid:
            budget, scope, cost = self.paid
            budget.earn(scope, cost)
        else:
            self.budgets.succeeded(self.call)

    def _pay(self, failure: ChatloomError) -> bool:
        if is_free(failure, self.call) or is_local(failure):
            return True
        budget, scope = self.budgets.account(failure, self.call)
        self.paid = (budget, scope, COST[failure.kind])
        return budget.spend(scope, COST[failure.kind])


@define
class TenacityRetrier:
    """Retries as the caller's own tenacity object says. It is copied per call, and sees our errors as exceptions."""

    template: "AsyncRetrying"
    clock: Clock
    lifetime: Lifetime

    def succeeded(self, call: Call) -> None:
        return

    async def retry(self, failure: ChatloomError, attempt: Attempting, call: Call) -> Outcome:
        from tenacity import RetryError

        next_outcome = resumed(failure, attempt)

        async def raising() -> Response:
            outcome = await next_outcome()
            if isinstance(outcome, ChatloomError):
                raise outcome
            return outcome

        result: Outcome | None = None
        limit = self.lifetime.limit(call.left(self.clock.time()))
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
            result = call.deadline_exceeded()
        for tried in call.attempts:
            if tried.error is not None:
                tried.error.__traceback__ = None  # its frames would keep the whole call alive
        if not isinstance(result, (Response, ChatloomError)):  # what a retry_error_callback made up
            result = call.last_failure or failure
        if isinstance(result, ChatloomError):
            call.stop_reason = "attempts" if result.retryable else refusal(result)
        return result


Retrier = PolicyRetrier | SingleAttempt | TenacityRetrier
"""Decides what follows a call's first attempt."""
