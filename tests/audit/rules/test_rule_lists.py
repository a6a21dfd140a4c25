"""The rules for lists of domains: empty, repetitive, incomplete, and shared between workspaces."""

import pytest
from attrs import evolve

from chatloom_async.audit import AuditedAgent, Failure, Row, Workspace
from chatloom_async.audit.keys import KeyEnv
from chatloom_async.audit.rules import Evidence, Judge, Others, select_rules
from chatloom_async.audit.rules.judging import Neighbours
from chatloom_async.audit.rules.registry import RULES
from tests.audit.rules.cases import NOW, audited, checked, found

DUPLICATES: dict[tuple[str, ...], dict[str, str]] = {
    ("a.example", "a.example"): {"a.example": '"a.example" is listed more than once.'},
    ("a.example", "A.example", "a.example.", "a.example", "a.example"): {
        "A.example": '"A.example" is another spelling of the earlier "a.example".',
        "a.example": '"a.example" is listed more than once.',
        "a.example.": '"a.example." is another spelling of the earlier "a.example".',
    },
    ("m\u00fcnchen.example", "xn--mnchen-3ya.example"): {
        "xn--mnchen-3ya.example": '"xn--mnchen-3ya.example" is another spelling of the earlier "m\u00fcnchen.example".'
    },
    ("127.1", "127.0.0.1"): {"127.0.0.1": '"127.0.0.1" is another spelling of the earlier "127.1".'},
    ("a.example", " a.example"): {" a.example": '"a.example" is another spelling of the earlier "a.example".'},
    ("*.a.example", "b.a.example", "a.example", "c.b.a.example", "x.example"): {
        "*.a.example": 'If "*.a.example" works as a wildcard, it already covers "b.a.example", "c.b.a.example".'
    },
    ("*", "a.example", "b.example", "c.example", "d.example", "localhost", "http://x.example", ""): {
        "*": 'If "*" works as a wildcard, it already covers "a.example", "b.example", "c.example" and 2 more.'
    },
    ("*.a.example", "*.b.a.example"): {
        "*.a.example": 'If "*.a.example" works as a wildcard, it already covers "*.b.a.example".'
    },
    (): {},
    ("a.example",): {},
    ("a.example", "shop.a.example"): {},
    ("a.example", "http://a.example"): {},
    ("http://a.example/X", "http://a.example/x"): {},
    ("shop-*.a.example", "shop-1.a.example"): {},
    ("*.a.example", "ba.example", "a.example"): {},
    ("*",): {},
}


@pytest.mark.parametrize(("domains", "messages"), DUPLICATES.items())
def test_duplicates(domains: tuple[str, ...], messages: dict[str, str]) -> None:
    """What certainly means the same is found; a parent is not, since the documentation lists one beside its child."""
    assert {
        subject: message for _, subject, message in found("domain-duplicate", checked(audited(*domains)))
    } == messages


def test_duplicates_are_looked_for_agent_by_agent() -> None:
    """Two agents may be on one site, and what could not be read holds no duplicates."""
    unread = AuditedAgent(audited().agent, None, Failure("ServerError", "HTTP 500"))
    assert found("domain-duplicate", checked(audited("a.example"), audited("a.example", id="agt_2"), unread)) == []


def test_an_empty_list_is_found_and_its_meaning_left_open() -> None:
    """A list that could not be read is not an empty one."""
    unread = AuditedAgent(evolve(audited().agent, id="agt_3"), None)
    assert found("domains-empty", checked(audited(), audited("a.example", id="agt_2"), unread)) == [
        (
            "agt_1",
            "Sales Assistant",
            "The agent has no allowed domain; whether its widget loads nowhere or everywhere is not documented.",
        )
    ]


