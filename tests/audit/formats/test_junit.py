"""JUnit XML for the test pages of CI servers."""

from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest

from chatloom_async.audit.formats.junit import JunitFormat
from chatloom_async.audit.formats.text import visible
from tests.audit.formats.reported import HOSTILE, ROWS, TEXTS, golden, hostile_rows, written


def outcomes(text: str) -> dict[str, Any]:
    """By case, what became of it."""
    return {
        f"{case.get('classname')}/{case.get('name')}": [each.tag for each in case]
        for case in fromstring(text).iter("testcase")
    }


def test_a_suite_a_workspace_and_a_case_for_each_rule_that_found_something() -> None:
    """With why and how to fix it where the rule is known."""
    text = written(JunitFormat(TEXTS))
    assert text == golden("report.xml", text)


@pytest.mark.parametrize(
    ("fail_on", "failing"),
    [
        ("error", ["acme/domain-wildcard"]),
        ("warning", ["acme/domain-wildcard", "acme/domains-empty"]),
        ("info", ["acme/domain-shared", "acme/domain-wildcard", "acme/domains-empty", "fjord/domain-shared"]),
        (None, []),
    ],
)
def test_what_fails_is_what_fails_the_program(fail_on: Any, failing: list[str]) -> None:
    """A finding below that is output of a case that passes; a workspace that is not whole is an error, always."""
    found = outcomes(written(JunitFormat(fail_on=fail_on)))
    assert sorted(case for case, tags in found.items() if tags == ["failure"]) == failing
    assert [case for case, tags in found.items() if tags == ["error"]] == ["cedar/read", "fjord/read"]
    assert found["birch/read"] == []


def test_an_interrupted_report_is_whole_xml() -> None:
    """Also where no row came."""
    assert list(fromstring(written(JunitFormat(), (), interrupted=True))) == []


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_every_text_is_only_text(text: str) -> None:
    """The document is well-formed, has the elements that it should, and names are as people see them."""
    suites = fromstring(written(JunitFormat(), hostile_rows(text)))
    assert [each.tag for each in suites.iter()] == tags(fromstring(written(JunitFormat(), hostile_rows("plain"))))
    assert suites[0].get("name") == visible(text)
    failures = [each.get("message") for each in suites.iter("failure")]
    assert failures == [f"{visible(text)} (and 1 more)"]


def tags(root: Element) -> list[str]:
    """All elements."""
    return [each.tag for each in root.iter()]


def test_the_counts_of_a_suite_are_those_of_its_cases() -> None:
    """Servers that do not count for themselves show them."""
    suites = fromstring(written(JunitFormat(), ROWS))
    assert [(each.get("name"), each.get("tests"), each.get("failures"), each.get("errors")) for each in suites] == [
        ("birch", "1", "0", "0"),
        ("acme", "4", "1", "0"),
        ("cedar", "1", "0", "1"),
        ("fjord", "2", "0", "1"),
    ]
