"""The retry budget: tokens that time does not bring back."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from chatloom_async.policy.retry import CAPACITY, COST, RetryBudget

SCOPES = st.sampled_from(["https://a", "https://b"])


def test_costs() -> None:
    """500 tokens; 14 for a transient failure, 5 for a 429."""
    assert (CAPACITY, COST) == (500.0, {"transient": 14.0, "once": 14.0, "throttle": 5.0})


def test_a_full_budget_pays_for_so_many_retries() -> None:
    """35 transient retries or 100 throttled ones, then none; other scopes are not concerned."""
    for cost, times in ((14.0, 35), (5.0, 100)):
        budget = RetryBudget()
        assert [budget.spend("a", cost) for _ in range(times + 1)] == [True] * times + [False]
        assert budget.left("b") == CAPACITY


def test_a_refused_spending_costs_nothing() -> None:
    """All or nothing."""
    budget = RetryBudget(20.0)
    assert [budget.spend("a", 14.0), budget.spend("a", 14.0), budget.spend("a", 6.0)] == [True, False, True]
    assert budget.left("a") == 0.0


def test_earning_never_overfills() -> None:
    """Successes bring tokens back, up to the capacity; a full scope is forgotten."""
    budget = RetryBudget()
    budget.earn("a", 1000.0)
    assert budget.left("a") == CAPACITY
    budget.spend("a", 14.0)
    budget.earn("a", 1.0)
    assert budget.left("a") == CAPACITY - 13.0
    budget.earn("a", 12.5)
    assert budget.left("a") == CAPACITY - 0.5
    budget.earn("a", 20.0)
    assert (budget.left("a"), budget._spent) == (CAPACITY, {})


class BudgetMachine(RuleBasedStateMachine):
    """Any sequence of spending and earning, against a plain model."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = RetryBudget(100.0)
        self.model = {"https://a": 100.0, "https://b": 100.0}

    @rule(scope=SCOPES, cost=st.sampled_from(sorted(set(COST.values()))))
    def spend(self, scope: str, cost: float) -> None:
        paid = self.budget.spend(scope, cost)
        assert paid is (self.model[scope] >= cost)
        self.model[scope] -= cost * paid

    @rule(scope=SCOPES, tokens=st.sampled_from([1.0, 5.0, 14.0]))
    def earn(self, scope: str, tokens: float) -> None:
        self.budget.earn(scope, tokens)
        self.model[scope] = min(100.0, self.model[scope] + tokens)

    @invariant()
    def bounds(self) -> None:
        """Between empty and full, scope by scope, and no memory for what is full."""
        for scope, tokens in self.model.items():
            assert 0.0 <= tokens == self.budget.left(scope) <= 100.0
        assert set(self.budget._spent) == {scope for scope, tokens in self.model.items() if tokens < 100.0}


TestBudgetMachine = BudgetMachine.TestCase
TestBudgetMachine.settings = settings(max_examples=50, deadline=None)
