"""Tests the tests: changes one thing at a time in the modules below, and counts the changes that no test notices.

    nox -s mutants [-- MODULE...]           such as wire/auth.py

mutmut makes the changes, in a copy of the project. For each module, it prints how many there were and how many were
noticed, and then those that were not, each with its reason from survivors.txt. Ends with 1 where a module has less than
ENOUGH, or where a change that is neither noticed nor explained is left.
"""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from .survivors import Change, explained

COPY = Path(".mutants")
ENOUGH = 0.9
NOTICED = ("killed", "timeout")  # a test failed, or did not end
GROUPS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    # modules, and the tests that must notice changes in them
    (
        (
            *("policy/retry.py", "policy/retrier.py"),
            *("policy/limiter.py", "policy/concurrency.py"),
            *("wire/decode.py", "wire/fast_decode.py", "wire/structure.py"),
            *("wire/auth.py", "wire/encode.py", "wire/status.py"),
        ),
        (
            *("tests/policy/test_budget.py", "tests/policy/test_limit.py", "tests/policy/test_limiter.py"),
            *("tests/policy/test_retrier.py", "tests/policy/test_retry.py", "tests/client/test_calls.py"),
            *("tests/wire/test_auth.py", "tests/wire/test_decode.py", "tests/wire/test_endpoint.py"),
            *("tests/wire/test_fast_decode.py", "tests/wire/test_retry_after.py", "tests/wire/test_structure.py"),
            *("tests/policy/test_concurrency.py", "tests/endpoints/test_agents.py"),
        ),
    ),
    (
        ("fanout.py", "watching.py"),
        (
            *("tests/properties/test_fan_outs.py", "tests/test_fanout.py", "tests/test_watching.py"),
            "tests/client/test_mistakes.py",
        ),
    ),
    (("audit/outage.py",), ("tests/audit/test_outage.py",)),
    (
        ("contrib/redis/limiter.py", "contrib/redis/queue.py", "contrib/redis/script.py"),
        ("tests/contrib/redis",),
    ),
)
MODULES = tuple(module for modules, _ in GROUPS for module in modules)
SETTINGS = """
[tool.mutmut]
source_paths = ["chatloom_async"]
only_mutate = {modules}
also_copy = ["examples"]
process_isolation = "forkserver"
timeout_constant = 3.0
timeout_multiplier = 2.0
pytest_add_cli_args = [
    "-p", "no:cacheprovider", "--hypothesis-profile=ci",
    "-k", "not frames_of_the_traceback and not linear_time and not the_event_loop_ends",
]
pytest_add_cli_args_test_selection = {tests}
"""
"""Each test run is forked from a process that has imported the tests and run none, so that nothing is remembered.

Left out are the tests of what a traceback shows, of time, and of a generator that an event loop closes: mutmut has
frames of its own, takes time of its own, and puts a generator of its own around each. The profile `ci` draws no lots.
"""


def copied(modules: list[str]) -> None:
    """A fresh copy of the project, in which mutmut will change these modules."""
    shutil.rmtree(COPY, ignore_errors=True)
    for name in ("chatloom_async", "tests", "examples"):
        shutil.copytree(name, COPY / name, ignore=shutil.ignore_patterns("__pycache__"))
    tests = [test for group, its_tests in GROUPS if {*group} & {*modules} for test in its_tests]
    settings = SETTINGS.format(modules=[f"chatloom_async/{module}" for module in modules], tests=tests)
    (COPY / "pyproject.toml").write_text(Path("pyproject.toml").read_text("utf-8") + settings, "utf-8")


def mutmut(*arguments: str) -> str:
    """What it says. Its progress, a line that is written again and again, goes into a file, to be followed there."""
    log = COPY / f"{arguments[0]}.log"
    with log.open("w", encoding="utf-8") as file:
        command = [sys.executable, "-m", "mutmut", *arguments]
        done = subprocess.run(command, cwd=COPY, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        sys.exit(f"mutmut failed: {log} says why")
    return log.read_text("utf-8")


def report(counted: Counter[tuple[str, str]], left: list[Change]) -> bool:
    """Whether it is good enough."""
    good = True
    for module in sorted({module for module, _ in counted}):
        total = sum(number for (of, _), number in counted.items() if of == module)
        noticed = sum(counted[module, end] for end in NOTICED)
        good &= noticed >= ENOUGH * total
        print(f"{noticed / total:7.1%}  {noticed:4} of {total:4}  {module}")
    reasons = explained(Path(__file__).with_name("survivors.txt").read_text("utf-8"))
    for change in left:
        print(f"\n{change}\n{reasons.get(change, 'NOT EXPLAINED: write a test, or say in survivors.txt why none can')}")
    for change in [each for each in reasons if each not in left and each.module in {module for module, _ in counted}]:
        print(f"\n{change}\nExplained in survivors.txt, but noticed, or gone: remove it there")
    return good and all(change in reasons for change in left)


def main(modules: list[str]) -> int:
    """0 where every module is good enough."""
    if unknown := {*modules} - {*MODULES}:
        sys.exit(f"Not among the modules: {', '.join(sorted(unknown))}. They are: {', '.join(MODULES)}")
    copied(modules or [*MODULES])
    mutmut("run", "--max-children", str(os.cpu_count() or 1))
    lines = (line.strip().split(": ") for line in mutmut("results", "--all", "true").splitlines())
    ends = {told[0]: told[-1] for told in lines if "__mutmut_" in told[0]}
    counted = Counter((name.rsplit(".", 1)[0], end) for name, end in ends.items())
    left = [Change.of(name, mutmut("show", name)) for name, end in ends.items() if end not in NOTICED]
    return not report(counted, left)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
