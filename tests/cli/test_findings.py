"""`chatloom audit` and what it finds: rules, exit statuses, mutes, and the closing lines."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chatloom_async.sandbox import Sandbox
from tests.cli.conftest import Ran

Chatloom = Callable[..., Ran]
TODAY = datetime.now(UTC).date()
OWN_RULE = """
from chatloom_async.audit.rules import CheckedAgent, rule

@rule("name-polite", severity="warning", why="Politeness.", fix="Call it Please.")
def name_polite(checked: CheckedAgent):
    if checked.agent.name != "Please":
        yield "It is not called Please."
"""


@pytest.fixture
def wild(sandbox: Sandbox) -> Sandbox:
    """The workspace acme with an error, a warning and an info for the audit to find."""
    sandbox["acme"].add_agent(name="Wild", domains=("localhost", "Acme.Example", "acme.example"))
    sandbox["acme"].add_agent(name=" ", domains=("acme.example",))
    return sandbox


def rules_in(ran: Ran) -> list[str]:
    """The rules of what a JSON Lines report has."""
    return [each["rule"] for line in ran.out.splitlines() for each in json.loads(line)["findings"]]


def test_findings_are_in_the_table_and_errors_make_the_status_1(chatloom: Chatloom, wild: Sandbox) -> None:
    """With the agent, what was found, and what to do."""
    ran = chatloom("audit")
    ids = {agent.name: agent.id for agent in wild["acme"].agents}
    assert ran.status == 1
    assert (
        ran.out.partition("\n\n")[2]
        == f"""\
default  1 error  1 warning  1 info
  error    domain-local  Wild  {ids["Wild"]}
           "localhost" is the visitor's own machine (RFC 6761).
  warning  agent-name-blank  {ids[" "]}
           The name is blank.
  info     domain-duplicate  Wild  {ids["Wild"]}
           "acme.example" is another spelling of the earlier "Acme.Example".

How to fix
  error    1  domain-local      Remove the entry, and use a separate agent for development.
  warning  1  agent-name-blank  Give the agent a name that visitors understand.
  info     1  domain-duplicate  Keep one of the entries: lower case, without a trailing dot.
