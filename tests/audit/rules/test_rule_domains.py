"""The rules for one domain: what each of them finds, and what it leaves alone."""

import pytest

from chatloom_async.audit.rules.hostname import parse_domain
from chatloom_async.audit.rules.lookalikes import domain_punycode
from tests.audit.rules.cases import audited, checked, found, said

WILDCARDS = {
    "*": "every site there is",
    "*.": "every site there is",
    "*.acme.example": "every site whose name fits",
    "*.*.acme.example": "every site whose name fits",
    "\uff0a.acme.example": "every site whose name fits",
    "shop-*.acme.example": "every site whose name fits",
    "acme.*": "every site whose name fits",
    "*.co.uk": "every site whose name fits",
    "http://*.acme.example/": "every site whose name fits",
}
LOCAL = {
    "localhost": '"localhost" is the visitor\'s own machine (RFC 6761).',
    "LOCALHOST.": '"localhost" is the visitor\'s own machine (RFC 6761).',
    "app.localhost": '"app.localhost" ends in .localhost, which is the visitor\'s own machine (RFC 6761).',
    "http://localhost:3000/": '"localhost" is the visitor\'s own machine (RFC 6761).',
    "*.localhost": '"localhost" is the visitor\'s own machine (RFC 6761).',
    "127.0.0.1": '"127.0.0.1" is the loopback address: the visitor\'s own machine.',
    "\uff11\uff12\uff17\u3002\u2460": '"127.0.0.1" is the loopback address: the visitor\'s own machine.',
    "\U0001d40b\u24de\U0001d402\U0001d400\U0001d40b\U0001d407\U0001d40e\U0001d412\U0001d413": (
        '"localhost" is the visitor\'s own machine (RFC 6761).'
    ),
    "127.1": '"127.0.0.1" is the loopback address: the visitor\'s own machine.',
    "2130706433": '"127.0.0.1" is the loopback address: the visitor\'s own machine.',
    "0x7f.0.0.1": '"127.0.0.1" is the loopback address: the visitor\'s own machine.',
    "0177.0.0.1.": '"127.0.0.1" is the loopback address: the visitor\'s own machine.',
    "[::1]": '"::1" is the loopback address: the visitor\'s own machine.',
    "::ffff:10.1.2.3": '"10.1.2.3" is a private address (RFC 1918).',
    "172.31.0.1": '"172.31.0.1" is a private address (RFC 1918).',
    "192.168.1.20:8080": '"192.168.1.20" is a private address (RFC 1918).',
    "100.64.0.1": '"100.64.0.1" is an address inside a provider\'s network (RFC 6598).',
    "169.254.1.1": '"169.254.1.1" is a link-local address (RFC 3927).',
    "fe80::1": '"fe80::1" is a link-local address (RFC 4291).',
    "fd00::1": '"fd00::1" is a private address (RFC 4193).',
    "0.0.0.0": '"0.0.0.0" is the address of no machine but one\'s own (RFC 1122).',
    "printer.local": '"printer.local" ends in .local, which is a name inside one local network (RFC 6762).',
    "acme.test": '"acme.test" ends in .test, which is reserved for tests (RFC 6761).',
    "acme.invalid": '"acme.invalid" ends in .invalid, which is reserved for names that lead nowhere (RFC 6761).',
    "acme.internal": '"acme.internal" ends in .internal, which is reserved for private networks (ICANN, 2024).',
    "acme.alt": '"acme.alt" ends in .alt, which is reserved for names outside the DNS (RFC 9476).',
    "a.home.arpa": '"a.home.arpa" ends in .home.arpa, which is reserved for home networks (RFC 8375).',
    "intranet": '"intranet" is a name inside private networks (RFC 6762, appendix G).',
    "nas01": '"nas01" has no dot: at most, it is the name of a machine inside one network.',
}
NOT_LOCAL = (
    *("acme.example", "local.example", "localhost.example", "test.co.uk", "com", "*", ""),
    *("172.32.0.1", "203.0.113.7", "8.8.8.8", "2001:db8::1", "arpa"),
)
MALFORMED = {  # what is wrong, and what was probably meant
    "": ("it is empty", None),
    " \t": ("it is blank", None),
    "http://acme.example": ("it holds a scheme (http://)", "acme.example"),
    "//acme.example": ("it holds a scheme (//)", "acme.example"),
    "HTTPS://www.Acme.example/chat?x#y": (
        "it holds a scheme (HTTPS://); it holds a path (/chat?x#y)",
        "www.acme.example",
    ),
    "acme.example/": ("it holds a path (/)", "acme.example"),
    "acme.example\\chat": ("it holds a path (\\chat)", "acme.example"),
    "acme.example:8443": ("it holds a port (:8443)", "acme.example"),
    "acme.example:": ("it holds a port (:)", "acme.example"),
    "http://[::1]:3000": ("it holds a scheme (http://); it holds a port (:3000)", None),
    "https://me:secret@acme.example": ("it holds a scheme (https://); it holds a user name", "acme.example"),
    "http://": ("it holds a scheme (http://); it holds no host name", None),
    "acme.example shop.example": ("it holds blanks", None),
    " acme.example\n": ("it holds blanks", "acme.example"),
    "acme\u200b.example": ("it holds control or invisible characters", "acme.example"),
    "\x00": ("it holds control or invisible characters; it holds no host name", None),
    "acme..example": ("it has an empty label (two dots in a row, or one in front)", None),
    ".acme.example": ("it has an empty label (two dots in a row, or one in front)", None),
    ".": ("it holds no host name", None),
    "-acme.example": ("a label begins or ends with a hyphen", None),
    "acme-.-shop.example": ("a label begins or ends with a hyphen", None),
    f"{'x' * 64}.example": ("a label has 64 characters, where 63 are the limit", None),
    "\u00e9" * 60 + ".example": ("a label has 66 characters, where 63 are the limit", None),
    "\u00e9" * 70 + ".example": ("a label has 70 characters, where 63 are the limit", None),
    f"{'a.' * 126}example": ("the name has 259 characters, where 253 are the limit", None),
    "x" * 2000: ("it has 2,000 characters, where 253 are the limit", None),
    "acme.example,shop.example": ('it holds characters that no host name has (",")', None),
    "acme.example;": ("it has punctuation around it (;)", "acme.example"),
    '"acme.example",': ('it has punctuation around it (" ",)', "acme.example"),
    "<https://acme.example/>": (
        "it has punctuation around it (< >); it holds a scheme (https://); it holds a path (/)",
        "acme.example",
    ),
    "\u201cacme.example\u201d": ("it has punctuation around it (\u201c \u201d)", "acme.example"),
    "\u00abacme.example\u00bb": ("it has punctuation around it (\u00ab \u00bb)", "acme.example"),
    "\u201eacme.example": ("it has punctuation around it (\u201e)", "acme.example"),
    "\u201c\u201d": (
        (
            'it holds quotation marks or brackets ("\u201c" Left Double Quotation Mark, U+201C, '
            '"\u201d" Right Double Quotation Mark, U+201D)'
        ),
        None,
    ),
    "acme%2eexample": ("it holds percent-encoding (%2e)", "acme.example"),
    "acme%2Fchat.example": (
        'it holds percent-encoding (%2F); it holds characters that no host name has ("/")',
        None,
    ),
    "a%1B%00.example": (
        "it holds percent-encoding (%1B); it holds characters that no host name has (U+001B, U+0000)",
        None,
    ),
    "%zz.example": ('it holds characters that no host name has ("%")', None),
    "acme\u2024example.com": (
        'it holds characters that no host name has ("\u2024" One Dot Leader, U+2024)',
        "acme.example.com",
    ),
    "a!$&'.example": ('it holds characters that no host name has ("!", "$", "&" and 1 more)', None),
    "\u2100.example": ('it holds characters that no host name has ("/")', None),
    "[::1": ('it holds characters that no host name has ("[", ":")', None),
    "[fe80::1%25eth0]": ("it holds a zone (%25eth0)", None),
    "fe80::1%eth0": ("it holds a zone (%eth0)", None),
    "acme\u00ad.example": ("it holds control or invisible characters", "acme.example"),
    "a\u200cb.example": ("it holds control or invisible characters", "ab.example"),
    "a\u200db.example": ("it holds control or invisible characters", "ab.example"),
    "\u0915\u0378\u200d.example": (
        (
            'it holds characters that no host name has ("\u0378" No Name, U+0378); '
            "it holds control or invisible characters"
        ),
        None,
    ),
    "\u0308abc.example": (
        'a label begins with a combining mark ("\u0308" Combining Diaeresis, U+0308)',
        None,
    ),
    "\u05d0a.example": (
        "it mixes letters written to the right and to the left in a way that browsers refuse",
        None,
    ),
    "\u05d0.1.example": (
        "it mixes letters written to the right and to the left in a way that browsers refuse",
        None,
    ),
    "xn--\u00e4.example": ('"xn--\u00e4" begins with xn--, but holds letters beyond a to z', "\u00e4.example"),
    "xn--7ba.example": ('"xn--7ba" stands for "\u00c4", which browsers refuse in Punycode', "\u00e4.example"),
    "xn--zn7c.example": ('"xn--zn7c" stands for "\ufffd", which browsers refuse in Punycode', None),
    "xn--a-.example": ('"xn--a-" is not valid Punycode; a label begins or ends with a hyphen', None),
    "\uff11.2.3.4.5": ("it ends in a number, but is not an IP address", None),
    "1.2.3.4..": ("it has an empty label (two dots in a row, or one in front)", "1.2.3.4."),
    "xn--xn---3ra.example": ('"xn--xn---3ra" stands for "xn--\u00fc", which browsers refuse in Punycode', None),
    "exam\u201cple.com": (
        'it holds quotation marks or brackets ("\u201c" Left Double Quotation Mark, U+201C)',
        None,
    ),
    "*.1.2.3.4": ("it ends in a number, but is not an IP address", None),
    "1.2.3.4.5": ("it ends in a number, but is not an IP address", None),
    "256.1.1.1": ("it ends in a number, but is not an IP address", None),
    "1.1.1.256": ("it ends in a number, but is not an IP address", None),
    "08.1.1.1": ("it ends in a number, but is not an IP address", None),
    "1.a.1": ("it ends in a number, but is not an IP address", None),
    "xn--zzzzzzz99999.example": ('"xn--zzzzzzz99999" is not valid Punycode', None),
    "xn--acme.example": ('"xn--acme" is not valid Punycode', None),
}
WELL_FORMED = (
    *("acme.example", "Acme.Example.", "a-b.example", "a--b.example", "123.example", "_dmarc.acme.example"),
    *("m\u00fcnchen.example", "xn--mnchen-3ya.example", "acme\u3002example", "\uff41cme.example"),
    *("\u2615.example", "\u2764\ufe0f.example", "xn--53h.example", "a\u226eb.example", "stra\u00dfe.example"),
    *("\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.example", "\u0915\u094d\u200d\u0937.example", "\u05d0\u05d1.example"),
    *("\u05d0\U0001e6d0.example", "\u05d0-\u0661.example"),
    *("*", "*.acme.example", "localhost", "127.1", "0x.1", "[::1]", "::1", f"{'x' * 63}.example"),
)
SUFFIXES = {
    "co.uk": "co.uk",
    "CO.UK.": "co.uk",
    "com": "com",
    "github.io": "github.io",
    "*.github.io": "github.io",
    "https://netlify.app/": "netlify.app",
    "\u516c\u53f8.cn": "\u516c\u53f8.cn",
    "xn--55qx5d.cn": "\u516c\u53f8.cn",
    "anything.ck": "anything.ck",
}
NOT_SUFFIXES = (
    *("acme.co.uk", "acme.github.io", "www.ck", "acme.com", "example", "acme.example", "localhost"),
    *("8.8.8.8", "", "*", "a..b"),
)
ADDRESSES = {
    "203.0.113.7": "",
    "203.0.113.7:8443": "",
    "https://8.8.8.8/": "",
    "2001:db8::1": "",
    "[2001:DB8::1]:443": "",
    "::ffff:8.8.8.8": "",
    "134744072": ", which browsers read as 8.8.8.8",
    "010.8.8.8": ", which browsers read as 8.8.8.8",
    "0X8.8.2056": ", which browsers read as 8.8.8.8",
}
NOT_ADDRESSES = (
    *("127.0.0.1", "10.0.0.1", "[::1]", "fe80::1"),  # these are domain-local
    *("203.0.113.7.example", "203-0-113-7.example", "1.2.3.4.5", "256.1.1.1", "acme.example", "", "*"),
)
CYRILLIC_O, CYRILLIC_A = (
    '"\u043e" (Cyrillic Small Letter O, U+043E) for "o"',
    '"\u0430" (Cyrillic Small Letter A, U+0430) for "a"',
)
PUNYCODE = {
    "xn--mnchen-3ya.example": '"xn--mnchen-3ya.example" reads "m\u00fcnchen.example".',
    "M\u00dcNCHEN.example": '"M\u00dcNCHEN.example" reads "m\u00fcnchen.example". '
    "Browsers report it as xn--mnchen-3ya.example.",
    "\uff41cme.example": '"\uff41cme.example" reads "acme.example". Browsers report it as acme.example.',
    "\u2615.example": '"\u2615.example" reads "\u2615.example". It holds "\u2615" Hot Beverage, U+2615, which '
    "browsers accept, but few registries do (it is not in IDNA 2008). Browsers report it as xn--53h.example.",
    "xn--53h.example": '"xn--53h.example" reads "\u2615.example". It holds "\u2615" Hot Beverage, U+2615, which '
    "browsers accept, but few registries do (it is not in IDNA 2008).",
    "x\u0301.example": '"x\u0301.example" reads "x\u0301.example". Browsers report it as xn--x-xbb.example.',
    "mu\u0308nchen.example": '"mu\u0308nchen.example" reads "m\u00fcnchen.example". '
    "Browsers report it as xn--mnchen-3ya.example.",
    "xn--fiqs8s\u3002xn--\uff46iqs8s": '"xn--fiqs8s\u3002xn--\uff46iqs8s" reads "\u4e2d\u56fd.\u4e2d\u56fd". '
    "Browsers report it as xn--fiqs8s.xn--fiqs8s.",
    "acme\u2013shop.example": '"acme\u2013shop.example" reads "acme\u2013shop.example" and holds characters that look '
    'like other ones: "\u2013" (En Dash, U+2013) for "-". It can be taken for "acme-shop.example". '
    "Browsers report it as xn--acmeshop-vn3d.example.",
    "l\u00b7l.example": '"l\u00b7l.example" reads "l\u00b7l.example". Browsers report it as xn--ll-0ea.example.',
    "xn--e1afmkfd.example": '"xn--e1afmkfd.example" reads "\u043f\u0440\u0438\u043c\u0435\u0440.example".',
    "xn--4dkp5a8a5557ccvb.example": '"xn--4dkp5a8a5557ccvb.example" reads '
    '"\u65e5\u672c\u30e9\u30fc\u30e1\u30f3.example".',
    "xn--kr-ro2i723k.example": '"xn--kr-ro2i723k.example" reads "\ud55c\uad6dkr.example".',
    "xn--ggle-55da.example": '"xn--ggle-55da.example" reads "g\u043e\u043egle.example" and mixes Latin and Cyrillic '
    f'letters: {CYRILLIC_O}. It can be taken for "google.example".',
    "p\u0430y.example": f'"p\u0430y.example" reads "p\u0430y.example" and mixes Latin and Cyrillic '
    f'letters: {CYRILLIC_A}. It can be taken for "pay.example". Browsers report it as xn--py-7kc.example.',
    "www.xn--80ak6aa92e.com": '"www.xn--80ak6aa92e.com" reads "www.\u0430\u0440\u0440\u04cf\u0435.com" and holds '
    f'characters that look like other ones: {CYRILLIC_A}, "\u0440" (Cyrillic Small Letter Er, U+0440) for "p", '
    '"\u04cf" (Cyrillic Small Letter Palochka, U+04CF) for "l", "\u0435" (Cyrillic Small Letter Ie, U+0435) for "e". '
    'It can be taken for "www.apple.com".',
    "xn--cme-fsb.example": '"xn--cme-fsb.example" reads "\u0251cme.example" and holds characters that look like '
    'other ones: "\u0251" (Latin Small Letter Alpha, U+0251) for "a". It can be taken for "acme.example".',
    "xn--abde-c7d.example": '"xn--abde-c7d.example" reads "ab\u0446de.example" and mixes Latin and Cyrillic letters.',
}
NOT_PUNYCODE = (
    *("acme.example", "Acme.Example.", "xn.example", "203.0.113.7", "", "*", "acme\u200b.example"),
    *("xn--zzzzzzz99999.example", "xn--acme.example"),  # these are domain-malformed
)


