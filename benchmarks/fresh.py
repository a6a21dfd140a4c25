"""Runs a measurement in a process of its own, so that none inherits another's caches, garbage or patches."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from attrs import frozen

ROOT = Path(__file__).parent.parent
LONGEST = 900.0
# Coverage, tracing, compilation at every start and unbuffered output would be measured instead of the code.
DISTURBING = (
    *("COVERAGE_", "COV_CORE_", "PYTHONTRACEMALLOC", "PYTHONASYNCIODEBUG", "PYTHONDEVMODE"),
    *("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"),
)
IMPORT = """
import time
wall, cpu = time.perf_counter(), time.process_time()
{statement}
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print('{{"wall, ms": %.2f, "CPU, ms": %.2f}}' % (wall * 1e3, cpu * 1e3))
"""


@frozen
class Failure:
    """Why there is no number, in one line."""

    reason: str


Numbers = dict[str, float]


def measured(place: str, **options: Any) -> Numbers | Failure:
    """What `function(**options)` returns, where `place` is `module:function` in this package."""
    return _numbers(["-m", f"{__package__}.inside", json.dumps({"place": place, **options})])


def imported(statement: str) -> Numbers | Failure:
    """How long an import takes in a Python that has just started. Nothing of this package is loaded there."""
    return _numbers(["-c", IMPORT.format(statement=statement)])


def environment() -> dict[str, str]:
    """The variables of a process that is measured."""
    return {name: value for name, value in os.environ.items() if not name.startswith(DISTURBING)}


def _numbers(arguments: list[str]) -> Numbers | Failure:
    command = [sys.executable, *arguments]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=LONGEST, check=False
        )
    except subprocess.TimeoutExpired:
        return Failure(f"took longer than {LONGEST:g} s")
    lines = (done.stderr if done.returncode else done.stdout).strip().splitlines() or [f"exit status {done.returncode}"]
    return Failure(lines[-1][:200]) if done.returncode else dict(json.loads(lines[-1]))
