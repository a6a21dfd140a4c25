"""SARIF 2.1.0, which code-scanning pages read: findings as results, rules with their help.

Results are written as they come; the rules that they name, and notices of workspaces that were not fully read, stand
behind them. Workspaces have no files, so a result's place is logical: workspace and agent. GitHub shows only results
that have a file too; `source` names it.
"""

from typing import Any
from urllib.parse import quote

from ...wire.version import VERSION
from ..document import json_text
from ..summary import Summary
from ..values import Finding, Row, Severity
from .ranking import LEVELS, NO_TEXTS, RuleTexts, why_and_fix
from .text import visible

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
SARIF_LEVELS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}

FINGERPRINT = "chatloomFindingId/v1"
GITHUB_FINGERPRINT = "primaryLocationLineHash"
"""The one that GitHub goes by. It would compute it from the file's line, which all findings share, and so take them
for one; a given value is kept."""


class SarifFormat:
    """One run. `source` is the path of the file of workspaces, relative to the repository, with forward slashes."""

    def __init__(self, texts: RuleTexts = NO_TEXTS, *, source: str | None = None) -> None:
        self._texts, self._source = texts, source
        self._rules: dict[str, Severity] = {}
        self._notices: list[dict[str, Any]] = []
        self._separator = "\n"

    def start(self) -> str:
        return f'{{"$schema": "{SCHEMA}", "version": "2.1.0", "runs": [{{"results": ['

    def row(self, row: Row) -> str:
        if row.error:
            text = _message(f"{row.workspace}: {row.error.type}: {row.error.message}")
            self._notices.append({"level": SARIF_LEVELS[LEVELS[row.state]], "message": text})
        if unread := str(row.dns or ""):
            self._notices.append({"level": "note", "message": _message(f"{row.workspace}: {unread}")})
        return "".join(self._next(row.workspace, each) for each in row.findings)

    def end(self, summary: Summary) -> str:
        invocation = {
            "executionSuccessful": not (summary.interrupted or summary.failed),
            "toolExecutionNotifications": self._notices,
        }
        rules = [self._rule(name, severity) for name, severity in self._rules.items()]
        driver = {"name": "chatloom audit", "semanticVersion": VERSION, "rules": rules}
        rest = {"tool": {"driver": driver}, "invocations": [invocation], "properties": summary.document()}
        return f"\n], {json_text(rest)[1:]}]}}\n"

    def _next(self, workspace: str, found: Finding) -> str:
        separator, self._separator = self._separator, ",\n"
        self._rules.setdefault(found.rule, found.severity)
        return separator + json_text(self._result(workspace, found))

    def _result(self, workspace: str, found: Finding) -> dict[str, Any]:
        parts = [visible(each) for each in (workspace, found.agent_id) if each is not None]
        place = "/".join(parts)
        logical = {"name": parts[-1], "fullyQualifiedName": place}
        location: dict[str, Any] = {"logicalLocations": [logical]}
        identity = visible(found.id)
        fingerprints = {FINGERPRINT: identity}
        if self._source:
            artifact = {"uri": quote(self._source)}
            location["physicalLocation"] = {"artifactLocation": artifact, "region": {"startLine": 1}}
            fingerprints[GITHUB_FINGERPRINT] = f"{identity}:1"
        return {
            "ruleId": visible(found.rule),
            "ruleIndex": list(self._rules).index(found.rule),
            "level": SARIF_LEVELS[found.severity],
            "message": _message(f"{place}: {found.message}"),
            "locations": [location],
            "partialFingerprints": fingerprints,
            "properties": {"subject": visible(found.subject)},
        }

    def _rule(self, name: str, severity: Severity) -> dict[str, Any]:
        why, fix = map(visible, why_and_fix(self._texts, name))
        known = self._texts[name][0] if name in self._texts else severity
        described = {"id": visible(name), "defaultConfiguration": {"level": SARIF_LEVELS[known]}}
        if not (why or fix):
            return described
        help_text = "\n\n".join(part for part in (why, fix and f"How to fix it: {fix}") if part)
        return {**described, "fullDescription": {"text": why or fix}, "help": {"text": help_text}}


def _message(text: str) -> dict[str, str]:
    """Braces stand for placeholders, and `[text](address)` is a link, even in plain text (SARIF 3.11.5 and 3.11.6)."""
    return {"text": visible(text).replace("](", "] (").replace("{", "{{").replace("}", "}}")}