@pytest.mark.parametrize(("domain", "reach"), WILDCARDS.items())
def test_wildcard(domain: str, reach: str) -> None:
    """An asterisk anywhere is an error, since nobody has said what it does."""
    assert said("domain-wildcard", domain) == [f'"{domain}" is a wildcard; taken as one, it stands for {reach}.']


@pytest.mark.parametrize(
    "domain", ["acme.example", "star.example", "localhost", "", "203.0.113.7", "a_b.example", "co.uk"]
)
def test_no_wildcard(domain: str) -> None:
    """Only an asterisk is a wildcard."""
    assert said("domain-wildcard", domain) == []


@pytest.mark.parametrize(("domain", "message"), LOCAL.items())
def test_local(domain: str, message: str) -> None:
    """Reserved names and private addresses are found in every spelling that browsers understand."""
    assert said("domain-local", domain) == [message]


@pytest.mark.parametrize("domain", NOT_LOCAL)
def test_not_local(domain: str) -> None:
    """A reserved word in another place than the end is an ordinary label, and .example is for documentation."""
    assert said("domain-local", domain) == []


@pytest.mark.parametrize(("domain", "problem"), MALFORMED.items())
def test_malformed(domain: str, problem: tuple[str, str | None]) -> None:
    """All that is wrong is said at once, and the name that was meant where there is no doubt about it."""
    (message,) = said("domain-malformed", domain)
    reason, meant = problem
    ending = f" is not a host name: {reason}." + (f' Probably meant: "{meant}".' if meant else "")
    assert message.endswith(ending)
    shown = message.removesuffix(ending)
    assert shown == ("The entry" if not domain.strip("\0 \t") else f'"{shown[1:-1]}"')
    assert "\u200b" not in message


