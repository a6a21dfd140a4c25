"""Host names as browsers read them: UTS 46 against another implementation, addresses as the URL standard has them."""

import pytest

from chatloom_async.audit.rules.hostname import parse_domain
from chatloom_async.audit.rules.whatwg import read_ipv6
from tests.audit.rules.sweep import difference, names

SENT = {  # as Chromium 156 has them in `location.hostname`
    "Stra\u00dfe.example": "xn--strae-oqa.example",
    "\u1e9e.example": "xn--zca.example",
    "\u03a3\u03a3.example": "xn--4xaa.example",
    "\u039f\u0394\u039f\u03a3-1.gr": "xn---1-k9b7bby.gr",
    "\U0001d406ithub.io": "github.io",
    "\u2121.example": "tel.example",
    "\uab70b.example": "xn--b-18h.example",
    "\u0130.example": "xn--i-9bb.example",
    "\u2764\ufe0f.example": "xn--qei.example",
    "acme\uff0eexample\uff61": "acme.example",
    "\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.com": "xn--mgba3gch31f060k.com",
    "0x7f.1": "127.0.0.1",
    "0300.0250.0.1": "192.168.0.1",
    "4294967295": "255.255.255.255",
    "1.2.3": "1.2.0.3",
    "\u2460\u2461\u2462": "0.0.0.123",
    f"{'0' * 30}1": "0.0.0.1",
    "[2001:DB8:0:0::1]": "[2001:db8::1]",
    "[::FFFF:1.2.3.4]": "[::ffff:102:304]",
}


@pytest.mark.parametrize(("text", "sent"), SENT.items())
def test_the_spelling_is_that_of_a_browser(text: str, sent: str) -> None:
    """What a browser sends and reports of a name is `sent`, and it means the same as the text."""
    assert parse_domain(text).sent == sent
    assert parse_domain(sent).key == parse_domain(text).key


def test_characters_are_mapped_and_refused_as_in_uts_46() -> None:
    """Every 53rd character, in six places; `nox -s uts46` takes all of them."""
    assert [told for text in names(53) if (told := difference(text))] == []


@pytest.mark.parametrize(
    "text",
    [
        "\u05d0\u0661.example",
        "\u05d0\u0661\u06f1.example",
        "a\u0661.example",
        "\u0627\u0308\u0301.example",
        "0\u05d0.example",
        "\u094d\u200d.example",
        "\u0628\u200c\u0308\u0628.example",
        "\u0628\u200c.example",
        "xn--ls8h=.example",
        "xn--.example",
        "xn--a.example",
        "xn--a-ecp.ru",
        "xn--xn---3ra.example",
        "xn--1ug.example",
        "a.b\u3002c\uff61d",
        "xn--\u00fc-.example",
        "\uff1axn--4ca.example",
    ],
)
def test_context_counts_as_in_uts_46(text: str) -> None:
    """Joiners, direction, and Punycode that stands for what a label cannot hold."""
    assert difference(text) is None


@pytest.mark.parametrize(
    ("text", "address"),
    [("::1", "::1"), ("[::1]", "::1"), ("[::1", None), ("::1%eth0", None), ("1.2.3.4", None), ("1::2::3", None)],
)
def test_ipv6_is_read_with_and_without_brackets(text: str, address: str | None) -> None:
    """A zone belongs to one machine, and browsers refuse it."""
    assert (str(found) if (found := read_ipv6(text)) else None) == address


def test_a_long_label_is_not_encoded() -> None:
    """Punycode takes quadratic time, and the result would be too long anyway."""
    domain = parse_domain("\u00e9\u200d" * 400)
    assert domain.sent == domain.host
    assert domain.problems == (
        "a label has 800 characters, where 63 are the limit",
        "the name has 800 characters, where 253 are the limit",
    )


def test_letters_that_are_newer_than_python_are_not_refused_for_their_direction() -> None:
    """The tables of idna may be newer than those of Python: what is not known is not a problem."""
    assert parse_domain("\u05d0\U0001e6d0.example").problems == ()
