"""What the DNS says about the hosts of a workspace, and what the rules make of it, against a real server."""

from ipaddress import ip_address

import pytest
from attrs import evolve

from chatloom_async.audit import Row
from chatloom_async.audit.dns import Resolver, read_hosts
from chatloom_async.audit.dns.hosts import CANARY
from chatloom_async.audit.dns.resolver import TIMED_OUT
from chatloom_async.audit.rules import Judge
from chatloom_async.audit.rules.subjects import MAX_ALIASES, HostRecord
from chatloom_async.audit.values import DnsReading
from tests.audit.dns.server import SERVFAIL, SILENT, Zone, serving
from tests.audit.rules.cases import NOW, audited, checked, found

ONE, TEN, SIX, LOCAL_SIX = (ip_address(text) for text in ("192.0.2.1", "10.0.0.1", "2001:db8::1", "fd00::1"))
ZONE: Zone = {
    "acme.com": ["A 192.0.2.1"],
    "www.acme.com": ["CNAME acme.com"],
    "six.acme.com": ["AAAA 2001:db8::1"],
    "empty.acme.com": [],
    "to-empty.acme.com": ["CNAME empty.acme.com"],
    "inside.acme.com": ["A 10.0.0.1"],
    "inside-six.acme.com": ["A 10.0.0.1", "AAAA fd00::1"],
    "both.acme.com": ["A 10.0.0.1", "AAAA 2001:db8::1"],
    "mapped.acme.com": ["AAAA ::ffff:10.0.0.1"],
    "old-shop.acme.com": ["CNAME acme-shop.netlify.app"],
    "old-cdn.acme.com": ["CNAME a.b.gone-cdn.com"],
    "old-help.acme.com": ["CNAME acme.zendesk.com"],
    "typo.acme.com": ["CNAME acme.comm"],
    "odd.acme.com": ["CNAME a-.-b"],
    "suffix.acme.com": ["CNAME co.uk"],
    "loop.acme.com": ["CNAME back.acme.com"],
    "back.acme.com": ["CNAME loop.acme.com"],
    "m\u00fcnchen.de".encode("idna").decode(): ["A 192.0.2.1"],
    "*.wild.com": ["A 192.0.2.1"],
    "zendesk.com": [],
    "silent.com": [SILENT],
    "deep.silent.com": ["CNAME not.there.silent.com"],
    "not.there.silent.com": ["CNAME none.silent.com"],
    "broken.com": [SERVFAIL],
    "six-broken.com": ["A 10.0.0.1"],
    "netlify.app": [],
    "wrong.org.uk": [],
}
FREE = "anybody who registers it can show this agent."
CASES = {
    "acme.com": (HostRecord("acme.com", "resolved", (ONE,)), None),
    "www.acme.com": (HostRecord("www.acme.com", "resolved", (ONE,), ("acme.com",)), None),
    "six.acme.com": (HostRecord("six.acme.com", "resolved", (SIX,)), None),
    "x.wild.com": (HostRecord("x.wild.com", "resolved", (ONE,)), None),
    "*.acme.com": (HostRecord("acme.com", "resolved", (ONE,)), None),
    "*.empty.acme.com": (HostRecord("empty.acme.com", "no-address"), None),
    "both.acme.com": (HostRecord("both.acme.com", "resolved", (TEN, SIX)), None),
    "M\u00fcnchen.de": (HostRecord("xn--mnchen-3ya.de", "resolved", (ONE,)), None),
    "https://acme.com/chat": (HostRecord("acme.com", "resolved", (ONE,)), None),
    "nobody.com": (
        HostRecord("nobody.com", "unregistered", free="nobody.com"),
        ("domain-unregistered", f'"nobody.com" does not exist in the DNS: {FREE}'),
    ),
    "*.nobody.com": (
        HostRecord("nobody.com", "unregistered", free="nobody.com"),
        ("domain-unregistered", f'"nobody.com" does not exist in the DNS: {FREE}'),
    ),
    "https://nobody.com": (
        HostRecord("nobody.com", "unregistered", free="nobody.com"),
        ("domain-unregistered", f'"nobody.com" does not exist in the DNS: {FREE}'),
    ),
    "www.n\u00f6body.com": (
        HostRecord("www.xn--nbody-jua.com", "unregistered", free="xn--nbody-jua.com"),
        (
            "domain-unregistered",
            f'"www.n\u00f6body.com" is under "n\u00f6body.com", which does not exist in the DNS: {FREE}',
        ),
    ),
    "acme.netlify.app": (
        HostRecord("acme.netlify.app", "unregistered", free="acme.netlify.app"),
        ("domain-unregistered", f'"acme.netlify.app" does not exist in the DNS: {FREE}'),
    ),
    "old-shop.acme.com": (
        HostRecord("old-shop.acme.com", "dangling", (), ("acme-shop.netlify.app",), "acme-shop.netlify.app"),
        (
            "domain-dangling",
            (
                '"old-shop.acme.com" is an alias of "acme-shop.netlify.app", which does not exist in the DNS: anybody '
                'who takes "acme-shop.netlify.app" can show this agent under "old-shop.acme.com".'
            ),
        ),
    ),
    "old-cdn.acme.com": (
        HostRecord("old-cdn.acme.com", "dangling", (), ("a.b.gone-cdn.com",), "gone-cdn.com"),
        (
            "domain-dangling",
            (
                '"old-cdn.acme.com" is an alias of "a.b.gone-cdn.com", and "gone-cdn.com" does not exist in the DNS: '
                'anybody who takes "gone-cdn.com" can show this agent under "old-cdn.acme.com".'
            ),
        ),
    ),
    "old-help.acme.com": (
        HostRecord("old-help.acme.com", "no-name", (), ("acme.zendesk.com",)),
        (
            "domain-unresolved",
            (
                '"old-help.acme.com" is an alias of "acme.zendesk.com", which does not exist in the DNS: no page can '
                "have this host name."
            ),
        ),
    ),
    "typo.acme.com": (
        HostRecord("typo.acme.com", "no-name", (), ("acme.comm",)),
        (
            "domain-unresolved",
            (
                '"typo.acme.com" is an alias of "acme.comm", which does not exist in the DNS: no page can have this '
                "host name."
            ),
        ),
    ),
    "odd.acme.com": (
        HostRecord("odd.acme.com", "no-name", (), ("a-.-b",)),
        (
            "domain-unresolved",
            '"odd.acme.com" is an alias of "a-.-b", which does not exist in the DNS: no page can have this host name.',
        ),
    ),
    "suffix.acme.com": (
        HostRecord("suffix.acme.com", "no-name", (), ("co.uk",)),
        (
            "domain-unresolved",
            (
                '"suffix.acme.com" is an alias of "co.uk", which does not exist in the DNS: no page can have this '
                "host name."
            ),
        ),
    ),
    "not-here.acme.com": (
        HostRecord("not-here.acme.com", "no-name"),
        ("domain-unresolved", '"not-here.acme.com" does not exist in the DNS: no page can have this host name.'),
    ),
    "acme.comm": (
        HostRecord("acme.comm", "no-name"),
        ("domain-unresolved", '"acme.comm" does not exist in the DNS: no page can have this host name.'),
    ),
    "empty.acme.com": (
        HostRecord("empty.acme.com", "no-address"),
        (
            "domain-unresolved",
            '"empty.acme.com" exists in the DNS, but has no address: no page can have this host name.',
        ),
    ),
    "to-empty.acme.com": (
        HostRecord("to-empty.acme.com", "no-address", (), ("empty.acme.com",)),
        (
            "domain-unresolved",
            '"to-empty.acme.com" exists in the DNS, but has no address: no page can have this host name.',
        ),
    ),
    "loop.acme.com": (
        HostRecord("loop.acme.com", "alias-loop", (), ("back.acme.com", "loop.acme.com")),
        ("domain-unresolved", 'The aliases of "loop.acme.com" lead in a circle: no page can have this host name.'),
    ),
    "inside.acme.com": (
        HostRecord("inside.acme.com", "resolved", (TEN,)),
        ("domain-private-address", '"inside.acme.com" has private addresses only: 10.0.0.1.'),
    ),
    "inside-six.acme.com": (
        HostRecord("inside-six.acme.com", "resolved", (TEN, LOCAL_SIX)),
        ("domain-private-address", '"inside-six.acme.com" has private addresses only: 10.0.0.1, fd00::1.'),
    ),
    "mapped.acme.com": (
        HostRecord("mapped.acme.com", "resolved", (ip_address("::ffff:10.0.0.1"),)),
        ("domain-private-address", '"mapped.acme.com" has private addresses only: 10.0.0.1.'),
    ),
    "silent.com": (HostRecord("silent.com", "unread", reason=TIMED_OUT), None),
    "www.silent.com": (HostRecord("www.silent.com", "unread", reason=TIMED_OUT), None),
    "deep.silent.com": (
        HostRecord("deep.silent.com", "unread", (), ("not.there.silent.com", "none.silent.com"), reason=TIMED_OUT),
        None,
    ),
    "broken.com": (HostRecord("broken.com", "unread", reason="the resolver answered SERVFAIL"), None),
    "nobody.org": (
        HostRecord("nobody.org", "unread", reason="the resolver does not know the top-level domain .org"),
        None,
    ),
}
NOT_ASKED = (
    "co.uk",
    "*.github.io",
    "localhost",
    "intranet",
    "192.0.2.7",
    "[::1]",
    "printer.local",
    "*",
    "shop-*.acme.com",
    "",
    "a b",
    "\u201c",
)
DNS_RULES = [each for each in Judge().rules if each.needs == "dns"]


