"""The rules that there are: the table of this package's own, those of Python files and of installed packages.

A file of rules is a program and runs with all that the audit may do; load only files that you would run.
"""

import sys
from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from fnmatch import fnmatchcase
from hashlib import blake2b
from importlib.metadata import EntryPoint, entry_points
from itertools import chain
from pathlib import Path
from traceback import walk_tb
from types import ModuleType
from typing import Any, Final

from ...wire.cleaning import clean
from ...wire.errors import ChatloomError
from ..entries import whole
from ..values import SEVERITIES, Severity
from . import agents, contract, domains, lookalikes, overlap, resolution
from .rule import Rule, RuleError


def _audit_rule(name: str, severity: Severity, *, why: str, fix: str) -> Rule:
    """A rule that the audit itself applies, while it reads or reports."""
    return Rule(name, severity, why, fix, scope="audit", check=lambda _: ())


AGENT_GONE: Final = _audit_rule(
    "agent-gone",
    "info",
    why="The agent was deleted during the audit, so its domains are missing from it.",
    fix="Nothing, if the deletion was intended.",
)
MUTE_EXPIRED: Final = _audit_rule(
    "mute-expired",
    "warning",
    why="The muted finding still exists, and the mute has expired.",
    fix="Correct the finding's cause, or give the mute a new date and reason.",
)
RULE_FAILED: Final = _audit_rule(
    "rule-failed",
    "error",  # a finding has the severity of the rule that failed
    why="A rule could not be applied, so its findings are missing from this report.",
    fix="Correct the rule, or install its dependencies, and run the audit again.",
)


def _rules_of(*modules: ModuleType) -> Iterator[Rule]:
    return (value for module in modules for value in vars(module).values() if isinstance(value, Rule))


RULES: Final = tuple(
    sorted(
        (
            *_rules_of(domains),
            *resolution.DNS_RULES,
            *_rules_of(lookalikes, agents, overlap, contract),
            *(AGENT_GONE, MUTE_EXPIRED, RULE_FAILED),
        ),
        key=lambda rule: SEVERITIES.index(rule.severity),
    )
)
"""Every rule that these modules define, the most severe first."""


class UnknownRuleError(RuleError):
    """A choice of rules matches none. Nothing was sent."""

    hint = "Choose by id or glob pattern, such as domain-wildcard or 'agent-*'."


def select_rules(rules: Iterable[Rule], patterns: Iterable[str]) -> tuple[Rule, ...]:
    """The rules whose ids match one of the patterns, in their order; no patterns choose all.

    Raises UnknownRuleError for a pattern that matches none, with the ids that resemble it.
    """
    rules, patterns = tuple(rules), tuple(patterns)
    ids = [rule.id for rule in rules]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in ids):
            raise UnknownRuleError(no_rule(pattern, ids))
    return tuple(rule for rule in rules if not patterns or any(fnmatchcase(rule.id, text) for text in patterns))


def no_rule(name: str, ids: Collection[str]) -> str:
    """The error for an unknown rule, with similar ids, or all of them."""
    near = get_close_matches(name, ids, n=3) or sorted(ids)
    return f"No rule is called {name!r}. " + (
        f"The rules are {', '.join(near)}" if len(near) == len(ids) else f"Similar: {', '.join(near)}"
    )


def joined(*groups: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules of all groups, in their order. Raises RuleError if two different ones have the same id."""
    by_id: dict[str, Rule] = {}
    for rule in chain.from_iterable(groups):
        if by_id.setdefault(rule.id, rule) is not rule:
            taken = by_id[rule.id].place
            raise RuleError(f"The rule id {rule.id} at {rule.place} is already taken by {taken}: choose another one")
    return tuple(by_id.values())


GROUP = "chatloom_async.rules"


class RulesFileError(RuleError):
    """A file or an installed package with rules cannot be loaded. Nothing was sent."""


def load_rules(path: Path) -> tuple[Rule, ...]:
    """The rules of a Python file, in their order, without those that it imports from this package.

    Raises RulesFileError if it cannot be read, does not compile, raises, or holds no rule.
    """
    name = f"chatloom_rules_{blake2b(str(path.resolve()).encode(errors='replace'), digest_size=8).hexdigest()}"
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # where dataclasses and pickle look for it
    try:
        with path.open("rb") as file:
            code = compile(whole(file), str(path), "exec", dont_inherit=True)
        exec(code, vars(module))  # noqa: S102 - this is what the user asks for; an import would leave a __pycache__
    except (Exception, SystemExit) as problem:
        del sys.modules[name]
        raise RulesFileError(f"{path}: {_reason(problem, path)}") from None
    return _rules_in(module, str(path))


def _reason(problem: BaseException, path: Path) -> str:
    if isinstance(problem, OSError) and problem.filename == str(path):
        return f"cannot be read: {problem.strerror}"
    if isinstance(problem, SyntaxError):
        return f"not valid Python: {problem.msg}" + (f" (line {problem.lineno})" if problem.lineno else "")
    lines = [line for frame, line in walk_tb(problem.__traceback__) if frame.f_code.co_filename == str(path)]
    place = f"line {lines[-1]}: " if lines else ""
    if isinstance(problem, ChatloomError):
        return f"{place}{problem.message}"
    return f"{place}{type(problem).__name__}: {clean(str(problem)) or 'no message'}"


def installed_rules() -> tuple[Rule, ...]:
    """The rules of installed packages: entry points of the group "chatloom_async.rules", sorted by name.

    An entry point leads to a rule, a module, or several rules. Raises RulesFileError, which names the package.
    """
    points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    return tuple(rule for point in points for rule in _announced(point))


def _announced(point: EntryPoint) -> tuple[Rule, ...]:
    package = point.dist.name if point.dist else "an installed package"
    place = f"{package}, entry point {point.name} ({point.value})"
    try:
        target = point.load()
    except Exception as problem:
        reason = problem.message if isinstance(problem, ChatloomError) else f"{type(problem).__name__}: {problem}"
        raise RulesFileError(f"{place}: {reason}") from None
    return _rules_in(target, place)


def _rules_in(target: Any, place: str) -> tuple[Rule, ...]:
    values = vars(target).values() if isinstance(target, ModuleType) else target
    known = set(map(id, RULES))
    candidates = values if isinstance(values, Iterable) else (values,)
    rules = {id(value): value for value in candidates if isinstance(value, Rule) and id(value) not in known}
    if not rules:
        raise RulesFileError(f"{place}: holds no rule: decorate a function with chatloom_async.audit.rules.rule")
    return tuple(rules.values())


def choose_rules(patterns: Iterable[str] = (), files: Iterable[Path] = ()) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    """The rules whose ids match one of the glob patterns (no patterns: all), and all rules: those of this package, of
    installed packages and of the files. Raises RuleError.
    """
    every = joined(RULES, installed_rules(), *map(load_rules, files))
    return select_rules(every, patterns), every
