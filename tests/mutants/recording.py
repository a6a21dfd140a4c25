"""A pytest plugin: records which lines each test runs and how long it takes, or runs the tests that were chosen.

It records under coverage: each test is a context of its own, in the processes that it starts as well. Otherwise it
runs the tests that the file named by CHOSEN lists.
"""

import json
import os
import resource
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage

CHOSEN = "CHATLOOM_CHOSEN_TESTS"
SECONDS = Path("seconds.json")
MEMORY = 4 * 2**30
"""Bytes that a process with a change may take: an endless loop may collect without end, too."""

seconds: Counter[str] = Counter()
failed: set[str] = set()


def pytest_configure() -> None:
    """Bounds the memory."""
    if CHOSEN in os.environ:
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves the chosen tests."""
    if path := os.environ.get(CHOSEN):
        chosen = {*json.loads(Path(path).read_text("utf-8"))}
        items[:] = [item for item in items if item.nodeid in chosen]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Makes the test a context."""
    if coverage := Coverage.current():
        coverage.switch_context(item.nodeid)
        coverage.config.context = item.nodeid  # of the processes that the test starts
        os.environ["COVERAGE_PROCESS_CONFIG"] = coverage.config.serialize()
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Adds up the seconds of a test and its fixtures."""
    seconds[report.nodeid] += report.duration
    if not report.passed:
        failed.add(report.nodeid)


def pytest_sessionfinish() -> None:
    """What failed or was skipped is left out: it tells nothing about a change."""
    if Coverage.current():
        lasted = {test: duration for test, duration in seconds.items() if test not in failed}
        SECONDS.write_text(json.dumps(lasted), "utf-8")
