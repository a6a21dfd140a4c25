"""Runs the properties on as many random schedules as one likes, also on code that is wrong on purpose."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from attrs import frozen
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.scenes import replaced
from tests.properties import test_calls, test_fan_outs, test_isolation, test_limiters
from tests.properties.mutants import MUTANTS

PATIENT: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
HASTY: dict[str, Any] = {
    "phases": [Phase.generate],
    "database": None,
    "print_blob": False,
    "report_multiple_bugs": False,
}


@frozen
class Property:
    """Something that holds for every schedule. `ran` counts those for which it was seen to hold."""

    name: str
    share: float
    search: Callable[[settings], None]
    ran: Counter[str]

    def holds(self, schedules: int, **options: Any) -> int:
        """How many schedules were run; what fails is raised, as small as Hypothesis can make it."""
        before = self.ran[self.name]
        self.search(settings(max_examples=schedules, **PATIENT, **options))
        return self.ran[self.name] - before


def drawn(strategies: tuple[Any, ...], test: Any) -> Callable[[settings], None]:
    """A test, but with settings of one's own."""
    return lambda chosen: chosen(given(*strategies)(test.hypothesis.inner_test))()


def calls(chosen: settings) -> None:
    """The state machine, likewise."""
    run_state_machine_as_test(test_calls.Calls, settings=settings(chosen, stateful_step_count=test_calls.STEPS))


cancelled = test_fan_outs.test_no_cancellation_makes_it_hang_or_lose_an_item
unsent = test_limiters.test_what_was_not_sent_and_other_keys_leave_no_trace
isolated = test_isolation.test_each_answer_is_for_its_own_key_and_call
PROPERTIES = (
    Property("fan-outs", 0.25, drawn(test_fan_outs.STRATEGIES, cancelled), test_fan_outs.RAN),
    Property("calls", 0.45, calls, test_calls.Calls.ran),
    Property("limiters", 0.25, drawn(test_limiters.STRATEGIES, unsent), test_limiters.RAN),
    Property("isolation", 0.05, drawn(test_isolation.STRATEGIES, isolated), test_isolation.RAN),
)


def caught(mutant: str, schedules: int, **options: Any) -> str | None:
    """Which rule notices a mutant, within so many schedules of each property on the virtual clock."""
    with replaced(*MUTANTS[mutant]):
        for each in PROPERTIES[:3]:
            try:
                each.holds(schedules, **HASTY, **options)
            except AssertionError as error:
                trace, names = error.__traceback__, []
                while trace:
                    code, trace = trace.tb_frame.f_code, trace.tb_next
                    names += [code.co_name] if "tests/properties" in code.co_filename else []
                return f"{each.name}: {names[-1]}"
    return None