@pytest.mark.parametrize("follows", [True, False])
@pytest.mark.parametrize(("domain", "case"), CASES.items())
async def test_a_host_is_judged_by_what_the_dns_says(
    domain: str, case: tuple[HostRecord, tuple[str, str] | None], follows: bool
) -> None:
    """The same with a resolver that leaves aliases to the one who asks. No answer is no finding, but is noted."""
    record, finding = case
    row = Row("acme", "ok", (audited(domain),))
    async with serving(ZONE, follows=follows) as server:
        timeout = 1.0 if "silent" in domain else 10.0  # long enough for the answers that do come on a busy machine
        records = await read_hosts(Resolver(server.address, timeout=timeout, tries=1), row)
    assert list(records.values()) == [record]
    judged = Judge(DNS_RULES, clock=lambda: NOW).judge(row, checked().workspace, dns=records)
    assert [(each.rule, each.message) for each in judged.findings] == ([finding] if finding else [])
    assert judged.dns == DnsReading(1, ((record.host, record.reason),) if record.state == "unread" else ())


@pytest.mark.parametrize("domain", NOT_ASKED)
async def test_what_is_no_public_name_is_not_asked_for(domain: str) -> None:
    """Names of a local network are nobody else's business."""
    row = Row("acme", "ok", (audited(domain),))
    async with serving(ZONE) as server:
        assert await read_hosts(Resolver(server.address), row) == {}
        assert not server.asked
    assert Judge(DNS_RULES).judge(row, checked().workspace, dns={}).dns == DnsReading(0)


