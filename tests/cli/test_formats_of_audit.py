"""Every format of `chatloom audit` is reached from the command line, and so is the HTML file beside another."""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from chatloom_async.sandbox import Sandbox
from tests.cli.conftest import Ran

Chatloom = Callable[..., Ran]


@pytest.fixture(autouse=True)
def wild(sandbox: Sandbox) -> None:
    """The workspace acme with one error for the audit to find."""
    sandbox["acme"].add_agent(name="Wild", domains=("localhost",))


def of_csv(text: str) -> list[str]:
    """The rules in a CSV report."""
    return [line["rule"] for line in csv.DictReader(io.StringIO(text))]


def of_junit(text: str) -> list[str]:
    """The failed cases of a JUnit report."""
    cases = ET.fromstring(text).iter("testcase")
    return [case.get("name", "") for case in cases if case.find("failure") is not None]


def of_sarif(text: str) -> list[str]:
    """The results of a SARIF report."""
    return [result["ruleId"] for result in json.loads(text)["runs"][0]["results"]]


def named(pattern: str) -> Callable[[str], list[str]]:
    """What a pattern finds in a text for people."""
    return lambda text: re.findall(pattern, text)


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("csv", of_csv),
        ("junit", of_junit),
        ("sarif", of_sarif),
        ("markdown", named(r"\| `default` \| `([\w-]+)` \|")),
        ("github", named(r"^::error title=default%3A ([\w-]+)::")),
        ("html", named(r'popovertarget="[^"]+"[^>]*>([a-z-]+)<')),
    ],
)
def test_a_format_tells_of_the_finding(name: str, rules: Callable[[str], list[str]], chatloom: Chatloom) -> None:
    """Chosen by --format; the status says the same in all of them."""
    ran = chatloom("audit", "--format", name, "--rule", "domain-local")
    assert (ran.status, rules(ran.out)) == (1, ["domain-local"])


def test_junit_fails_nothing_where_nothing_shall_fail(chatloom: Chatloom) -> None:
    """--fail-on holds for it as it does for the status."""
    ran = chatloom("audit", "--format", "junit", "--fail-on", "never")
    assert (ran.status, of_junit(ran.out)) == (0, [])


def test_the_html_file_comes_beside_the_report(chatloom: Chatloom, tmp_path: Path) -> None:
    """With --html; it knows the runs that the database has, for its trend, and whether the data is a sandbox's."""
    page, db = tmp_path / "audit.html", str(tmp_path / "a.db")
    chatloom("audit", "--db", db)
    ran = chatloom("audit", "--db", db, "--html", str(page), "--format", "jsonl")
    assert json.loads(ran.out)["workspace"] == "default"
    text = page.read_text("utf-8")
    assert text.startswith("<!doctype html>")
    assert "Trend" in text
    assert "fictional" not in text
    assert chatloom("audit", "--sandbox", "--html", str(page)).status == 0
    assert "fictional" in page.read_text("utf-8")


def test_sarif_names_the_file_of_workspaces(
    chatloom: Chatloom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a viewer can show the finding at it."""
    monkeypatch.chdir(tmp_path)
    Path("w.csv").write_text("name,key_env\ndefault,CHATLOOM_API_KEY\n")
    (run,) = json.loads(chatloom("audit", "w.csv", "--format", "sarif").out)["runs"]
    places = [each["physicalLocation"]["artifactLocation"]["uri"] for each in run["results"][0]["locations"]]
    assert places == ["w.csv"]


def test_a_plan_in_a_format_that_has_none_is_a_table(chatloom: Chatloom) -> None:
    """A dry run finds nothing, so there is nothing to annotate."""
    plain, html = chatloom("audit", "--dry-run"), chatloom("audit", "--dry-run", "--format", "html")
    assert (html.status, html.out) == (0, plain.out)
