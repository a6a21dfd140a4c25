"""JUnit XML for the test pages of CI servers: a suite per workspace, with a case for reading it and one per rule.

A case has the same name in every run, so a server can show since when it fails. A rule without findings has no case:
with thousands of workspaces, such cases would bury the others. The outermost element has no totals, because suites are
written one by one; servers count for themselves.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from ..values import Finding, Row, Severity, Summary, at_or_above
from .text import NO_TEXTS, RuleTexts, described, visible, why_and_fix


class JunitFormat:
    """A rule's case fails if a finding is at or above `fail_on` (None: never), like the program's exit status.

    Otherwise the case passes, and its output has the findings. A workspace that was not read as a whole is an error of
    its case "read".
    """

    def __init__(self, texts: RuleTexts = NO_TEXTS, *, fail_on: Severity | None = "error") -> None:
        self._texts = texts
        self._failing = at_or_above(fail_on) if fail_on else ()

    def pieces(self, rows: Sequence[Row], summary: Summary) -> Iterator[str]:
        yield '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="chatloom audit">\n'
        yield from map(self._suite, rows)
        yield "</testsuites>\n"

    def _suite(self, row: Row) -> str:
        name = visible(row.workspace)
        suite = Element("testsuite", name=name)
        suite.extend([_read(name, row), *self._cases(name, row)])
        for attribute, path in (("tests", "testcase"), ("failures", "testcase/failure"), ("errors", "testcase/error")):
            suite.set(attribute, str(len(suite.findall(path))))
        indent(suite)
        return f"{tostring(suite, encoding='unicode')}\n"

    def _cases(self, name: str, row: Row) -> Iterator[Element]:
        by_rule = attrgetter("rule")
        for rule, group in groupby(sorted(row.findings, key=by_rule), key=by_rule):
            findings = list(group)
            case = Element("testcase", classname=name, name=visible(rule))
            body = "\n".join([*map(_line, findings), *self._advice(rule)])
            if any(finding.severity in self._failing for finding in findings):
                first = visible(findings[0].message) + (f" (and {len(findings) - 1} more)" if findings[1:] else "")
                SubElement(case, "failure", type=findings[0].severity, message=first).text = body
            else:
                SubElement(case, "system-out").text = body
            yield case

    def _advice(self, rule: str) -> Iterator[str]:
        for heading, text in zip(("Why it matters", "How to fix it"), why_and_fix(self._texts, rule), strict=True):
            if text:
                yield f"{heading}: {visible(text)}"


def _read(name: str, row: Row) -> Element:
    case = Element("testcase", classname=name, name="read")
    if row.error:
        message = visible(row.error.message)
        SubElement(case, "error", type=visible(row.error.type), message=message).text = f"{row.state}: {message}"
    if unread := str(row.dns or ""):
        SubElement(case, "system-out").text = visible(unread)
    return case


def _line(finding: Finding) -> str:
    text = described(finding.subject, finding.agent_id, finding.message)
    return f"{finding.severity}: {text} [{visible(finding.id)}]"
