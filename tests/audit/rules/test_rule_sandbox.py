"""All that the sandbox plants is found, by the rule that is there for it, and nothing in what it leaves tidy."""

from collections.abc import Iterator

import attrs
import pytest

from chatloom_async import Agent
from chatloom_async.audit import AuditedAgent, Finding, Row, Workspace
from chatloom_async.audit.rules import Judge, judge
from chatloom_async.sandbox import Sandbox, StoredAgent
from chatloom_async.sandbox.seed import TROUBLES, Dice, Trouble, _tidy_agent, _troubled, id_text
from tests.audit.rules.cases import NOW, checked

FOUND: list[tuple[Trouble, set[str]]] = [
    ("*", {"domain-wildcard", "domain-duplicate"}),
    ("*.{brand}.example", {"domain-wildcard"}),
    ("localhost", {"domain-local"}),
    ("http://www.{brand}.example/chat", {"domain-malformed"}),
    ("{brand}.example:8443", {"domain-malformed"}),
    ("203.0.113.{number}", {"domain-ip"}),
    ("co.uk", {"domain-public-suffix", "domain-shared"}),
    ("{Brand}.Example", {"domain-duplicate"}),
    ("{brand}.example.", {"domain-duplicate"}),
    ("{lookalike}.example", {"domain-punycode"}),
    ("preview.webstudio.example", {"domain-shared"}),
    (None, {"domains-empty"}),
    ({"name": ""}, {"agent-name-blank"}),
    ({"name": "   "}, {"agent-name-blank"}),
    ({"name": "{neighbour}"}, {"agent-name-duplicate"}),
    ({"primary_color": "#FFE066", "secondary_color": "#FFF3BF"}, {"agent-color-contrast"}),
    ({"primary_color": "purple"}, {"agent-color-invalid"}),
    ({"secondary_color": "#12345"}, {"agent-color-invalid"}),
    ({"status": "paused"}, {"agent-status"}),
    (TROUBLES[-1], {"agent-created-in-future"}),
]
"""By trouble, the rules that find it."""


def read(stored: StoredAgent) -> AuditedAgent:
    """The agent as an audit reads it."""
    fields = attrs.asdict(stored)
    domains = fields.pop("domains")
    return AuditedAgent(Agent(**fields), tuple(domains))


def stored(workspace: str, trouble: Trouble | type[object]) -> list[AuditedAgent]:
    """A tidy agent, and one with the trouble (`object`: another tidy one); newest first, as the API lists them."""
    dice = Dice("rules", workspace)
    tidy, other = (_tidy_agent(dice, id_text(0, workspace, number), f"Agent {number}", workspace) for number in (0, 1))
    if not isinstance(trouble, type):
        other = _troubled(other, trouble, dice, workspace, tidy.name)
    return sorted(map(read, (tidy, other)), key=lambda each: each.agent.created_at, reverse=True)


def findings_of(trouble: Trouble | type[object]) -> Iterator[Finding]:
    """What is found in two workspaces with the trouble, whose brands differ."""
    run = Judge(clock=lambda: NOW)
    rows = [
        run.judge(Row(name, "ok", tuple(stored(name, trouble))), Workspace(name, checked().workspace.key))
        for name in ("acme", "globex")
    ]
    for row in rows:
        yield from run.add_overlaps(row).findings


def test_the_table_is_complete() -> None:
    """Every trouble that the sandbox knows has a rule here."""
    assert [trouble for trouble, _ in FOUND] == list(TROUBLES)


@pytest.mark.parametrize(("trouble", "rules"), FOUND, ids=[str(trouble) for trouble, _ in FOUND])
def test_every_trouble_is_found(trouble: Trouble, rules: set[str]) -> None:
    """By its rules; a wildcard may also cover other entries of its list, which is then said."""
    ours = {each.rule for each in findings_of(trouble)}
    assert rules <= ours <= rules | {"domain-duplicate"}


def test_tidy_agents_have_no_findings() -> None:
    """Not in 100 workspaces of 24 agents."""
    sandbox, run = Sandbox(seed=3, trouble=0), Judge(clock=lambda: NOW)
    assert list(findings_of(object)) == []
    rows = []
    for number in range(100):
        agents = sandbox.add_workspace(f"w{number}", agents=24).agents
        rows.append(Row(f"w{number}", "ok", tuple(map(read, agents))))
        assert run.judge(rows[-1], checked().workspace) == rows[-1]
    assert [run.add_overlaps(row) for row in rows] == rows


def test_a_workspace_of_troubles() -> None:
    """As `chatloom audit` meets it: every trouble once, each in its own agent."""
    agents = Sandbox(seed=3, trouble=1).add_workspace("acme", agents=len(TROUBLES)).agents
    rules = {rule for _, each in FOUND for rule in each} - {"domain-shared"}  # that takes a second workspace
    assert {each.rule for each in judge(checked(*map(read, agents)))} == rules
