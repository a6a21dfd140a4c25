"""Judging: every rule on every subject, in order, and without the loss of a row."""

import pkgutil
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import pytest
from attrs import evolve

from chatloom_async.audit import Finding, Row, Workspace, rules
from chatloom_async.audit.keys import KeyEnv
from chatloom_async.audit.rules import (
    RULES,
    CheckedAgent,
    CheckedDomain,
    CheckedWorkspace,
    Found,
    Judge,
    Rule,
    judge,
    rule,
)
from chatloom_async.audit.rules import hostname as hostname_module
from chatloom_async.audit.rules.registry import AGENT_GONE
from chatloom_async.audit.values import make_finding
from tests.audit.rules.cases import NOW, audited, checked, found

SEVERITIES = {
    **dict.fromkeys(
        ("domain-wildcard", "domain-local", "domain-malformed", "domain-public-suffix", "domain-unexpected"), "error"
    ),
    **dict.fromkeys(("domain-missing", "domain-unregistered", "domain-dangling", "rule-failed"), "error"),
    **dict.fromkeys(("domain-unresolved", "domain-private-address", "domain-lookalike"), "warning"),
    **dict.fromkeys(("domain-ip", "domain-punycode", "domains-empty", "agent-status", "agent-name-blank"), "warning"),
    **dict.fromkeys(
        ("agent-name-duplicate", "agent-color-invalid", "agent-created-in-future", "key-duplicate"), "warning"
    ),
    "mute-expired": "warning",
    **dict.fromkeys(("domain-duplicate", "domain-shared", "agent-color-contrast", "agent-position-unknown"), "info"),
    **dict.fromkeys(("contract-count", "contract-order", "contract-unknown-field", "agent-gone"), "info"),
}


def made(check: Callable[..., Any], severity: Any = "warning") -> Rule:
    """A rule of the house."""
    return rule("house-rule", severity=severity, why="Because.", fix="Do.")(check)


def test_ids_and_severities_are_a_contract() -> None:
    """Baselines, mutes and --fail-on rely on them."""
    severities = {each.id: each.severity for each in RULES}
    changed = sorted(severities.items() ^ SEVERITIES.items())
    assert changed == [], (
        "tests/audit/rules/test_rule_judging.py: SEVERITIES pins the id and the severity of each rule. "
        f"Add a new rule there; do not change a released one: {changed}"
    )
    assert len(RULES) == len(severities), "two rules in chatloom_async/audit/rules/registry.py have the same id"


def test_every_rule_is_registered() -> None:
    """A rule that the table does not name would never be applied."""
    modules = [import_module(f"{rules.__name__}.{each.name}") for each in pkgutil.iter_modules(rules.__path__)]
    defined = {value for module in modules for value in vars(module).values() if isinstance(value, Rule)}
    missing = sorted(each.place for each in defined - set(RULES))
    assert missing == [], f"chatloom_async/audit/rules/registry.py: add these rules to RULES: {missing}"


def test_every_rule_explains_itself() -> None:
    """Why and fix are one or two sentences, and a docstring says what exactly is found."""
    for each in RULES:
        for text in (each.why, each.fix):
            assert (text[0].isupper(), text[-1]) == (True, "."), each.id
            assert text.count(". ") <= 1, each.id
        if each.scope == "audit":
            assert list(each(None)) == []
        else:
            assert each.check.__doc__, each.id


def test_the_gravest_first() -> None:
    """Then by rule, agent and subject, whatever the order of rules and agents."""
    agents = (audited("localhost", "*", id="b", status="off"), audited("*", "A.example", "a.example", id="a"))
    places = [(each.severity, each.rule, each.agent_id, each.subject) for each in judge(checked(*agents))]
    assert places == [
        ("error", "domain-local", "b", "localhost"),
        ("error", "domain-wildcard", "a", "*"),
        ("error", "domain-wildcard", "b", "*"),
        ("warning", "agent-name-duplicate", "b", "Sales Assistant"),
        ("warning", "agent-status", "b", "Sales Assistant"),
        ("info", "domain-duplicate", "a", "*"),
        ("info", "domain-duplicate", "a", "a.example"),
        ("info", "domain-duplicate", "b", "*"),
    ]
    assert judge(checked(*agents), RULES[::-1]) == judge(checked(*agents))