async def test_without_the_option_nothing_is_found() -> None:
    """The rules are there, and have nothing to look at."""
    row = Row("acme", "ok", (audited("nobody.com"),))
    judged = Judge(DNS_RULES).judge(row, checked().workspace)
    assert (judged.findings, judged.dns) == ((), None)


async def test_questions_are_few() -> None:
    """One for a name that has an address, whatever its spellings; one more for what is above a name that has none."""
    domains = ("acme.com", "ACME.com.", "*.acme.com", "https://acme.com", "a.nobody.com", "b.nobody.com")
    async with serving(ZONE) as server:
        resolver = Resolver(server.address)
        for row in (Row("acme", "ok", (audited(*domains),)), Row("other", "ok", (audited("acme.com"),))):
            await read_hosts(resolver, row)
        names = ("acme.com", "a.nobody.com", "b.nobody.com", "nobody.com", "com", CANARY)
        assert server.asked == {f"A {name}": 1 for name in names}


async def test_a_resolver_that_lies_is_not_believed() -> None:
    """One that has an address for every name would hide every domain that is free."""
    async with serving({"*.com": ["A 192.0.2.1"], "*.invalid": ["A 192.0.2.1"]}) as server:
        records = await read_hosts(Resolver(server.address), Row("acme", "ok", (audited("nobody.com"),)))
    reason = "the resolver has an address for every name, also for one that cannot exist"
    assert records == {"nobody.com": HostRecord("nobody.com", "unread", reason=reason)}


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("x.nobody.com", {"com": [SERVFAIL]}),
        ("x.nobody.com", {"nobody.com": [SERVFAIL]}),
        ("x.nobody.com", {"com": [SILENT]}),
    ],
)
async def test_half_an_answer_is_none(name: str, zone: Zone) -> None:
    """That a domain is free is said only if all that it depends on was read."""
    async with serving(zone) as server:
        resolver = Resolver(server.address, timeout=1.0, tries=1)
        (record,) = (await read_hosts(resolver, Row("acme", "ok", (audited(name),)))).values()
    assert (record.state, record.free) == ("unread", "")