@pytest.mark.parametrize(
    ("expect", "missing"),
    [
        (None, []),
        ([], []),
        (["a.example"], []),
        (["A.example.", "b.example"], []),
        (["xn--mnchen-3ya.example"], []),
        (["c.example"], ["c.example"]),
        (["shop.a.example"], ["shop.a.example"]),
        (["C.example", "c.example"], ["c.example"]),  # the same, so one finding
        (["c.example", "b.example", "d.example"], ["c.example", "d.example"]),
    ],
)
def test_missing(expect: list[str] | None, missing: list[str]) -> None:
    """An expected domain may be on any of the agents."""
    workspace = checked(audited("a.example"), audited("b.example", "m\u00fcnchen.example", id="agt_2"), expect=expect)
    assert found("domain-missing", workspace) == [
        (None, domain, f'No agent allows "{domain}", which is expected.') for domain in missing
    ]


@pytest.mark.parametrize("state", ["partial", "failed"])
def test_nothing_is_missing_where_not_all_was_read(state: str) -> None:
    """It may be on the list that could not be read."""
    assert found("domain-missing", checked(expect=["a.example"], state=state)) == []


def told(judge: Judge, name: str, *domains: str, fingerprint: str | None = None) -> list[tuple[str, str, str, str]]:
    """Rule, subject, message and id of what is found in one more workspace."""
    row = judge.judge(
        Row(name, "ok", (audited(*domains),)), Workspace(name, KeyEnv("K")), Evidence(None, (), fingerprint)
    )
    return [(each.rule, each.subject, each.message, each.id) for each in row.findings]


def across() -> Judge:
    """One run, with the rules that look across workspaces."""
    return Judge(select_rules(RULES, ["domain-shared", "key-duplicate"]), clock=lambda: NOW)


def test_a_shared_domain_is_found_on_every_later_row() -> None:
    """The earlier workspaces are named up to three; the finding's id is the domain's alone."""
    judge = across()
    rows = [told(judge, name, "agency.example", f"{name}.example", "AGENCY.example") for name in "abcdef"]
    others = ["a", "a, b", "a, b, c", "a, b, c and 1 more", "a, b, c and 2 more"]
    identifier = rows[1][0][3]
    assert rows == [
        [],
        *(
            [("domain-shared", "agency.example", f'"agency.example" is also allowed in {names}.', identifier)]
            for names in others
        ),
    ]


def test_the_order_of_rows_does_not_change_the_ids() -> None:
    """Rows come as they complete, and a baseline must not mind."""
    names = ("a", "b", "c")
    runs = []
    for order in (names, names[::-1]):
        judge = across()
        rows = [told(judge, name, "agency.example", fingerprint="one") for name in order]
        runs.append({each[3] for row in rows for each in row})
    assert runs[0] == runs[1]
    assert len(runs[0]) == 4  # one domain, and three pairs of workspaces with one key


@pytest.mark.parametrize(
    "domain", ["*", "*.a.example", "localhost", "10.0.0.1", "8.8.8.8", "http://a.example", "", "nas"]
)
def test_only_sites_are_shared(domain: str) -> None:
    """What other rules complain about is not a site that two workspaces have in common."""
    judge = across()
    assert [told(judge, name, domain) for name in "ab"] == [[], []]


def test_one_key_for_two_workspaces() -> None:
    """Each pair is found once, and nothing of the key is told."""
    judge = across()
    rows = [told(judge, name, fingerprint="one" if name != "b" else "two") for name in "abc"]
    assert [[each[:3] for each in row] for row in rows] == [
        [],
        [],
        [("key-duplicate", "a and c", "The key is the same as that of a.")],
    ]


def test_a_row_of_an_earlier_run_can_be_remembered() -> None:
    """A resumed run knows what was read before it."""
    judge = across()
    judge.remember(Row("a", "ok", (audited("agency.example"),)), Evidence(fingerprint="one"))
    judge.remember(Row("failed", "failed"))
    assert [each[0] for each in told(judge, "b", "agency.example", fingerprint="one")] == [
        "key-duplicate",
        "domain-shared",
    ]


def test_neighbours_name_three_and_count_the_rest() -> None:
    """So that a domain of everybody's does not make messages, and memory, long."""
    neighbours = Neighbours()
    seen = [neighbours.note(str(number), ["thing", "thing", str(number)]) for number in range(100)]
    assert seen[0] == {}
    assert seen[99] == {"thing": Others(("0", "1", "2"), 99)}
    assert str(seen[99]["thing"]) == "0, 1, 2 and 96 more"
