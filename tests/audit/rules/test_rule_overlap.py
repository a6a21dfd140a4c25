"""The rules for what workspaces have in common: the same findings for every order in which rows come."""

from itertools import permutations
from typing import Any

import pytest

from chatloom_async.audit import Row, Workspace
from chatloom_async.audit.keys import KeyEnv
from chatloom_async.audit.rules import CheckedOverlap, Evidence, Judge, OtherWorkspaces, rule, select_rules
from chatloom_async.audit.rules.overlap import OverlapIndex, site_digests
from chatloom_async.audit.rules.registry import RULES
from chatloom_async.audit.values import make_finding
from tests.audit.rules.cases import NOW, audited

ACROSS = select_rules(RULES, ["domain-shared", "key-duplicate"])
HELD: dict[str, tuple[tuple[str, ...], str]] = {
    "a": (("agency.example", "a.example"), "one"),
    "b": (("AGENCY.example",), "two"),
    "c": (("c.example",), "one"),
    "d": (("agency.example.", "*.agency.example"), "three"),
}


def judged(order: Any, judge: Judge | None = None) -> dict[str, Row]:
    """Rows of the workspaces in HELD, judged in this order, then completed."""
    judge = judge or Judge(ACROSS, clock=lambda: NOW)
    rows = []
    for name in order:
        domains, key = HELD[name]
        row = Row(name, "ok", (audited(*domains),))
        rows.append(judge.judge(row, Workspace(name, KeyEnv("K")), Evidence(fingerprint=key)))
    assert [row.findings for row in rows] == [()] * len(rows)
    return {row.workspace: judge.add_overlaps(row) for row in rows}


def digests(*domains: str) -> bytes:
    """What the index keeps of a workspace that allows these domains."""
    return site_digests(Row("", "ok", (audited(*domains),)))


def shared(workspace: str, message: str) -> Any:
    """A finding about the site that a, b and d allow."""
    return make_finding(workspace, "domain-shared", "info", agent_id=None, subject="agency.example", message=message)


def twin(workspace: str, message: str) -> Any:
    """A finding about the key that a and c have."""
    return make_finding(workspace, "key-duplicate", "warning", agent_id=None, subject="", message=message)


def test_every_workspace_is_told_what_it_shares() -> None:
    """A domain in any spelling, and a key. The others are named by name; nothing of the key is shown."""
    assert {name: row.findings for name, row in judged("abcd").items()} == {
        "a": (
            twin("a", "The key is the same as that of c."),
            shared("a", '"agency.example" is also allowed in b, d.'),
        ),
        "b": (shared("b", '"agency.example" is also allowed in a, d.'),),
        "c": (twin("c", "The key is the same as that of a."),),
        "d": (shared("d", '"agency.example" is also allowed in a, b.'),),
    }


def test_the_order_of_the_rows_changes_nothing() -> None:
    """Findings, ids and messages are equal for each of the orders."""
    assert [judged(order) for order in permutations("abcd")] == [judged("abcd")] * 24


def test_a_resumed_run_finds_the_same() -> None:
    """Rows that are kept are remembered; findings that they had across workspaces are made anew."""
    whole = judged("abcd")
    alone = judged("ab")
    judge = Judge(ACROSS, clock=lambda: NOW)
    for name, row in alone.items():
        judge.remember(row, Evidence(fingerprint=HELD[name][1]))
    read = judged("dc", judge)
    kept = {name: judge.add_overlaps(row) for name, row in alone.items()}
    assert {**kept, **read} == whole


def test_three_others_are_named_and_the_rest_is_counted() -> None:
    """A domain that all allow makes no message long."""
    index = OverlapIndex()
    for number in range(100):
        index.add(f"w{number:02}", digests("thing.de", f"own-{number}.de"), None)
    overlap = index.of("w01", ["own-1.de", "thing.de"])
    assert overlap == CheckedOverlap("w01", {"thing.de": OtherWorkspaces(("w00", "w02", "w03"), 99)}, OtherWorkspaces())
    assert str(overlap.domains["thing.de"]) == "w00, w02, w03 and 96 more"


def test_a_workspace_that_is_added_twice_counts_once() -> None:
    """Two workers may have read it."""
    index = OverlapIndex()
    for name in ("a", "b", "a", "c", "c"):
        index.add(name, digests("thing.de", f"own-{name}.de"), f"key of {name}")
    overlaps = {name: index.of(name, ["thing.de", f"own-{name}.de"]) for name in "abc"}
    assert {name: overlap.domains for name, overlap in overlaps.items()} == {
        "a": {"thing.de": OtherWorkspaces(("b", "c"), 2)},
        "b": {"thing.de": OtherWorkspaces(("a", "c"), 2)},
        "c": {"thing.de": OtherWorkspaces(("a", "b"), 2)},
    }
    assert not any(overlap.key.count for overlap in overlaps.values())


def test_what_is_added_later_counts_too() -> None:
    """And names may be any text that Python has."""
    index = OverlapIndex()
    index.add("a", digests("x.example"), None)
    index.prepare()
    assert not index.shares("a")
    index.add("\ud800", digests("x.example"), None)
    assert index.shares("a")
    assert index.of("a", ["x.example"]).domains == {"x.example": OtherWorkspaces(("\ud800",), 1)}
    index.add("b", b"", None)
    assert not index.shares("b")
    assert not index.shares("never added")


@pytest.mark.parametrize(
    "domain", ["*", "*.a.example", "localhost", "10.0.0.1", "8.8.8.8", "http://a.example", "", "nas"]
)
def test_only_sites_are_shared(domain: str) -> None:
    """Entries that other rules report are not sites that two workspaces have in common."""
    judge = Judge(ACROSS)
    rows = [judge.judge(Row(name, "ok", (audited(domain),)), Workspace(name, KeyEnv("K"))) for name in "ab"]
    assert [judge.add_overlaps(row) for row in rows] == rows


def test_a_failed_workspace_has_no_findings_but_counts_as_another() -> None:
    """Its key is known although nothing could be read with it."""
    judge = Judge(ACROSS)
    failed = judge.judge(Row("a", "failed"), Workspace("a", KeyEnv("K")), Evidence(fingerprint="one"))
    row = judge.judge(Row("b", "ok"), Workspace("b", KeyEnv("K")), Evidence(fingerprint="one"))
    assert judge.add_overlaps(failed) == failed
    assert judge.add_overlaps(row).findings == (twin("b", "The key is the same as that of a."),)


@rule("house-overlap", severity="info", why="The test needs one.", fix="Nothing.")
def house_overlap(checked: CheckedOverlap) -> list[str]:
    """A rule of a user's that fails."""
    raise ValueError(checked.workspace)


def test_a_users_rule_can_look_at_overlaps() -> None:
    """Where it raises, a finding says so, once, also in a row that had that finding already."""
    judge = Judge((house_overlap,))
    first, second, alone = (
        judge.judge(Row(name, "ok"), Workspace(name, KeyEnv("K")), Evidence(fingerprint=key))
        for name, key in (("a", "one"), ("b", "one"), ("c", "two"))
    )
    assert judge.add_overlaps(alone) is alone, "it is asked only about what is shared"
    assert judge.add_overlaps(second) != second
    row = judge.add_overlaps(first)
    assert [(each.rule, each.subject) for each in row.findings] == [("rule-failed", "house-overlap")]
    assert "failed on 1 of 1 overlaps: ValueError: a" in row.findings[0].message
    assert judge.add_overlaps(row) is row