def test_ids_are_those_of_the_audit() -> None:
    """They follow from workspace, rule, agent and subject, not from the message."""
    assert judge(checked(audited("*"))) == (
        make_finding(
            "acme",
            "domain-wildcard",
            "error",
            agent_id="agt_1",
            subject="*",
            message='"*" is a wildcard; taken as one, it stands for every site there is.',
        ),
    )


def test_nothing_read_nothing_found() -> None:
    """A failed row says already that the workspace was not audited."""
    assert judge(checked(audited("*"), state="failed")) == ()


def test_unread_domains_are_no_domains() -> None:
    """What is known of a partial row is judged, the rest is left alone."""
    unread = evolve(audited(status="off"), domains=None)
    workspace = checked(unread, audited("*", id="agt_2"), state="partial", expect=["a.example"])
    assert {each.rule for each in judge(workspace)} == {
        "agent-status",
        "agent-name-duplicate",
        "domain-wildcard",
        "domain-unexpected",
    }


def test_a_rules_findings_join_the_rows_own() -> None:
    """The row keeps all that it had."""
    gone = make_finding("acme", "agent-gone", "info", agent_id="agt_9", subject="Old", message="Gone.")
    row = Row("acme", "ok", (audited("*"),), (gone,), requests=3)
    judged = Judge(clock=lambda: NOW).judge(row, Workspace("acme", KeyEnv("K")))
    assert judged == evolve(row, findings=(*judge(checked(audited("*"))), gone))


def test_the_clock_is_the_present_unless_another_is_given() -> None:
    """And aware, as the API's moments are."""
    row = Row("acme", "ok", (audited("a.example", created_at=datetime(2999, 1, 1, tzinfo=UTC)),))
    workspace = Workspace("acme", KeyEnv("K"))
    assert [each.rule for each in Judge().judge(row, workspace).findings] == ["agent-created-in-future"]
    assert Judge(rules=()).judge(row, workspace) == row


def on_an_agent(checked: CheckedWorkspace) -> Iterable[Found]:
    """Finds the same thing in the workspace and in one of its agents."""
    yield Found("The workspace's.", "thing")
    yield Found("The agent's.", "thing", "agt_1")


def test_a_rule_for_workspaces_can_name_an_agent() -> None:
    """The agent is part of the finding's id."""
    places = {each.message: (each.agent_id, each.id) for each in judge(checked(), [made(on_an_agent)])}
    assert places == {
        "The workspace's.": (
            None,
            make_finding("acme", "house-rule", "info", agent_id=None, subject="thing", message="").id,
        ),
        "The agent's.": (
            "agt_1",
            make_finding("acme", "house-rule", "info", agent_id="agt_1", subject="thing", message="").id,
        ),
    }


def talkative(checked: CheckedAgent) -> Iterable[str]:
    """Says three things, one of them twice."""
    return ["One.", "\x1b[31mTwo clf_secret.", "One.", " "]


def test_texts_about_one_subject_are_one_finding() -> None:
    """Ids stay unique, nothing is said twice, and texts are cleaned."""
    assert [each.message for each in judge(checked(audited("a.example")), [made(talkative)])] == [
        "One. [31mTwo clf_*** no message"
    ]


def stumbling(checked: CheckedDomain) -> Iterable[str]:
    """Fails for some domains."""
    if checked.domain.text.startswith("bad"):
        raise ValueError(f"no {checked.domain.text}\x1b clf_secret")
    yield "Fine."


