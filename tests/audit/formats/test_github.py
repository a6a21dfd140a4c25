"""Annotations of a GitHub workflow run."""

import re

import pytest

from chatloom_async.audit import Finding, Row
from chatloom_async.audit.formats.github import GithubFormat
from chatloom_async.audit.formats.ranking import NewFindings
from chatloom_async.audit.formats.text import visible
from tests.audit.formats.reported import EMPTY, HOSTILE, ROWS, TEXTS, hostile_rows, written

LINES = """\
::error title=cedar%3A not fully audited::AuthenticationError: HTTP 401: Invalid API key.
::error title=acme%3A domain-wildcard::agent agt_abc123: "*.com" is a wildcard.%0A\
How to fix it: List the host names one by one.
::warning title=fjord%3A not fully audited::ServerError: 1 of 2 agents could not be read.
::warning title=acme%3A domains-empty::Product Advisor (agent agt_glass): No domain.%0AHow to fix it: List the sites.
::notice title=acme%3A domain-shared::example.com: Also allowed elsewhere.
::notice title=fjord%3A domain-shared::example.com: Also allowed elsewhere.
"""
COMMAND = re.compile(r"::(error|warning|notice) title=([^:,\r\n]*)::([^\r\n]*)\n")


def plain(escaped: str) -> str:
    """As the runner reads it."""
    table = {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}
    return re.sub("%(0D|0A|3A|2C|25)", lambda found: table[found[0]], escaped)


def test_every_level_has_its_command_and_the_worst_come_first() -> None:
    """An info is a notice; a workspace that is not whole is an annotation, too."""
    assert written(GithubFormat(TEXTS)) == LINES


def test_no_more_than_github_shows_and_the_rest_is_counted() -> None:
    """Ten of each level; the last line is none of the runner's commands."""
    findings = tuple(Finding(f"{n}", "rule", "warning", None, "", f"Note {n:02}.") for n in range(50))
    lines = written(GithubFormat(), (Row("acme", "ok", (), findings), *ROWS[:1])).splitlines()
    assert lines[:10] == [f"::warning title=acme%3A rule::Note {n:02}." for n in range(10)]
    assert lines[10:] == ["40 more findings without an annotation: GitHub shows 10 of a level."]


NEWS = """\
::error title=cedar%3A not fully audited::AuthenticationError: HTTP 401: Invalid API key.
::warning title=fjord%3A not fully audited::ServerError: 1 of 2 agents could not be read.
::warning title=acme%3A new domains-empty::Product Advisor (agent agt_glass): No domain.%0A\
How to fix it: List the sites.
::notice title=acme%3A domain-wildcard::agent agt_abc123: "*.com" is a wildcard.%0A\
How to fix it: List the host names one by one.
::notice title=acme%3A domain-shared::example.com: Also allowed elsewhere.
::notice title=fjord%3A domain-shared::example.com: Also allowed elsewhere.
"""


def test_with_a_baseline_only_new_findings_keep_their_level() -> None:
    """They are marked as new. What the baseline had is a notice, and a workspace that is not whole is what it was."""
    assert written(GithubFormat(TEXTS, news=NewFindings(1, {EMPTY.id}))) == NEWS


def test_new_findings_take_the_place_of_known_ones() -> None:
    """However many of those there are."""
    known = tuple(Finding(f"k{n}", "rule", "error", None, "", f"Known {n}.") for n in range(50))
    new = Finding("new", "rule", "info", None, "", "New.")
    lines = written(GithubFormat(news=NewFindings(1, {"new"})), (Row("acme", "ok", (), (*known, new)),)).splitlines()
    assert lines[0] == "::notice title=acme%3A new rule::New."
    assert lines[1:10] == [f"::notice title=acme%3A rule::Known {n}." for n in range(9)]
    assert lines[10:] == ["41 more findings without an annotation: GitHub shows 10 of a level."]


def test_without_findings_there_is_nothing_to_say() -> None:
    """The closing line of the program says that all is well."""
    assert written(GithubFormat(), ROWS[:1]) == ""


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_is_a_command(text: str) -> None:
    """Each line is one command of ours, and the runner reads from it what was meant."""
    lines = written(GithubFormat(), hostile_rows(text)).splitlines(keepends=True)
    found = [COMMAND.fullmatch(line) for line in lines]
    assert len(found) == 3
    assert {plain(each[2]) for each in found if each} >= {f"{visible(text)}: {visible(text)}"}
    assert all(plain(each[3]).isprintable() for each in found if each)
    assert None not in found
