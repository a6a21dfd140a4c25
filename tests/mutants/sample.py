"""Tests the tests by random changes of the whole package, and says which part of them the tests notice.

    nox -s sample [-- --count 200 --seed 1]

mutmut's operators make the changes, in a copy of the project, inside of functions. The tests of the copy run once
under coverage, which records the lines that each test runs. A change is tried with the tests that run its statement,
the fastest files first. Prints who notices each change, the changes that nobody notices, and the rate. Ends with 1 if
the rate is below ENOUGH. A change that survivors.txt explains does not count.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from difflib import unified_diff
from pathlib import Path

import libcst
from attrs import frozen
from coverage import CoverageData
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import NEVER_MUTATE_FUNCTION_CALLS
from mutmut.mutation.mutators import mutation_operators

from .recording import CHOSEN, SECONDS
from .survivors import Change, explained

COPY = Path(".sample")
LEFT_OUT = (".git", ".venv*", ".nox", "*cache*", ".hypothesis", ".mutants", ".fuzz", ".sample", ".coverage*")
ENOUGH = 0.95
START_SECONDS, SLOWER = 30.0, 5.0
"""A run may take this long, and so many times what its tests took when they were recorded."""

PYTEST = (
    *("-m", "pytest", "-q", "-p", "tests.mutants.recording", "-p", "no:cacheprovider"),
    *("-m", "not cluster and not browser", "--hypothesis-profile=ci"),
)


@frozen
class Mutant:
    """A module with one change, in a statement from line `first` to line `last`."""

    path: Path
    first: int
    last: int
    before: str
    after: str

    def difference(self) -> str:
        """As a unified diff."""
        before, after = self.before.splitlines(), self.after.splitlines()
        return "\n".join(unified_diff(before, after, str(self.path), str(self.path), n=1, lineterm=""))

    def change(self) -> Change:
        """As survivors.txt knows it."""
        return Change.of(".".join([*self.path.with_suffix("").parts, ""]), self.difference())


class Finder(libcst.CSTVisitor):
    """Finds what mutmut's operators can change inside of functions, with the lines of the statement around it.

    Left out are changes that hardly ever mean anything: of the case of letters, since headers and SQL have none, of
    False to None, of types, those of `cast` included, and of `strict=`, which only tells of a defect.
    """

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        self.found: list[tuple[int, int, libcst.CSTNode, libcst.CSTNode]] = []
        self._around: list[libcst.CSTNode] = []  # functions, and the statements in them
        self._types: set[libcst.CSTNode] = set()

    def on_visit(self, node: libcst.CSTNode) -> bool:
        if isinstance(node, (libcst.Annotation, libcst.Decorator)) or node in self._types:
            return False
        self._types.update(_cast(node)[:1])
        if isinstance(node, libcst.Arg) and node.keyword and node.keyword.value == "strict":
            return False
        if isinstance(node, libcst.Call) and getattr(node.func, "value", "") in NEVER_MUTATE_FUNCTION_CALLS:
            return False
        in_function = any(isinstance(around, libcst.FunctionDef) for around in self._around)
        if isinstance(node, (libcst.BaseCompoundStatement, libcst.SimpleStatementLine)):
            self._around.append(node)
        if in_function:
            lines = self.get_metadata(PositionProvider, self._around[-1])
            for kind, operator in mutation_operators:
                if isinstance(node, kind):
                    changes = [new for new in operator(node) if _meaning(new) != _meaning(node)]
                    self.found += [(lines.start.line, lines.end.line, node, new) for new in changes]
        return True

    def on_leave(self, original_node: libcst.CSTNode) -> None:
        if self._around and self._around[-1] is original_node:
            self._around.pop()


def _cast(node: libcst.CSTNode) -> tuple[libcst.Arg, ...]:
    """The type and the value, if it is a call of `cast`, which is its value; else nothing."""
    if isinstance(node, libcst.Call) and getattr(node.func, "value", "") == "cast" and len(node.args) == 2:
        return tuple(node.args)
    return ()


def _meaning(node: libcst.CSTNode) -> str:
    node = (node, *_cast(node))[-1]
    code = re.sub(r"\bstrict=\w+", "", libcst.Module([]).code_for_node(node))
    return re.sub(r"\bFalse\b", "None", code).casefold()


def found(path: Path) -> tuple[libcst.Module, Finder]:
    """A module of the copy, and what can be changed in it."""
    wrapper, finder = MetadataWrapper(libcst.parse_module((COPY / path).read_text("utf-8"))), Finder()
    wrapper.visit(finder)
    return wrapper.module, finder


def drawn(seed: int) -> Iterator[Mutant]:
    """Random mutants without end. A module is as likely as it is long."""
    lots, files = random.Random(seed), sorted((COPY / "chatloom_async").rglob("*.py"))
    sizes = [file.stat().st_size for file in files]
    while True:
        path = lots.choices(files, sizes)[0].relative_to(COPY)
        module, finder = found(path)
        if finder.found:
            first, last, old, new = lots.choice(finder.found)
            yield Mutant(path, first, last, module.code, module.deep_replace(old, new).code)


def copied() -> bool:
    """Copies the project, unless the last copy has recorded its tests and is newer than every module."""
    recorded = COPY / SECONDS
    newest = max(file.stat().st_mtime for name in ("chatloom_async", "tests") for file in Path(name).rglob("*.*"))
    if recorded.exists() and recorded.stat().st_mtime > newest:
        return False
    shutil.rmtree(COPY, ignore_errors=True)
    shutil.copytree(".", COPY, ignore=shutil.ignore_patterns(*LEFT_OUT))
    return True


def run(*arguments: str, limit: float | None = None, **variables: str) -> int | None:
    """Runs Python in the copy and returns its exit status, or None if it does not end within so many seconds."""
    env = os.environ | {"PYTHONPATH": str(COPY.absolute()), "PYTHONDONTWRITEBYTECODE": "1"} | variables
    with (
        (COPY / "run.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, *arguments], cwd=COPY, env=env, stdout=log, stderr=log, start_new_session=True
        ) as process,
    ):
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # also what a test has started


def record() -> None:
    """Runs all tests under coverage."""
    run("-m", "coverage", "run", *PYTEST, PYTHONDONTWRITEBYTECODE="")
    if (COPY / SECONDS).exists():
        run("-m", "coverage", "combine", "--quiet")


@frozen
class Recording:
    """What each test ran in the copy, and how long it took."""

    data: CoverageData
    seconds: dict[str, float]

    @classmethod
    def read(cls) -> "Recording":
        """From the files in the copy."""
        if not (COPY / SECONDS).exists():
            sys.exit(f"The tests did not run: {COPY / 'run.log'} says why")
        data = CoverageData(str(COPY / ".coverage"))
        data.read()
        return cls(data, json.loads((COPY / SECONDS).read_text("utf-8")))

    def covering(self, mutant: Mutant) -> list[str]:
        """The tests that run the statement, if they passed; if it ran in an import, all that run the module."""
        lines = self.data.contexts_by_lineno(str((COPY / mutant.path).absolute()))
        tests = {test for line in range(mutant.first, mutant.last + 1) for test in lines.get(line, ())}
        if "" in tests:
            tests.update(*lines.values())
        return sorted(tests & self.seconds.keys())


def noticed_by(mutant: Mutant, tests: list[str], seconds: dict[str, float]) -> str:
    """The first test that fails, or how else the run ended; empty if all tests passed."""
    by_file = Counter[str]()
    for test in tests:
        by_file[test.partition("::")[0]] += seconds[test]
    (COPY / "chosen.json").write_text(json.dumps(tests), "utf-8")
    limit = START_SECONDS + SLOWER * by_file.total()
    module, times = COPY / mutant.path, (COPY / mutant.path).stat()
    module.write_text(mutant.after, "utf-8")
    status = run(*PYTEST, "-x", *sorted(by_file, key=by_file.__getitem__), limit=limit, **{CHOSEN: "chosen.json"})
    module.write_text(mutant.before, "utf-8")
    os.utime(module, ns=(times.st_atime_ns, times.st_mtime_ns))  # so that what was compiled of it fits again
    if status == 0:
        return ""
    lines = (COPY / "run.log").read_text("utf-8", "replace").splitlines()
    return next((line for line in lines if line.startswith(("FAILED", "ERROR"))), f"status {status}")


def main() -> int:
    """0 if enough mutants were noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.sample", description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    options = parser.parse_args()
    if copied():
        record()
    recording = Recording.read()
    reasons = explained(Path(__file__).with_name("survivors.txt").read_text("utf-8"))
    print(f"{options.count} mutants with --seed {options.seed}", flush=True)
    tried, noticed = set[Mutant](), 0
    for mutant in drawn(options.seed):
        tests = recording.covering(mutant)
        if not tests or mutant in tried or mutant.change() in reasons:
            continue
        tried.add(mutant)
        by = noticed_by(mutant, tests, recording.seconds)
        noticed += bool(by)
        said = by or f"{len(tests)} tests notice nothing:\n{mutant.difference()}\n"
        print(f"{len(tried)} {mutant.path}: {said}", flush=True)
        if len(tried) == options.count:
            break
    print(f"{noticed} of {len(tried)} mutants were noticed, {noticed / len(tried):.1%}.")
    return int(noticed < ENOUGH * len(tried))


if __name__ == "__main__":
    sys.exit(main())