async def test_the_second_type_counts_too() -> None:
    """A name without IPv4 address is not without an address while nobody knows about IPv6."""
    async with serving({"acme.com": []}) as server:
        resolver = Resolver(server.address, timeout=1.0, tries=1)
        await resolver.ask("acme.com", "A")
        server.zone = {"acme.com": [SERVFAIL]}
        (record,) = (await read_hosts(resolver, Row("acme", "ok", (audited("acme.com"),)))).values()
    assert record == HostRecord("acme.com", "unread", reason="the resolver answered SERVFAIL")


@pytest.mark.parametrize("follows", [True, False])
@pytest.mark.parametrize(("number", "resolved"), [(MAX_ALIASES, True), (MAX_ALIASES + 1, False)])
async def test_a_long_chain_of_aliases_is_not_followed_to_its_end(number: int, resolved: bool, follows: bool) -> None:
    """It is no circle. Resolvers give up earlier."""
    chain = {f"n{place}.com": [f"CNAME n{place + 1}.com"] for place in range(number)}
    row = Row("acme", "ok", (audited("n0.com"),))
    async with serving({**chain, f"n{number}.com": ["A 192.0.2.1"]}, follows=follows) as server:
        records = await read_hosts(Resolver(server.address), row)
    aliases = tuple(f"n{place}.com" for place in range(1, number + 1))
    assert (records["n0.com"].state, records["n0.com"].aliases) == ("resolved" if resolved else "alias-chain", aliases)
    judged = Judge(DNS_RULES, clock=lambda: NOW).judge(row, checked().workspace, dns=records)
    text = '"n0.com" has more than 16 aliases: many resolvers stop before they reach an address.'
    assert [each.message for each in judged.findings] == ([] if resolved else [text])


def test_many_private_addresses_are_counted() -> None:
    """A message stays readable."""
    addresses = tuple(ip_address(f"10.0.0.{number}") for number in range(1, 6))
    workspace = evolve(checked(audited("a.com")), dns={"a.com": HostRecord("a.com", "resolved", addresses)})
    assert found("domain-private-address", workspace) == [
        ("agt_1", "a.com", '"a.com" has private addresses only: 10.0.0.1, 10.0.0.2, 10.0.0.3 and 2 more.')
    ]
