"""What a sample changes, and the tests that it chooses; `nox -s sample` takes one."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve

pytest.importorskip("mutmut", reason="mutmut is of the dependency group mutants")

from tests.mutants import sample
from tests.mutants.sample import Mutant, Recording, drawn

MODULE = '''"""A module."""

LIMIT = 5


@decorated("as it is")
def double(number: "int") -> int:
    """A function."""
    loud = cast("bool", False)
    zip(strict=True)
    return (
        2 * number or "None"
    )
'''


@pytest.fixture
def mutants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Mutant]:
    """A hundred mutants of a package with one module."""
    monkeypatch.setattr(sample, "COPY", tmp_path)
    (tmp_path / "chatloom_async").mkdir()
    (tmp_path / "chatloom_async" / "one.py").write_text(MODULE, "utf-8")
    return [mutant for mutant, _ in zip(drawn(1), range(100), strict=False)]


def test_functions_are_changed_and_nothing_else(mutants: list[Mutant]) -> None:
    """Neither constants of modules nor docstrings, decorators and types; nor the case of letters, False to None and
    `strict=`."""
    assert {(*mutant.change().removed, *mutant.change().added) for mutant in mutants} == {
        ('loud = cast("bool", False)', 'loud = cast("bool", True)'),
        ('loud = cast("bool", False)', "loud = cast(False)"),
        ('loud = cast("bool", False)', 'loud = cast("bool", )'),
        ('loud = cast("bool", False)', "loud = None"),
        ('2 * number or "None"', '3 * number or "None"'),
        ('2 * number or "None"', '2 / number or "None"'),
        ('2 * number or "None"', '2 * number and "None"'),
        ('2 * number or "None"', '2 * number or "XXNoneXX"'),
    }
    assert {(mutant.first, mutant.last) for mutant in mutants} == {(9, 9), (11, 13)}
    assert {mutant.change().module for mutant in mutants} == {"chatloom_async.one"}


def test_the_tests_that_run_the_statement_are_chosen(mutants: list[Mutant]) -> None:
    """None that failed or was skipped when it was recorded."""
    lines: dict[int, Any] = {7: ["def"], 10: ["one", "two"], 11: ["failed"], 13: ["", "other"]}
    data: Any = SimpleNamespace(contexts_by_lineno=lambda name: lines)
    seconds = dict.fromkeys(["def", "one", "two", "other"], 0.1)
    recording = Recording(data, seconds)
    assert recording.covering(evolve(mutants[0], first=10, last=12)) == ["one", "two"]
    assert recording.covering(evolve(mutants[0], first=13, last=13)) == ["def", "one", "other", "two"]
