"""SARIF 2.1.0, which code-scanning pages read: findings as results, rules with their help.

A result points to the line of its workspace in the list of workspaces, and logically to workspace and agent. The rules
and the notices about workspaces that were not fully read follow the results.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from attrs import Factory, define

from ...wire.encode import json_text
from ...wire.version import VERSION
from ..values import SEVERITIES, Finding, Row, Severity, Summary
from .ranking import LEVELS, NewFindings
from .text import NO_TEXTS, RuleTexts, counted, visible, why_and_fix

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
SARIF_LEVELS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}

FINGERPRINT = "chatloomFindingId/v1"
GITHUB_FINGERPRINT = "primaryLocationLineHash"
"""The fingerprint that GitHub compares. Without it, GitHub hashes the text around the result's line, which is the same
for all findings of a workspace, so they would count as one. It does not contain the line, which moves with edits."""

RESULTS = 25_000  # GitHub refuses a run with more results
NOTICES = 1_000  # notices about workspaces that could not be read, at most; the others are counted
STDIN = "-"
NO_LINES: Mapping[str, int] = MappingProxyType({})


def artifact_uri(source: Path, directory: Path) -> str | None:
    """The path below the directory, with forward slashes and percent-encoded; None if it is not below it."""
    directory, path = directory.resolve(), source.parent.resolve() / source.name
    return _encoded(path.relative_to(directory).as_posix()) if path.is_relative_to(directory) else None


def _encoded(path: str) -> str:
    """Percent-encoded as the bytes that the file system has, which need not be UTF-8."""
    return quote(os.fsencode(path))


@define
class Results:
    """Collects what the end of the log needs. `room` is how many results of each severity may still be written."""

    room: dict[Severity, int]
    rules: dict[str, tuple[int, Severity]] = Factory(dict)
    notices: list[dict[str, Any]] = Factory(list)
    unread: int = 0


class SarifFormat:
    """One run with at most 25,000 results, the most severe. `warn` is called with what GitHub will not show, and why.

    `source` is the path of the file of workspaces, "-" for standard input and None if there is none. `lines` has the
    line of each workspace in it, as far as they are known. GitHub takes only results with a file below the directory
    that the run is in; a placeholder stands for one that is missing. With `news`, each result says whether it is new
    since the baseline.
    """

    def __init__(
        self,
        texts: RuleTexts = NO_TEXTS,
        *,
        source: str | None = None,
        lines: Mapping[str, int] = NO_LINES,
        news: NewFindings | None = None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._texts, self._lines, self._news, self._warn = texts, lines, news, warn
        self._uri, self._problem = _place(source)

    def pieces(self, rows: Sequence[Row], summary: Summary) -> Iterator[str]:
        if self._problem:
            self._warn(self._problem)
        results = Results(self._room(summary))
        yield f'{{"$schema": "{SCHEMA}", "version": "2.1.0", "runs": [{{"results": ['
        separator = "\n"
        for row in rows:
            _add_notices(results, row)
            for finding in row.findings:
                if results.room[finding.severity]:
                    results.room[finding.severity] -= 1
                    yield separator + json_text(self._result(row.workspace, finding, results))
                    separator = ",\n"
            yield ""
        yield f"\n], {json_text(self._rest(results, summary))[1:]}]}}\n"

    def _room(self, summary: Summary) -> dict[Severity, int]:
        """How many results of each severity are written."""
        room, left = {}, RESULTS
        for severity in SEVERITIES:
            room[severity] = min(left, getattr(summary, severity))
            left -= room[severity]
        if omitted := summary.findings - sum(room.values()):
            self._warn(
                f"The SARIF report has the {RESULTS:,} most severe findings, because GitHub takes no more. "
                f"It leaves out {counted(omitted, 'finding')}; --format json has all."
            )
        return room

    def _rest(self, results: Results, summary: Summary) -> dict[str, Any]:
        if more := results.unread - len(results.notices):
            text = _message(f"{counted(more, 'more notice')} of what could not be read")
            results.notices.append({"level": "error", "message": text})
        invocation = {
            "executionSuccessful": not (summary.interrupted or summary.failed),
            "toolExecutionNotifications": results.notices,
        }
        rules = [self._rule(name, severity) for name, (_, severity) in results.rules.items()]
        driver = {"name": "chatloom audit", "semanticVersion": VERSION, "rules": rules}
        return {"tool": {"driver": driver}, "invocations": [invocation], "properties": summary.document()}

    def _result(self, workspace: str, finding: Finding, results: Results) -> dict[str, Any]:
        rule, _ = results.rules.setdefault(finding.rule, (len(results.rules), finding.severity))
        parts = [visible(part) for part in (workspace, finding.agent_id) if part is not None]
        name, identity = "/".join(parts), visible(finding.id)
        state = {}
        if self._news:
            state = {"baselineState": "new" if finding.id in self._news.findings else "unchanged"}
        return {
            "ruleId": visible(finding.rule),
            "ruleIndex": rule,
            "level": SARIF_LEVELS[finding.severity],
            **state,
            "message": _message(f"{name}: {finding.message}"),
            "locations": [
                {
                    "logicalLocations": [{"name": parts[-1], "fullyQualifiedName": name}],
                    "physicalLocation": {
                        "artifactLocation": {"uri": self._uri},
                        "region": {"startLine": self._lines.get(workspace, 1)},
                    },
                }
            ],
            "partialFingerprints": {FINGERPRINT: identity, GITHUB_FINGERPRINT: f"{identity}:1"},
            "properties": {"subject": visible(finding.subject)},
        }

    def _rule(self, name: str, severity: Severity) -> dict[str, Any]:
        why, fix = map(visible, why_and_fix(self._texts, name))
        known = self._texts[name][0] if name in self._texts else severity
        described = {"id": visible(name), "defaultConfiguration": {"level": SARIF_LEVELS[known]}}
        if not (why or fix):
            return described
        help_text = "\n\n".join(part for part in (why, fix and f"How to fix it: {fix}") if part)
        return {**described, "fullDescription": {"text": why or fix}, "help": {"text": help_text}}


def _place(source: str | None) -> tuple[str, str]:
    """The uri of results, and why GitHub cannot show the file, if it cannot."""
    if source is None or source == STDIN:
        uri, problem = ("no-file", "not in a file") if source is None else ("standard-input", "on standard input")
    elif uri := artifact_uri(Path(source), Path.cwd()) or "":
        return uri, ""
    else:
        uri, problem = _encoded(Path(source).name), f"in {source}, outside of the working directory"
    advice = "name a file below the directory that you run in"
    return uri, f"GitHub will show the SARIF results without a source line: the workspaces are {problem}; {advice}."


def _add_notices(results: Results, row: Row) -> None:
    notices: list[tuple[Severity, str]] = []
    if row.error:
        notices.append((LEVELS[row.state], f"{row.error.type}: {row.error.message}"))
    if unread := str(row.dns or ""):
        notices.append(("info", unread))
    for severity, text in notices:
        results.unread += 1
        if len(results.notices) < NOTICES:
            notice = {"level": SARIF_LEVELS[severity], "message": _message(f"{row.workspace}: {text}")}
            results.notices.append(notice)


def _message(text: str) -> dict[str, str]:
    """Braces stand for placeholders, and `[text](address)` is a link, even in plain text (SARIF 3.11.5 and 3.11.6)."""
    return {"text": visible(text).replace("](", "] (").replace("{", "{{").replace("}", "}}")}
