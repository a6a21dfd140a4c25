"""`chatloom audit --dns`: what is asked, what is said without it, and the sandbox's own DNS."""

import json
import re
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chatloom_async.audit.dns import InvalidResolverError, Resolver
from tests.cli.conftest import Ran

Chatloom = Callable[..., Ran]
UNREGISTERED = (
    '"preview.webstudio.example" is under "webstudio.example", which does not exist in the DNS: '
    "anybody who registers it can show this agent."
)
DANGLING = (
    '"help.katsura.example" is an alias of "katsura.webstudio.example", and "webstudio.example" does not exist in the '
    'DNS: anybody who takes "webstudio.example" can show this agent under "help.katsura.example".'
)


@pytest.fixture
def silence() -> Iterator[str]:
    """The address of a resolver that never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{deaf.getsockname()[1]}"


def test_the_sandbox_has_domains_that_nobody_owns(chatloom: Chatloom) -> None:
    """They are found and explained in a sentence, and nothing is asked outside of this machine."""
    ran = chatloom("audit", "--sandbox", "--dns", "--format", "json")
    document = json.loads(ran.out)
    messages = {
        (found["rule"], found["message"])
        for row in document["workspaces"]
        for found in row["findings"]
        if found["rule"] in ("domain-unregistered", "domain-dangling", "domain-unresolved", "domain-private-address")
    }
    assert messages >= {("domain-unregistered", UNREGISTERED), ("domain-dangling", DANGLING)}
    assert {rule for rule, _ in messages} == {"domain-unregistered", "domain-dangling"}
    assert document["summary"]["dns"]["asked"] > 50
    assert {tuple(row["dns"]["unread"]) for row in document["workspaces"]} == {()}
    assert (ran.status, "DNS" in ran.err) == (0, False)


def test_without_the_option_nothing_is_asked(chatloom: Chatloom) -> None:
    """The report has no word of the DNS."""
    ran = chatloom("audit", "--sandbox", "--format", "json")
    document = json.loads(ran.out)
    assert "dns" not in document["summary"]
    assert all("dns" not in row for row in document["workspaces"])


def test_a_resolver_that_does_not_answer_is_no_finding(
    chatloom: Chatloom, silence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report and the last lines say that the DNS was not read."""
    monkeypatch.setattr("chatloom_async.audit.dns.resolver.MAX_SILENT", 1)
    monkeypatch.setattr("chatloom_async.cli.rules.Resolver", lambda server: Resolver(server, timeout=0.05, tries=1))
    ran = chatloom("audit", "--sandbox", "--dns", "--resolver", silence, "--rule", "domain-un*")
    assert "domain-unregistered" not in ran.out
    assert ran.out.count("DNS not read for ") == 5
    assert "7 more workspaces with unread hosts; --format json has all." in ran.out
    assert re.search(r"^DNS not read for (\d+) of \1 hosts: the report says why$", ran.err, re.MULTILINE)


def test_nothing_is_asked_if_no_rule_needs_it(chatloom: Chatloom, silence: str) -> None:
    """So that nobody waits in vain."""
    ran = chatloom("audit", "--sandbox", "--dns", "--resolver", silence, "--rule", "agent-*", "--format", "json")
    assert "dns" not in json.loads(ran.out)["summary"]


def test_a_dry_run_says_who_would_be_asked(chatloom: Chatloom) -> None:
    """And asks nobody."""
    ran = chatloom("audit", "--sandbox", "--dns", "--resolver", "192.0.2.53", "--dry-run")
    assert ran.err.splitlines()[-1] == "DNS: would ask 192.0.2.53 about the allowed domains, each once"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ("--rule", "domain-dangling"),
            "--rule domain-dangling: nothing is looked up in the DNS without --dns. Add --dns.",
        ),
        (
            ("--resolver", "9.9.9.9"),
            "--resolver names a DNS resolver, but nothing is looked up without --dns. Add --dns.",
        ),
        (
            ("--dns", "--resolver", "dns.quad9.net"),
            f"'dns.quad9.net' is not the address of a DNS resolver. {InvalidResolverError.hint}",
        ),
    ],
)
def test_options_that_cannot_be_meant_are_refused(chatloom: Chatloom, arguments: tuple[str, ...], error: str) -> None:
    """With what to do instead, and nothing was sent."""
    ran = chatloom("audit", "--sandbox", *arguments)
    assert (ran.status, ran.out, ran.err.splitlines()[-1]) == (2, "", f"error: {error}")


def test_a_pattern_may_choose_such_rules_among_others(chatloom: Chatloom) -> None:
    """Without --dns, the others are applied."""
    ran = chatloom("audit", "--sandbox", "--rule", "domain-un*", "--format", "json")
    assert (ran.status, json.loads(ran.out)["summary"]["findings"]["total"]) == (0, 0)


def test_a_run_is_resumed_with_the_same_option(chatloom: Chatloom, tmp_path: Path) -> None:
    """Otherwise half of it would be judged by other rules. What was found, and not read, is kept."""
    db = str(tmp_path / "audits.db")
    first = chatloom("audit", "--sandbox", "--dns", "--db", db, "--format", "json")
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute("UPDATE runs SET state = 'interrupted'")
    refused = chatloom("audit", "--sandbox", "--db", db, "--resume")
    assert (refused.status, "domain-unregistered" in refused.err) == (2, True)
    again = chatloom("audit", "--sandbox", "--dns", "--db", db, "--resume", "--format", "json")
    rows, kept = ({row["workspace"]: row for row in json.loads(ran.out)["workspaces"]} for ran in (first, again))
    assert kept == rows


def test_a_baseline_knows_what_the_dns_said(chatloom: Chatloom, tmp_path: Path) -> None:
    """The findings have the same ids in every run."""
    db = str(tmp_path / "audits.db")
    chatloom("audit", "--sandbox", "--dns", "--db", db, "--format", "json")
    ran = chatloom("audit", "--sandbox", "--dns", "--db", db, "--baseline", "1", "--fail-on", "info")
    assert (ran.status, "0 new since run 1" in ran.err) == (0, True)