@pytest.mark.parametrize("domain", WELL_FORMED)
def test_well_formed(domain: str) -> None:
    """What browsers can have as a host name is none of this rule's business, if it is wise or not."""
    assert said("domain-malformed", domain) == []


@pytest.mark.parametrize(("domain", "suffix"), SUFFIXES.items())
def test_public_suffix(domain: str, suffix: str) -> None:
    """Registries' suffixes and hosting companies' are the same in this, in Unicode and in Punycode."""
    assert said("domain-public-suffix", domain) == [
        f'"{suffix}" is a public suffix: independent people and companies have their sites under it.'
    ]


@pytest.mark.parametrize("domain", NOT_SUFFIXES)
def test_no_public_suffix(domain: str) -> None:
    """Somebody's own name under a suffix is fine, and so are names that the list does not know."""
    assert said("domain-public-suffix", domain) == []


@pytest.mark.parametrize(("domain", "reading"), ADDRESSES.items())
def test_ip(domain: str, reading: str) -> None:
    """An address is named as browsers read it, where that is not what is written."""
    assert said("domain-ip", domain) == [f'"{domain}" is an IP address{reading}.']


@pytest.mark.parametrize("domain", NOT_ADDRESSES)
def test_no_ip(domain: str) -> None:
    """Private addresses are reported once, as local, and numbers in a name are a name."""
    assert said("domain-ip", domain) == []


