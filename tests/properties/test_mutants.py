"""The properties can fail. Here for a few mutants, for the sake of time; `nox -s schedules` tries all of them."""

import pytest

from tests.properties.mutants import MUTANTS
from tests.properties.search import caught

NOTICED = {
    "a cancelled operation loses its item": "fan-outs: no_item_is_lost_or_doubled",
    "a request takes half a token": "calls: at_most_burst_and_rate_leave_in_any_window",
    "a success overfills the budget": "calls: retries_stay_within_the_budget",
    "last come, first served": "calls: first_come_first_served",
}


@pytest.mark.parametrize("mutant", sorted(NOTICED))
def test_what_is_wrong_is_noticed(mutant: str) -> None:
    """By the rule that speaks of it, within a hundred schedules or so."""
    assert caught(mutant, 100, derandomize=True) == NOTICED[mutant]


def test_every_mutant_replaces_something_that_is_there() -> None:
    """A function that was renamed would let its mutants get away unnoticed."""
    assert [name for name, (owner, function, _) in MUTANTS.items() if function not in vars(owner)] == []
