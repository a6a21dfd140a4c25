"""Makes a call's first attempt, and hands over to tenacity_retries.py only if it failed.

Entering tenacity costs about a third of a whole request, and importing it a fifth of the time that importing this
package takes: calls that succeed shall pay for neither.
"""

from typing import Protocol

from attrs import define

from ..wire.errors import ChatloomError
from ..wire.message import Response
from .call import Attempting, Call, Outcome
from .clock import Clock
from .lifetime import Lifetime
from .retry import Budgets, RetryPolicy, refusal


class Retrier(Protocol):
    """Makes a call's first attempt and those that follow; the last failure comes back as data."""

    async def run(self, attempt: Attempting, call: Call) -> Outcome: ...


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
        from .tenacity_retries import Retrying

        return await Retrying(self.policy, self.clock, self.budgets, self.lifetime, call).after(outcome, attempt)


@define
class SingleAttempt:
    """No retries at all."""

    async def run(self, attempt: Attempting, call: Call) -> Outcome:
        outcome = await attempt()
        if isinstance(outcome, ChatloomError):
            call.stop_reason = "disabled" if outcome.retryable else refusal(outcome)
        return outcome