"""
    )
    assert ran.err.splitlines()[1] == "findings: 1 error, 1 warning, 1 info"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--fail-on", "never"], 0),
        (["--fail-on", "error"], 1),
        (["--rule", "agent-*"], 0),
        (["--rule", "agent-*", "--fail-on", "error"], 0),
        (["--rule", "agent-*", "--fail-on", "warning"], 1),
        (["--rule", "agent-*", "--rule", "domain-local"], 1),
        (["--rule", "domain-duplicate", "--fail-on", "warning"], 0),
        (["--rule", "domain-duplicate", "--fail-on", "info"], 1),
        (["--rule", "domain-wildcard", "--fail-on", "info"], 0),
    ],
)
def test_which_findings_fail_can_be_chosen(
    chatloom: Chatloom, wild: Sandbox, arguments: list[str], status: int
) -> None:
    """By the rules that are applied, and by severity: those at or above it."""
    assert chatloom("audit", "--format", "jsonl", *arguments).status == status


def test_findings_of_the_embedded_sandbox_are_no_failure(chatloom: Chatloom) -> None:
    """A first try ends well, unless more is asked for."""
    only = ("--only", "cedar", "--format", "jsonl")
    ran = chatloom("audit", *only)
    assert (ran.status, "domain-wildcard" in rules_in(ran)) == (0, True)
    assert chatloom("audit", *only, "--fail-on", "error").status == 1


def test_workspaces_that_were_not_read_come_before_findings(chatloom: Chatloom, wild: Sandbox, tmp_path: Path) -> None:
    """Status 3 where there are errors as well."""
    path = tmp_path / "w.csv"
    path.write_text("name,key_env\nacme,CHATLOOM_API_KEY\nbirch,BIRCH_KEY\n")
    ran = chatloom("audit", str(path), "--output", str(tmp_path / "report"))
    assert ran.status == 3
    assert ran.err.splitlines()[1:] == [
        "findings: 1 error, 1 warning, 1 info | begin with acme",
        "next: set BIRCH_KEY, then add --only birch to read only it again",
    ]


def test_rules_of_ones_own_are_applied_and_explained(chatloom: Chatloom, sandbox: Sandbox, tmp_path: Path) -> None:
    """From a file, beside those of this package."""
    (tmp_path / "rules.py").write_text(OWN_RULE)
    ran = chatloom("audit", "--rules", str(tmp_path / "rules.py"), "--fail-on", "warning")
    assert ran.status == 1
    assert "\n  warning  3  name-polite  Call it Please.\n" in ran.out


def mutes(path: Path, *entries: tuple[str, Any]) -> str:
    """A file that mutes those rules until those days."""
    lines = (f'[[mutes]]\nrule = "{rule}"\nreason = "Known."\nuntil = {until}\n' for rule, until in entries)
    path.write_text("".join(lines))
    return str(path)


def test_muted_findings_are_counted_and_do_not_fail(chatloom: Chatloom, wild: Sandbox, tmp_path: Path) -> None:
    """A mute that ended is a finding, and one that matched nothing a notice."""
    yesterday = TODAY - timedelta(1)
    path = mutes(
        tmp_path / "mutes.toml",
        ("domain-local", TODAY),
        ("agent-name-blank", yesterday),
        ("domain-duplicate", TODAY),
        ("domain-ip", TODAY),
    )
    ran = chatloom("audit", "--mutes", path, "--format", "jsonl")
    assert (ran.status, rules_in(ran)) == (0, ["agent-name-blank", "mute-expired"])
    assert ran.err.splitlines()[1:3] == [
        "findings: 2 warnings | 2 muted",
        "The mute entry 4 matches no finding: remove it, or correct what it names",
    ]


def test_a_mute_for_a_rule_that_there_is_not_is_refused(chatloom: Chatloom, sandbox: Sandbox, tmp_path: Path) -> None:
    """With what resembles it, as --rule does; rules of one's own are known, and rules that are not applied."""
    typo = mutes(tmp_path / "typo.toml", ("domain-ip", TODAY), ("domain-wildcrad", TODAY))
    ran = chatloom("audit", "--mutes", typo)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith(
        f"error: {typo}: entry 2: No rule is called 'domain-wildcrad'. Similar: domain-wildcard, "
    )
    own = mutes(tmp_path / "own.toml", ("name-polite", TODAY))
    assert "No rule is called 'name-polite'. " in chatloom("audit", "--mutes", own).err
    (tmp_path / "rules.py").write_text(OWN_RULE)
    applied = ("--rules", str(tmp_path / "rules.py"), "--mutes", own)
    assert "findings: " not in chatloom("audit", *applied).err
    assert chatloom("audit", *applied, "--rule", "domain-ip").status == 0


def test_a_part_of_the_workspaces_says_nothing_about_mutes(chatloom: Chatloom, tmp_path: Path) -> None:
    """One that matched nothing may be there for the others."""
    path = mutes(tmp_path / "mutes.toml", ("domain-ip", TODAY))
    assert "matches no" not in chatloom("audit", "--only", "acorn", "--mutes", path).err


def test_what_a_domain_stands_for_can_be_told(chatloom: Callable[..., Ran], tmp_path: Path) -> None:
    """It is part of what a run is resumed with."""
    db = str(tmp_path / "audits.db")
    known = ("--domain-matching", "exact", "--rule", "domain-public-suffix", "--db", db)
    exact = chatloom("audit", "--sandbox", *known, "--format", "json")
    assert (exact.status, json.loads(exact.out)["summary"]["findings"]["total"]) == (0, 0)
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute("UPDATE runs SET state = 'interrupted'")
    refused = chatloom("audit", "--sandbox", *known[2:], "--resume")
    assert (refused.status, "domain_matching was exact and is unknown" in refused.err) == (2, True)
    assert chatloom("audit", "--sandbox", *known, "--resume").status == 0