@pytest.mark.parametrize("severity", ["error", "warning", "info"])
def test_a_rule_that_raises_loses_only_its_own_findings(severity: Any) -> None:
    """It becomes one finding, as grave as the rule, that names rule, error and place; all others are there."""
    failing = made(stumbling, severity)
    workspace = checked(audited("bad.example", "a.example", "bad2.example"))
    where = f"{__file__}:{stumbling.__code__.co_firstlineno}"
    message = f"The rule house-rule failed on 2 of 3 domains: ValueError: no bad.example  clf_*** (defined at {where})"
    assert {each.rule: each for each in judge(workspace, [failing])} == {
        "house-rule": make_finding(
            "acme", "house-rule", severity, agent_id="agt_1", subject="a.example", message="Fine."
        ),
        "rule-failed": make_finding(
            "acme", "rule-failed", severity, agent_id=None, subject="house-rule", message=message
        ),
    }


def texts_as_one(checked: CheckedWorkspace) -> Any:
    """Returns one text."""
    return "A text."


def no_texts(checked: CheckedWorkspace) -> Any:
    """Returns nothing."""
    return None


def numbers(checked: CheckedWorkspace) -> Any:
    """Yields what is no text."""
    yield "Good."
    yield 7


def silent(checked: CheckedWorkspace) -> Any:
    """Raises without a word."""
    raise RuntimeError


@pytest.mark.parametrize(
    ("check", "problem", "others"),
    [
        (texts_as_one, "TypeError: it returned a text, not several: yield it, or return a list", []),
        (no_texts, "TypeError: 'NoneType' object is not iterable", []),
        (numbers, "TypeError: it gave int, neither a text nor Found", ["Good."]),
        (silent, "RuntimeError: no message", []),
    ],
)
def test_a_rule_of_another_shape_is_a_failed_one(check: Any, problem: str, others: list[str]) -> None:
    """What it said before is kept."""
    findings = judge(checked(), [made(check)])
    assert [each.message for each in findings if each.rule == "house-rule"] == others
    (failed,) = (each for each in findings if each.rule == "rule-failed")
    assert failed.message.startswith(f"The rule house-rule failed on 1 of 1 workspaces: {problem} (defined at ")


def test_without_the_public_suffix_list_the_audit_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule that needs it is named once a workspace, with the command that installs it."""
    monkeypatch.setitem(__import__("sys").modules, "publicsuffixlist", None)
    cached = hostname_module._may_be_public_suffix, hostname_module._suffixes
    for function in cached:
        function.cache_clear()
    try:
        messages = found("domain-public-suffix", checked(audited("co.uk", "*", "a.example")))
        findings = judge(checked(audited("a.example")))
    finally:
        for function in cached:
            function.cache_clear()
    assert messages == [
        (
            None,
            "domain-public-suffix",
            (
                "The rule domain-public-suffix failed on 2 of 3 domains: MissingExtraError: The check for public "
                "suffixes needs publicsuffixlist, which is not installed. "
                "Install it: pip install '.[audit]' in a clone of chatloom_async."
            ),
        )
    ]
    assert [each.rule for each in findings] == ["rule-failed"]


def test_agent_gone_is_found_by_the_reader() -> None:
    """It is in the table for its texts, and finds nothing here."""
    assert judge(checked(audited("*")), [AGENT_GONE]) == ()


def test_a_rule_can_be_any_callable() -> None:
    """Its place is then what Python says of it."""
    one = Rule("x", "info", "W.", "F.", "workspace", sorted)
    assert one.place == "<built-in function sorted>"
    assert (
        repr(one) == "Rule(id='x', severity='info', why='W.', fix='F.', scope='workspace', needs=None, ordinary=True)"
    )


def test_findings_are_values() -> None:
    """They compare, so that two runs can."""
    first, second = (judge(checked(audited("*", "localhost"))) for _ in range(2))
    assert first == second
    assert all(isinstance(each, Finding) for each in first)


def test_rules_that_need_expect_find_nothing_without_it() -> None:
    """And no other rule depends on it for its findings to exist."""
    domains = ("shop.acme.example", "acne.example", "evil.example")
    expected = checked(audited(*domains), expect=["acme.example", "www.acme.example"])
    unexpected = checked(audited(*domains))
    needing = {rule.id for rule in RULES if rule.needs == "expect"}
    assert {finding.rule for finding in judge(expected)} & needing == needing
    assert {finding.rule for finding in judge(expected)} - needing == {finding.rule for finding in judge(unexpected)}
