"""Rules of other people: from a file, from installed packages, and the choice among all of them."""

import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from chatloom_async.audit.rules import (
    RULES,
    CheckedDomain,
    Rule,
    RuleError,
    RulesFileError,
    UnknownRuleError,
    choose_rules,
    installed_rules,
    joined,
    judge,
    load_rules,
    rule,
    select_rules,
)
from chatloom_async.audit.rules import registry as registry_module
from tests.audit.rules.cases import RULE, audited, checked

FILE = '''"""Rules of the house."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chatloom_async.audit.rules import CheckedAgent, CheckedDomain, CheckedWorkspace, rule
from chatloom_async.audit.rules.domains import domain_wildcard


@dataclass
class Fact:
    text: "str"


@rule("house-modern", severity="warning", why="The old templates go away.", fix="Choose modern.")
def modern(checked: CheckedAgent) -> Iterable[str]:
    if checked.agent.template != "modern":
        yield Fact(f"The template is {checked.agent.template}.").text


@rule("house-com", severity="info", why="We have the .com.", fix="Use it.")
def com(checked: CheckedDomain) -> Iterable[str]:
    return [] if checked.domain.host.endswith(".com") else ["It is not under .com."]


@rule("house-size", severity="info", why="Large.", fix="Split it.")
def size(checked: CheckedWorkspace):
    if len(checked.agents) > 1:
        yield f"{len(checked.agents)} agents."
'''


def written(folder: Path, text: str | bytes) -> Path:
    """The text as a file with rules."""
    path = folder / "house rules.py"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_file_of_rules(tmp_path: Path) -> None:
    """Its own rules are found in their order, work, and leave nothing behind in its folder."""
    rules = load_rules(written(tmp_path, FILE))
    assert [(each.id, each.scope) for each in rules] == [
        ("house-modern", "agent"),
        ("house-com", "domain"),
        ("house-size", "workspace"),
    ]
    workspace = checked(audited("a.example", "a.com", template="old"), audited(id="agt_2", name="Other"))
    assert [(each.rule, each.agent_id, each.subject, each.message) for each in judge(workspace, rules)] == [
        ("house-modern", "agt_1", "Sales Assistant", "The template is old."),
        ("house-com", "agt_1", "a.example", "It is not under .com."),
        ("house-size", None, "", "2 agents."),
    ]
    assert [each.name for each in tmp_path.iterdir()] == ["house rules.py"]


START = "from chatloom_async.audit.rules import *\n"
WHY = 'why="W.", fix="F."'
NO_RULE = "holds no rule: decorate a function with chatloom_async.audit.rules.rule"
ONE_OF = "annotate its first parameter with one of CheckedDomain, CheckedAgent, CheckedWorkspace, CheckedOverlap"
MISTAKES: dict[str | bytes, str] = {
    "": NO_RULE,
    "from chatloom_async.audit.rules.domains import *": NO_RULE,
    "def f(:": "not valid Python: invalid syntax (line 1)",
    b"\0": "not valid Python: source code string cannot contain null bytes",
    "x = 1\n1 / 0": "line 2: ZeroDivisionError: division by zero",
    "import nothing_of_the_kind": "line 1: ModuleNotFoundError: No module named 'nothing_of_the_kind'",
    "def f():\n    raise OSError('clf_secret\\x1b')\nf()": "line 2: OSError: clf_***",
    "raise RuntimeError": "line 1: RuntimeError: no message",
    "exit(3)": "line 1: SystemExit: 3",
}
ID = "'House' is not a valid rule id: use a-z, digits and hyphens, such as agent-status"
RULE_MISTAKES = {
    f"@rule('House', severity='info', {WHY})\ndef f(x: CheckedAgent): ...": ID,
    f"@rule('house', severity='fatal', {WHY})\ndef f(x: CheckedAgent): ...": (
        "house: the severity is one of error, warning, info, not 'fatal'"
    ),
    "@rule('house', severity='info', why=' ', fix='F.')\ndef f(x: CheckedAgent): ...": (
        "house: why and fix are for those who read the report, and may not be blank"
    ),
    f"@rule('house', severity='info', {WHY}, ordinary=False)\ndef f(x: CheckedAgent): ...": (
        "house: ordinary=False is for rules that are called with a CheckedDomain"
    ),
    f"@rule('house', severity='info', {WHY})\ndef f(x): ...": f"house: {ONE_OF}",
    f"@rule('house', severity='info', {WHY})\ndef f(x: str): ...": f"house: {ONE_OF}",
    f"@rule('house', severity='info', {WHY})\ndef f() -> CheckedAgent: ...": f"house: {ONE_OF}",
    f"@rule('house', severity='info', {WHY})\ndef f(x: 'Agnt'): ...": (
        "house: its annotations cannot be read: name 'Agnt' is not defined"
    ),
}
MISTAKES |= {START + text: f"line 2: {problem}" for text, problem in RULE_MISTAKES.items()}