@pytest.mark.parametrize(("domain", "message"), PUNYCODE.items())
def test_punycode(domain: str, message: str) -> None:
    """A name is shown as it reads; mixed scripts and lookalikes are named letter by letter."""
    assert said("domain-punycode", domain) == [message]


@pytest.mark.parametrize("domain", NOT_PUNYCODE)
def test_no_punycode(domain: str) -> None:
    """Plain ASCII needs no reading aid."""
    assert said("domain-punycode", domain) == []


def test_an_expected_name_in_punycode_is_fine_unless_it_deceives() -> None:
    """`expect` is where somebody vouches for a name; a lookalike may have got there the same way."""
    expect = ("m\u00fcnchen.example", "p\u0430y.example")
    assert said("domain-punycode", "xn--mnchen-3ya.example", expect=expect) == []
    assert len(said("domain-punycode", "m\u00fcnchen.example", expect=expect)) == 1  # the spelling may not match
    assert len(said("domain-punycode", "xn--py-7kc.example", expect=expect)) == 1


@pytest.mark.parametrize(
    ("domain", "expect", "unexpected"),
    [
        ("acme.example", None, False),
        ("acme.example", ["acme.example"], False),
        ("Acme.example.", ["acme.example"], False),
        ("acme.example", ["ACME.example."], False),
        ("xn--mnchen-3ya.example", ["m\u00fcnchen.example"], False),
        ("*.acme.example", ["*.ACME.example"], False),
        ("http://acme.example/Chat", ["http://acme.example/Chat"], False),
        ("acme.example", [], True),
        ("shop.acme.example", ["acme.example"], True),
        ("acme.example", ["*.acme.example"], True),
        ("acme.example", ["shop.acme.example"], True),
        ("shop.acme.example", ["*.acme.example"], False),
        ("SHOP.eu.acme.example.", ["*.ACME.example"], False),
        ("*.eu.acme.example", ["*.acme.example"], False),
        ("shop.acme.example.org", ["*.acme.example"], True),
        ("https://shop.acme.example", ["*.acme.example"], True),
        ("shop-7.acme.example", ["acme.example", "shop-*.acme.example"], False),
        ("shop-.acme.example/x", ["shop-*"], True),
        ("m\u00fcnchen.acme.example", ["*.acme.example", "other.example"], False),
        ("anything.example", ["*"], False),
        ("http://acme.example", ["acme.example"], True),
        ("http://acme.example/Chat", ["http://acme.example/chat"], True),
        ("*", ["acme.example"], True),
    ],
)
def test_unexpected(domain: str, expect: list[str] | None, unexpected: bool) -> None:
    """A domain is expected if `expect` holds the very name, or a glob that fits; nothing is inferred from parents."""
    assert said("domain-unexpected", domain, expect=expect) == (
        [f'"{domain}" is allowed, but not expected.'] if unexpected else []
    )


