"""What happens after a call's first attempt: a success earns budget, a failure is handed to tenacity_retries.py.

Entering tenacity costs about a third of a whole request, and importing it a fifth of the time that importing this
package takes. Calls that succeed at once pay for neither.
"""

from typing import Protocol

from attrs import define

from ..wire.errors import ChatloomError
from .call import Attempting, Call, Outcome
from .clock import Clock
from .lifetime import Lifetime
from .retry import Budgets, RetryPolicy, refusal


class Retrier(Protocol):
    """Decides what follows a call's first attempt."""

    def succeeded(self, call: Call) -> None:
        """Notes that the first attempt succeeded."""
        ...

    async def retry(self, failure: ChatloomError, attempt: Attempting, call: Call) -> Outcome:
        """Makes further attempts after the first one failed. The last failure comes back as data."""
        ...


@define
class PolicyRetrier:
    """Retries as a `RetryPolicy` says, within the budgets."""

    policy: RetryPolicy
    clock: Clock
    budgets: Budgets
    lifetime: Lifetime

    def succeeded(self, call: Call) -> None:
        self.budgets.succeeded(call)

    async def retry(self, failure: ChatloomError, attempt: Attempting, call: Call) -> Outcome:
        from .tenacity_retries import Retrying

        return await Retrying(self.policy, self.clock, self.budgets, self.lifetime, call).after(failure, attempt)


@define
class SingleAttempt:
    """No retries at all."""

    def succeeded(self, call: Call) -> None:
        return

    async def retry(self, failure: ChatloomError, attempt: Attempting, call: Call) -> Outcome:
        call.stop_reason = "disabled" if failure.retryable else refusal(failure)
        return failure
