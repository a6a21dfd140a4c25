"""The endurance test can fail; `nox -s soak` runs it."""

from collections import Counter

import pytest

from tests.faults.soak import ROUNDS, WARM_UP, Figures, problems

FLAT = [Figures(calls, 45.0, 150, 1, Counter(answered=calls)) for calls in range(1, ROUNDS + 1)]
LAST = ROUNDS


@pytest.mark.parametrize(
    ("odd", "found"),
    [
        (FLAT[-1], []),
        (Figures(LAST, 47.5, 150, 1, Counter()), ["memory grew by more than 2.0 MB"]),
        (Figures(LAST, 45.0, 170, 1, Counter()), ["descriptors grew by more than 16"]),
        (Figures(LAST, 45.0, 150, 2, Counter()), ["tasks were left behind"]),
        (Figures(LAST - 1, 45.0, 150, 1, Counter()), [f"only {LAST - 1} of {LAST} calls ended"]),
        (Figures(LAST, 45.0, 150, 1, Counter({"MIXED UP": 1})), ["MIXED UP"]),
        (Figures(LAST, 45.0, 150, 1, Counter({"UNKNOWN KeyError()": 1})), ["UNKNOWN KeyError()"]),
    ],
)
def test_what_does_not_hold_is_found(odd: Figures, found: list[str]) -> None:
    """In the last round, against those of the warm-up."""
    assert problems([*FLAT[:-1], odd], LAST) == found


def test_the_warm_up_may_grow() -> None:
    """What is opened or imported at first is no leak."""
    cold = [Figures(each.calls, 5.0, 10, 1, each.outcomes) for each in FLAT[: WARM_UP - 1]]
    assert problems([*cold, *FLAT[WARM_UP - 1 :]], LAST) == []