def test_a_finding_about_a_domain_names_agent_and_entry() -> None:
    """The entry is as the API gave it; one that is listed twice is found once."""
    workspace = checked(audited("*", "*", id="agt_1"), audited("acme.example", "LOCALHOST", id="agt_2"))
    assert [place[:2] for place in found("domain-wildcard", workspace)] == [("agt_1", "*")]
    assert [place[:2] for place in found("domain-local", workspace)] == [("agt_2", "LOCALHOST")]


def test_text_from_outside_is_cleaned() -> None:
    """Keys and control characters do not get into a message, not even inside of a domain."""
    assert said("domain-malformed", "clf_secret\x1b[31m/x") == [
        (
            '"clf_***" is not a host name: it holds control or invisible characters; it holds a path (/x); '
            'it holds characters that no host name has ("[").'
        )
    ]


@pytest.mark.parametrize(
    ("text", "plain", "ordinary"), [("Shop.Acme.COM.", True, True), ("co.uk", True, False), ("a_b.de", False, False)]
)
def test_most_domains_are_ordinary(text: str, plain: bool, ordinary: bool) -> None:
    """In any case, with a dot at the end or without."""
    domain = parse_domain(text)
    assert (domain.plain, domain.ordinary) == (plain, ordinary)


def test_up_to_a_thousand_characters_are_parsed() -> None:
    """Of more, only the number is told."""
    label, name = parse_domain("a" * 1000).problems
    assert (label, name[:13]) == ("a label has 1000 characters, where 63 are the limit", "the name has ")
    assert parse_domain("a" * 1001).problems == ("it has 1,001 characters, where 253 are the limit",)


def test_long_names_are_cut() -> None:
    """A message stays readable, whatever a tenant has typed in."""
    assert len(said("domain-wildcard", "*" * 5000)[0]) < 200


def test_a_rule_can_be_called_like_the_function_it_was() -> None:
    """So rules are tested without an audit."""
    (domain,) = checked(audited("xn--fsq.example")).agents[0].domains or ()
    assert domain is parse_domain("xn--fsq.example")
    assert domain_punycode.scope == "domain"
    assert domain_punycode.place.startswith(domain_punycode.check.__code__.co_filename)