@pytest.mark.parametrize(("text", "problem"), MISTAKES.items())
def test_a_mistake_in_a_file_is_named_with_its_line(tmp_path: Path, text: str | bytes, problem: str) -> None:
    """Nothing of the file stays loaded."""
    path, before = written(tmp_path, text), set(sys.modules)
    with pytest.raises(RulesFileError) as caught:
        load_rules(path)
    assert caught.value == RulesFileError(f"{path}: {problem}")
    if problem != NO_RULE:  # which is known only after it was loaded
        assert not [name for name in set(sys.modules) - before if name.startswith("chatloom_rules_")]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The operating system's reason is passed on."""
    for path, reason in ((tmp_path / "none.py", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(RulesFileError) as caught:
            load_rules(path)
        assert caught.value == RulesFileError(f"{path}: cannot be read: {reason}")


def house(name: str) -> Rule:
    """A rule that somebody else has made."""

    def check(checked: CheckedDomain) -> list[str]:
        return []

    return rule(name, severity="info", why="W.", fix="F.")(check)


def test_rules_are_joined_in_order(tmp_path: Path) -> None:
    """The same rule may come by two ways; two rules with one id may not, and both places are named."""
    mine = house("house-one")
    assert joined(RULES, [mine], [mine]) == (*RULES, mine)
    path = written(tmp_path, f"{START}@rule('domain-ip', severity='info', {WHY})\ndef f(x: CheckedAgent): ...")
    with pytest.raises(RuleError) as caught:
        joined(RULES, load_rules(path))
    place = RULE["domain-ip"].place
    assert caught.value.message == (
        f"The rule id domain-ip at {path}:2 is already taken by {place}: choose another one"
    )


@pytest.mark.parametrize(
    ("patterns", "ids"),
    [
        ([], [each.id for each in RULES]),
        (["domain-ip"], ["domain-ip"]),
        (["agent-color-*", "domain-ip"], ["domain-ip", "agent-color-invalid", "agent-color-contrast"]),
        (["contract-*"], ["contract-count", "contract-order", "contract-unknown-field"]),
    ],
)
def test_selection(patterns: list[str], ids: list[str]) -> None:
    """Patterns are alternatives; the order is the table's."""
    assert [each.id for each in select_rules(RULES, patterns)] == ids


@pytest.mark.parametrize(
    ("pattern", "offer"),
    [
        ("domain-wildcrad", "Similar: domain-wildcard"),
        ("agent-colour-contrast", "Similar: agent-color-contrast"),
        ("Domain-ip", "Similar: domain-ip"),
        ("zzz", f"The rules are {', '.join(sorted(RULE))}"),
    ],
)
def test_an_unknown_rule_is_answered_with_known_ones(pattern: str, offer: str) -> None:
    """A pattern that matches nothing is most likely a typo, also beside one that matches."""
    with pytest.raises(UnknownRuleError) as caught:
        select_rules(RULES, ["agent-*", pattern])
    message = caught.value.message
    assert message.startswith(f"No rule is called {pattern!r}. {offer}")


def announced(monkeypatch: pytest.MonkeyPatch, **points: Any) -> None:
    """Entry points, each of which leads to this value, or raises it."""
    module = ModuleType("house_rules")
    vars(module).update(points)
    monkeypatch.setitem(sys.modules, "house_rules", module)
    found = EntryPoints(EntryPoint(name, f"house_rules:{name}", registry_module.GROUP) for name in points)
    monkeypatch.setattr(registry_module, "entry_points", lambda *, group: found.select(group=group))


def test_installed_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point leads to a rule, to several, or to a module of rules; they come by its name."""
    module = ModuleType("more")
    vars(module).update(third=house("third"), ip=RULE["domain-ip"])
    announced(monkeypatch, c=module, b=[house("second")], a=house("first"))
    assert [each.id for each in installed_rules()] == ["first", "second", "third"]


def test_nothing_is_installed_here() -> None:
    """Without such a package there are no such rules."""
    assert installed_rules() == ()


@pytest.mark.parametrize(
    ("target", "problem"),
    [([], NO_RULE), (7, NO_RULE), ("text", NO_RULE)],
)
def test_an_entry_point_without_rules_is_named(monkeypatch: pytest.MonkeyPatch, target: Any, problem: str) -> None:
    """With the package that announces it, as far as that is known."""
    announced(monkeypatch, house=target)
    with pytest.raises(RulesFileError) as caught:
        installed_rules()
    assert caught.value == RulesFileError(f"an installed package, entry point house (house_rules:house): {problem}")


LOADS = {
    "raise ImportError('no luck')": "ImportError: no luck",
    f"{START}@rule('house', severity='info', {WHY})\ndef f(x): ...": f"house: {ONE_OF}",
}


@pytest.mark.parametrize(("text", "problem"), LOADS.items())
def test_an_entry_point_that_cannot_be_loaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, problem: str
) -> None:
    """A package as pip installs it, with its metadata."""
    (tmp_path / "broken_house.py").write_text(text)
    metadata = tmp_path / "broken_house-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-house\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[chatloom_async.rules]\nhouse = broken_house\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RulesFileError) as caught:
        installed_rules()
    assert caught.value == RulesFileError(f"broken-house, entry point house (broken_house): {problem}")


def test_rules_are_chosen_among_those_of_files_and_of_the_package(tmp_path: Path) -> None:
    """The choice, and all rules that there are, for what else names rules."""
    path = tmp_path / "mine.py"
    path.write_text(
        "from chatloom_async.audit.rules import CheckedAgent, rule\n"
        '@rule("agent-mine", severity="info", why="W.", fix="F.")\n'
        "def mine(checked: CheckedAgent):\n"
        "    return ()\n"
    )
    chosen, every = choose_rules(["agent-m*", "domain-ip"], [path])
    assert [rule.id for rule in chosen] == ["domain-ip", "agent-mine"]
    assert [rule.id for rule in every] == [*(rule.id for rule in RULES), "agent-mine"]
