"""The rule for listed domains that are nearly an expected one."""

import sys
import time

import pytest

from chatloom_async import MissingExtraError
from chatloom_async.audit.rules.lookalikes import _prototypes, domain_lookalike, skeleton
from tests.audit.rules.cases import audited, checked, found, said

OTHER, LOOKS = "which is expected, but is another domain", "which is expected, only by a hyphen"
NEAR = {
    "acmeshop.com": f'differs from "acme-shop.com", {LOOKS}',
    "ac-me-shop.com": f'differs from "acme-shop.com", {LOOKS}',
    "acme-shop.co": f'is one character away from "acme-shop.com", {OTHER}',
    "acne-shop.com": f'is one character away from "acme-shop.com", {OTHER}',
    "acme-sho.com": f'is one character away from "acme-shop.com", {OTHER}',
    "acme-shops.com": f'is one character away from "acme-shop.com", {OTHER}',
    "amce-shop.com": f'is one character away from "acme-shop.com", {OTHER}',
    "acme-shop1.com": f'is one character away from "acme-shop.com", {OTHER}',
    "www.chat.acme-shops.com": f'is one character away from "acme-shop.com", {OTHER}',
    "*.acme-shops.com": f'is one character away from "acme-shop.com", {OTHER}',
    "https://acme-shops.com/": f'is one character away from "acme-shop.com", {OTHER}',
    "acrne-shop.com": f'looks like "acme-shop.com", {OTHER}',
    "acme-sh0p.com": f'looks like "acme-shop.com", {OTHER}',
    "\u0430cme-shop.com": f'looks like "acme-shop.com", {OTHER}',
    "xn--cme-shop-06g.com": f'looks like "acme-shop.com", {OTHER}',
    "\u0430cme-shops.com": f'is one character away from "acme-shop.com", {OTHER}',
    "acme\u2013shop.com": f'looks like "acme-shop.com", {OTHER}',
}
NOT_NEAR = (
    *("acme-shop.com", "www.acme-shop.com", "other.com", "acme-shops.net", "shop7.example", "abe.example"),
    *("com", "co.uk", "192.0.2.7", "acme-shop.local", "", "*", "acme-shpos7.com", "caem-shop.com", "cme-shopa.com"),
    "acme-shops.org",
)
EXPECT = ("acme-shop.com", "shop1.example", "abc.example", "acme-shops.org")


@pytest.mark.parametrize(("domain", "likeness"), NEAR.items())
def test_nearly_an_expected_domain(domain: str, likeness: str) -> None:
    """By an edit, a hyphen or characters that look alike, in the part that is registered."""
    assert said("domain-lookalike", domain, expect=EXPECT) == [f'"{domain}" {likeness}.']


@pytest.mark.parametrize("domain", NOT_NEAR)
def test_not_nearly_an_expected_domain(domain: str) -> None:
    """The same domain, a numbered series, short names and what is further away are fine."""
    assert said("domain-lookalike", domain, expect=EXPECT) == []


@pytest.mark.parametrize(
    "expect", [None, (), ("localhost", "192.0.2.1", "co.uk"), ("acme-shop.com", "*.acme-shops.com")]
)
def test_without_an_expectation_there_is_nothing_to_be_like(expect: tuple[str, ...] | None) -> None:
    """And what a glob expects is fine."""
    assert said("domain-lookalike", "www.acme-shops.com", expect=expect) == []


def test_a_finding_names_agent_and_entry() -> None:
    """It is about one entry of one agent."""
    both = audited("acme-shop.com", "acme-shops.com", id="agt_2")
    workspace = checked(audited("acme-shop.com", id="agt_1"), both, expect=EXPECT)
    assert [place[:2] for place in found("domain-lookalike", workspace)] == [("agt_2", "acme-shops.com")]


@pytest.mark.parametrize(
    ("text", "looks"),
    [("paypal", "paypal"), ("p\u0430ypa1", "paypal"), ("m0ney", "rnoney"), ("a\u2013b", "a-b"), ("\u65e5", "\u2f47")],
)
def test_a_skeleton_is_what_a_name_looks_like(text: str, looks: str) -> None:
    """By Unicode's table; an m looks like rn."""
    assert skeleton(text) == skeleton(looks)


def test_the_work_grows_with_the_number_of_domains() -> None:
    """20,000 listed domains against 2,000 expected ones take seconds, not hours."""
    expect = [f"brand-{number}-shop.com" for number in range(2_000)]
    listed = [f"customer-{number}.example.net" for number in range(20_000)]
    workspace = checked(audited(*listed), expect=expect)
    began = time.process_time()
    assert list(domain_lookalike(workspace)) == []
    assert time.process_time() - began < 30


def test_without_the_table_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name of the extra."""
    monkeypatch.setitem(sys.modules, "confusable_homoglyphs.confusables", None)
    with pytest.raises(MissingExtraError, match=r"^The rule domain-lookalike needs .*\[audit\]"):
        _prototypes.__wrapped__()
