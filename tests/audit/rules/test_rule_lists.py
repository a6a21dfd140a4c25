"""The rules for lists of domains: empty, repetitive, incomplete."""

import pytest
from attrs import evolve

from chatloom_async.audit import AuditedAgent, Failure
from tests.audit.rules.cases import audited, checked, found

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


@pytest.mark.parametrize(
    ("glob", "missing"),
    [("*.a.example", False), ("shop-*", False), ("*", False), ("*.b.example", True), ("*.c.example", True)],
)
def test_a_glob_is_missing_if_nothing_fits_it(glob: str, missing: bool) -> None:
    """One domain is enough; what is no host name fits none."""
    workspace = checked(audited("x.a.example", "shop-7.example", "https://x.b.example"), expect=[glob])
    message = f'No agent allows a domain that fits "{glob}", which is expected.'
    assert found("domain-missing", workspace) == [(None, glob, message)] * missing


@pytest.mark.parametrize("state", ["partial", "failed"])
def test_nothing_is_missing_where_not_all_was_read(state: str) -> None:
    """It may be on the list that could not be read."""
    assert found("domain-missing", checked(expect=["a.example"], state=state)) == []
