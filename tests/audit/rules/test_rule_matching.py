"""What is known of what an allowed domain stands for, and what the rules make of it."""

from typing import get_args

import pytest
from attrs import evolve

from chatloom_async.audit import Workspace
from chatloom_async.audit.keys import KeyEnv
from chatloom_async.audit.rules import Judge
from chatloom_async.audit.values import DomainMatching
from tests.audit.rules.cases import NOW, RULE, audited, checked, found

MATCHINGS: tuple[DomainMatching, ...] = get_args(DomainMatching)
SUFFIX = '"co.uk" is a public suffix: independent people and companies have their sites under it'


def said(rule: str, matching: DomainMatching, *domains: str, expect: list[str] | None = None) -> list[str]:
    """The messages of one rule about one agent."""
    workspace = evolve(checked(audited(*domains), expect=expect), matching=matching)
    return [message for _, _, message in found(rule, workspace)]


@pytest.mark.parametrize(
    ("matching", "messages"),
    [
        ("unknown", [f"{SUFFIX}."]),
        ("subdomains", [f"{SUFFIX}, and all of these sites can show this agent."]),
        ("exact", []),
    ],
)
def test_a_public_suffix_is_as_grave_as_what_it_stands_for(matching: DomainMatching, messages: list[str]) -> None:
    """Compared exactly, it is one host, which has no site."""
    assert said("domain-public-suffix", matching, "co.uk") == messages


@pytest.mark.parametrize("matching", MATCHINGS)
def test_a_wildcard_fits_no_page_if_compared_exactly(matching: DomainMatching) -> None:
    """Otherwise, the documentation does not say whether it is understood."""
    exact = '"*.acme.example" is a wildcard, but domains are compared exactly: it fits no page.'
    taken = '"*.acme.example" is a wildcard; taken as one, it stands for every site whose name fits.'
    assert said("domain-wildcard", matching, "*.acme.example") == [exact if matching == "exact" else taken]


@pytest.mark.parametrize(
    ("matching", "messages"),
    [
        ("exact", []),
        ("unknown", ['If "*.acme.example" works as a wildcard, it already covers "shop.acme.example".']),
        (
            "subdomains",
            [
                '"acme.example" stands for its subdomains, and already covers "*.acme.example", "shop.acme.example".',
                'If "*.acme.example" works as a wildcard, it already covers "shop.acme.example".',
            ],
        ),
    ],
)
def test_what_is_covered_depends_on_what_an_entry_stands_for(matching: DomainMatching, messages: list[str]) -> None:
    """Compared exactly, no entry covers another one."""
    domains = ("acme.example", "*.acme.example", "shop.acme.example", "acme.example.org", "192.0.2.1", "x/acme.example")
    assert sorted(said("domain-duplicate", matching, *domains)) == sorted(messages)


@pytest.mark.parametrize("matching", MATCHINGS)
@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("acme.example", MATCHINGS),
        ("shop.acme.example", ("subdomains",)),
        ("*.acme.example", ("subdomains",)),
        ("example", ()),
        ("shop.acme.example/", ()),
        ("notacme.example", ()),
    ],
)
def test_an_expected_domain_expects_its_subdomains_too(
    domain: str, expected: tuple[str, ...], matching: DomainMatching
) -> None:
    """If it stands for them: then whoever expects it has approved of them."""
    messages = [] if matching in expected else [f'"{domain}" is allowed, but not expected.']
    assert said("domain-unexpected", matching, domain, expect=["acme.example"]) == messages


@pytest.mark.parametrize("matching", MATCHINGS)
def test_an_expected_subdomain_is_allowed_with_its_parent(matching: DomainMatching) -> None:
    """If the parent stands for it; then the widget does load there."""
    messages = [] if matching == "subdomains" else ['No agent allows "shop.acme.example", which is expected.']
    assert said("domain-missing", matching, "acme.example", expect=["shop.acme.example"]) == messages


def test_a_judge_hands_on_what_it_knows() -> None:
    """It is the same for all workspaces of a run."""
    row = checked(audited("co.uk")).row
    workspace = Workspace("acme", KeyEnv("K"))
    rules = (RULE["domain-public-suffix"],)
    counts = {each: len(Judge(rules, lambda: NOW, each).judge(row, workspace).findings) for each in MATCHINGS}
    assert counts == {"exact": 0, "subdomains": 1, "unknown": 1}
