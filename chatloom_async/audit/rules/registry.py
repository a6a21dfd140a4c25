"""The rules that there are: the table of this package's own, those of Python files and of installed packages.

A file of rules is a program and runs with all that the audit may do; load only files that you would run.
"""

import sys
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase
from hashlib import blake2b
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from ...wire.cleaning import clean
from ...wire.errors import ChatloomError
from . import agents, contract, domains, lists, lookalikes, overlap, resolution
from .rule import Rule, RuleError

AGENT_GONE: Final = Rule(
    "agent-gone",
    "info",
    why="The agent was deleted while the audit ran, so that its domains are not part of it.",
    fix="Nothing, if the deletion was intended.",
    scope="audit",
    check=lambda _: (),
)
MUTE_EXPIRED: Final = Rule(
    "mute-expired",
    "warning",
    why="The muted finding still exists, and the mute has expired.",
    fix="Correct the finding's cause, or give the mute a new date and reason.",
    scope="audit",
    check=lambda _: (),
)
RULE_FAILED: Final = Rule(
    "rule-failed",
    "error",  # a finding has the severity of the rule that failed
    why="A rule could not be applied, so its findings are missing from this report.",
    fix="Correct the rule, or install its dependencies, and run the audit again.",
    scope="audit",
    check=lambda _: (),
)
RULES: Final[tuple[Rule, ...]] = (
    domains.domain_wildcard,
    domains.domain_local,
    domains.domain_malformed,
    domains.domain_public_suffix,
    domains.domain_unexpected,
    lists.domain_missing,
    *resolution.DNS_RULES,
    domains.domain_ip,
    lookalikes.domain_punycode,
    lookalikes.domain_lookalike,
    lists.domains_empty,
    agents.agent_status,
    agents.agent_name_blank,
    agents.agent_name_duplicate,
    agents.agent_color_invalid,
    agents.agent_created_in_future,
    overlap.key_duplicate,
    lists.domain_duplicate,
    overlap.domain_shared,
    agents.agent_color_contrast,
    agents.agent_position_unknown,
    contract.contract_count,
    contract.contract_order,
    contract.contract_unknown_field,
    AGENT_GONE,
    MUTE_EXPIRED,
    RULE_FAILED,
)


class UnknownRuleError(RuleError):
    """A choice of rules matches none. Nothing was sent."""

    hint = "Choose by id or glob pattern, such as domain-wildcard or 'agent-*'."


def select_rules(rules: Iterable[Rule], patterns: Iterable[str]) -> tuple[Rule, ...]:
    """The rules whose ids match one of the patterns, in their order; no patterns choose all.

    Raises UnknownRuleError for a pattern that matches none, with the ids that resemble it.
    """
    rules, patterns = tuple(rules), tuple(patterns)
    ids = [each.id for each in rules]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in ids):
            raise UnknownRuleError(no_rule(pattern, ids))
    return tuple(each for each in rules if not patterns or any(fnmatchcase(each.id, one) for one in patterns))


def no_rule(name: str, ids: Collection[str]) -> str:
    """The sentence for a name that is no rule's, with the ids that resemble it, or else all of them."""
    near = get_close_matches(name, ids, n=3) or sorted(ids)
    return f"No rule is called {name!r}. " + (
        f"The rules are {', '.join(near)}" if len(near) == len(ids) else f"Similar: {', '.join(near)}"
    )


def joined(*groups: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules of all groups, in their order. Raises RuleError if two different ones have the same id."""
    found: dict[str, Rule] = {}
    for each in (rule for group in groups for rule in group):
        if found.setdefault(each.id, each) is not each:
            taken = found[each.id].place
            raise RuleError(f"The rule id {each.id} at {each.place} is already taken by {taken}: choose another one")
    return tuple(found.values())


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
        code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
        exec(code, vars(module))  # noqa: S102 - this is what the user asks for; an import would leave a __pycache__
    except (Exception, SystemExit) as problem:
        del sys.modules[name]
        reason = _reason(problem, path)
    else:
        return _rules_in(module, str(path))
    raise RulesFileError(f"{path}: {reason}")


def _reason(problem: BaseException, path: Path) -> str:
    if isinstance(problem, OSError) and problem.filename == str(path):
        return f"cannot be read: {problem.strerror}"
    if isinstance(problem, SyntaxError):
        return f"not valid Python: {problem.msg}" + (f" (line {problem.lineno})" if problem.lineno else "")
    if isinstance(problem, ChatloomError):
        return f"{_line(problem, path)}{problem.message}"
    return f"{_line(problem, path)}{type(problem).__name__}: {clean(str(problem)) or 'no message'}"


def _line(problem: BaseException, path: Path) -> str:
    """The last line of the file itself on the way to the problem."""
    line, trace = 0, problem.__traceback__
    while trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == str(path) else line
        trace = trace.tb_next
    return f"line {line}: " if line else ""


def installed_rules() -> tuple[Rule, ...]:
    """The rules of every installed package's entry points in the group "chatloom_async.rules", by their names.

    An entry point leads to a rule, a module, or several rules. Raises RulesFileError, which names the package.
    """
    found = sorted(entry_points(group=GROUP), key=lambda each: each.name)
    return tuple(rule for each in found for rule in _announced(each))


def _announced(point: EntryPoint) -> tuple[Rule, ...]:
    package = point.dist.name if point.dist else "an installed package"
    place = f"{package}, entry point {point.name} ({point.value})"
    try:
        target = point.load()
    except Exception as problem:
        reason = problem.message if isinstance(problem, ChatloomError) else f"{type(problem).__name__}: {problem}"
    else:
        return _rules_in(target, place)
    raise RulesFileError(f"{place}: {reason}")


def _rules_in(target: Any, place: str) -> tuple[Rule, ...]:
    values = vars(target).values() if isinstance(target, ModuleType) else target
    known = {id(each) for each in RULES}
    found = values if isinstance(values, Iterable) else (values,)
    rules = {id(each): each for each in found if isinstance(each, Rule) and id(each) not in known}
    if not rules:
        raise RulesFileError(f"{place}: holds no rule: decorate a function with chatloom_async.audit.rules.rule")
    return tuple(rules.values())


def choose_rules(patterns: Iterable[str] = (), files: Iterable[Path] = ()) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    """The rules whose ids match one of the glob patterns (no patterns: all), and all that there are.

    There are those of this package, of installed packages that announce some, and of the files. Raises RuleError.
    """
    every = joined(RULES, installed_rules(), *map(load_rules, files))
    return select_rules(every, patterns), every
