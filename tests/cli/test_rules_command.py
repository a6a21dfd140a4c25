"""`chatloom rules`: what an audit looks for, the rules of one's own included."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from chatloom_async.audit.rules import RULES
from tests.cli.conftest import Ran

Chatloom = Callable[..., Ran]
MINE = """
from chatloom_async.audit.rules import CheckedAgent, rule

@rule("house-template", severity="warning", why="We support one template.", fix="Choose the template 'modern'.")
def house_template(checked: CheckedAgent):
    yield "Never."
"""


def test_every_rule_says_why_and_what_to_do(chatloom: Chatloom) -> None:
    """In the order of the table of rules."""
    ran = chatloom("rules", "--format", "json")
    assert (ran.status, ran.err) == (0, "")
    assert json.loads(ran.out)["rules"] == [
        {
            "id": each.id,
            "severity": each.severity,
            "scope": each.scope,
            "needs": each.needs,
            "why": each.why,
            "fix": each.fix,
        }
        for each in RULES
    ]


def test_rules_of_ones_own_are_listed_too(chatloom: Chatloom, tmp_path: Path) -> None:
    """Chosen by a pattern, as an audit would choose them."""
    (tmp_path / "mine.py").write_text(MINE)
    ran = chatloom("rules", "--rules", str(tmp_path / "mine.py"), "--rule", "house-*", "--rule", "agent-gone")
    assert ran == Ran(
        0,
        """\
rule            severity  why it matters, and what to do
agent-gone      info      Why: The agent was deleted during the audit, so its domains are missing from it.
                          Fix: Nothing, if the deletion was intended.
house-template  warning   Why: We support one template.
                          Fix: Choose the template 'modern'.
""",
        "",
    )


@pytest.mark.parametrize(
    ("rule", "needs"),
    [("domain-private-address", "--dns"), ("domain-missing", "`expect` in the list of workspaces")],
)
def test_a_rule_says_what_it_needs(chatloom: Chatloom, rule: str, needs: str) -> None:
    """Without it, the rule finds nothing."""
    ran = chatloom("rules", "--rule", rule)
    assert ran.out.splitlines()[-1].strip() == f"Needs: {needs}"


def test_a_pattern_that_matches_none_is_told(chatloom: Chatloom) -> None:
    """With what resembles it."""
    ran = chatloom("rules", "--rule", "domain-wildcards")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("error: No rule is called 'domain-wildcards'. Similar: domain-wildcard")


def test_a_terminal_has_the_severity_in_colour(chatloom: Chatloom, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the rest of its line in none."""
    for name, value in {"TTY_COMPATIBLE": "1", "TERM": "xterm", "COLUMNS": "120"}.items():
        monkeypatch.setenv(name, value)
    line = next(line for line in chatloom("rules").out.splitlines() if line.startswith("domain-wildcard"))
    assert re.match(r"domain-wildcard +\x1b\[31merror\x1b\[0m +Why: ", line)
