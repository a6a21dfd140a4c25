"""One question to the DNS: what its answer means, how often it is asked, and how it fails."""

import asyncio
import socket
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path

import dns.message
import dns.rrset
import pytest
from attrs import define, evolve

from chatloom_async.audit.dns import InvalidResolverError, Resolver
from chatloom_async.audit.dns.resolver import (
    FAILURE_TTL,
    MAX_SILENT,
    MIN_TTL,
    SILENCE,
    TIMED_OUT,
    Answer,
    parse_server,
    read_response,
)
from chatloom_async.audit.rules.subjects import MAX_ALIASES
from tests.audit.dns.server import GARBAGE, REFUSED, SERVFAIL, SILENT, TRUNCATED, TRUNCATED_TCP, serving

ONE, SIX = ip_address("192.0.2.1"), ip_address("2001:db8::1")
ZONE = {
    "acme.com": ["A 192.0.2.1", "AAAA 2001:db8::1"],
    "empty.com": [],
    "www.acme.com": ["CNAME a.acme.com"],
    "a.acme.com": ["CNAME acme.com"],
    "gone.acme.com": ["CNAME nothing.com"],
    "loop.com": ["CNAME b.loop.com"],
    "b.loop.com": ["CNAME loop.com"],
    "*.wild.com": ["A 192.0.2.1"],
    "large.com": [TRUNCATED, "A 192.0.2.1"],
    "too-large.com": [TRUNCATED_TCP, "A 192.0.2.1"],
    "broken.com": [SERVFAIL],
    "lame.com": [REFUSED],
    "silent.com": [SILENT],
    "garbage.com": [GARBAGE],
    "xn--mnchen-3ya.com": ["A 192.0.2.1"],
    "_under.acme.com": ["A 192.0.2.1"],
}


@define
class Hand:
    """A clock that stands still."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("acme.com", Answer("resolved", (ONE,))),
        ("ACME.com", Answer("resolved", (ONE,))),
        ("www.acme.com", Answer("resolved", (ONE,), ("a.acme.com", "acme.com"))),
        ("empty.com", Answer("no-address")),
        ("com", Answer("no-address")),
        ("nothing.com", Answer("no-name")),
        ("gone.acme.com", Answer("no-name", (), ("nothing.com",))),
        ("loop.com", Answer("alias-loop", (), ("b.loop.com", "loop.com"))),
        ("any.thing.wild.com", Answer("resolved", (ONE,))),
        ("large.com", Answer("resolved", (ONE,))),
        ("xn--mnchen-3ya.com", Answer("resolved", (ONE,))),
        ("_under.acme.com", Answer("resolved", (ONE,))),
        ("too-large.com", Answer("unread", reason="the resolver cut off its answer, over TCP too")),
        ("broken.com", Answer("unread", reason="the resolver answered SERVFAIL")),
        ("lame.com", Answer("unread", reason="the resolver answered REFUSED")),
        ("silent.com", Answer("unread", reason=TIMED_OUT)),
        ("garbage.com", Answer("unread", reason=TIMED_OUT)),
        ("a..com", Answer("unread", reason="the question failed: EmptyLabel")),
    ],
)
async def test_an_answer_is_what_the_server_says(name: str, answer: Answer) -> None:
    """Cut-off answers are asked for again over TCP; what is no answer is "unread", never an error."""
    async with serving(ZONE) as server:
        resolver = Resolver(server.address, timeout=0.1, tries=2)
        assert evolve(await resolver.ask(name), ttl=0.0) == answer
        assert resolver.shown == server.address.replace(":", " port ")


def test_of_thousands_of_aliases_a_few_are_read() -> None:
    """One answer of 64 KB does not hold up the event loop."""
    aliases = [f"n{place}.com" for place in range(2_500)]
    response = dns.message.make_response(dns.message.make_query("n0.com", "A"))
    response.answer = [dns.rrset.from_text(f"{a}.", 60, "IN", "CNAME", f"{b}.") for a, b in pairwise(aliases)]
    answer = read_response(dns.message.from_wire(response.to_wire()))
    assert answer == Answer("alias-chain", (), tuple(aliases[1 : MAX_ALIASES + 2]), 60)


async def test_another_type_is_another_question() -> None:
    """IPv6 addresses are asked for apart."""
    async with serving(ZONE) as server:
        resolver = Resolver(server.address)
        assert (await resolver.ask("acme.com", "AAAA")).addresses == (SIX,)
        assert (await resolver.ask("large.com", "AAAA")).status == "no-address"


async def test_a_question_is_asked_once() -> None:
    """Also when fifty workspaces ask at the same time, and whatever a short TTL says."""
    async with serving(ZONE) as server:
        resolver = Resolver(server.address, concurrency=2)
        answers = await asyncio.gather(*(resolver.ask(name) for name in ("acme.com", "nothing.com", "com") * 50))
        assert {each.status for each in answers} == {"resolved", "no-name", "no-address"}
        assert server.asked == {"A acme.com": 1, "A nothing.com": 1, "A com": 1}


@pytest.mark.parametrize(
    ("name", "ttl", "kept"),
    [
        ("acme.com", 60, MIN_TTL),
        ("acme.com", 5000, 5000),
        ("nothing.com", 2000, 2000),
        ("empty.com", 5000, MIN_TTL),
        ("broken.com", 5000, FAILURE_TTL),
    ],
)
async def test_an_answer_is_kept_as_long_as_it_is_valid(name: str, ttl: int, kept: float) -> None:
    """A quarter of an hour at least, so that one audit asks once; a failure for five minutes.

    Without an SOA record, nothing says how long a name has no address: that counts for the least time.
    """
    clock = Hand()
    async with serving(ZONE, ttl=ttl) as server:
        resolver = Resolver(server.address, tries=1, clock=clock)
        for moment, asked in ((0.0, 1), (kept - 1, 1), (kept, 2)):
            clock.now = 1000.0 + moment
            await resolver.ask(name)
            assert server.asked[f"A {name}"] == asked


async def test_the_oldest_answers_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million domains do not fill the memory."""
    monkeypatch.setattr("chatloom_async.audit.dns.resolver.MAX_CACHED", 2)
    async with serving(ZONE) as server:
        resolver = Resolver(server.address)
        for name in ("acme.com", "com", "empty.com", "empty.com", "acme.com"):
            await resolver.ask(name)
        assert server.asked == {"A acme.com": 2, "A com": 1, "A empty.com": 1}


async def test_a_failing_server_is_asked_again() -> None:
    """As often as `tries` says, and the next server each time."""
    async with serving({"acme.com": [SERVFAIL]}) as broken, serving(ZONE) as good:
        resolver = Resolver(broken.address, tries=3)
        assert (await resolver.ask("acme.com")).status == "unread"
        assert broken.asked["A acme.com"] == 3
        resolver = Resolver(broken.address)
        resolver._servers += Resolver(good.address)._servers
        assert (await resolver.ask("acme.com")).addresses == (ONE,)
        assert (broken.asked["A acme.com"], good.asked["A acme.com"]) == (4, 1)


async def test_a_silent_server_is_left_alone_for_a_while() -> None:
    """Thousands of names do not each wait for their time-outs; later, it gets another chance."""
    clock = Hand()
    zone = {f"{number}.com": [SILENT] for number in range(MAX_SILENT)} | {"acme.com": ["A 192.0.2.1"]}
    async with serving(zone) as server:
        resolver = Resolver(server.address, timeout=0.05, tries=1, clock=clock)
        answers = await asyncio.gather(*(resolver.ask(f"{number}.com") for number in range(MAX_SILENT)))
        assert {each.reason for each in answers} == {TIMED_OUT}
        early = await resolver.ask("acme.com")
        assert early == Answer("unread", reason=f"the resolver did not answer {MAX_SILENT} questions in a row")
        assert server.asked["A acme.com"] == 0
        clock.now += FAILURE_TTL + SILENCE
        assert (await resolver.ask("acme.com")).status == "resolved"


async def test_who_gives_up_takes_nobody_along() -> None:
    """A question whose first asker is cancelled is asked for the next one."""
    async with serving({"silent.com": [SILENT], "com": []}) as server:
        resolver = Resolver(server.address, timeout=0.3, tries=1)
        first, second = (asyncio.create_task(resolver.ask("silent.com")) for _ in range(2))
        await asyncio.sleep(0.05)
        first.cancel()
        assert (await second).reason == TIMED_OUT
        assert first.cancelled()
        assert server.asked["A silent.com"] == 2


async def test_a_port_where_nobody_listens_is_unread() -> None:
    """Whether the machine says so or stays silent, nothing is raised."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert (await Resolver(f"127.0.0.1:{port}", timeout=0.1, tries=1).ask("acme.com")).status == "unread"


def test_one_resolver_serves_two_event_loops() -> None:
    """One after another, with what it knows."""

    async def ask(resolver: Resolver | None) -> Resolver:
        async with serving(ZONE) as server:
            resolver = resolver or Resolver(server.address, concurrency=1)
            names = ("acme.com", "com", "empty.com") if server.asked == {} else ()
            await asyncio.gather(*map(resolver.ask, names))
            return resolver

    resolver = asyncio.run(ask(None))
    assert asyncio.run(ask(resolver)) is resolver


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("9.9.9.9", ("9.9.9.9", 53)),
        (" 127.0.0.1:5353 ", ("127.0.0.1", 5353)),
        ("2620:fe::fe", ("2620:fe::fe", 53)),
        ("[2620:fe::fe]", ("2620:fe::fe", 53)),
        ("[::1]:5353", ("::1", 5353)),
    ],
)
def test_a_resolver_is_an_address_with_an_optional_port(text: str, server: tuple[str, int]) -> None:
    """As IP addresses with ports are written."""
    assert parse_server(text) == server


@pytest.mark.parametrize(
    "text", ["", "dns.quad9.net", "9.9.9.9:", "9.9.9.9:0", "9.9.9.9:x", "1.1.1.1:99999", "[::1]x", "[::1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """With what to write instead; a name would have to be looked up itself."""
    with pytest.raises(InvalidResolverError) as caught:
        Resolver(text)
    assert repr(text) in str(caught.value)
    assert "9.9.9.9" in caught.value.hint


def test_the_resolvers_of_the_machine_are_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those that its configuration names; if there are none, that is said before anything is sent."""
    import dns.resolver

    configuration = tmp_path / "resolv.conf"
    real = dns.resolver.Resolver
    monkeypatch.setattr(dns.resolver, "Resolver", lambda: real(str(configuration)))
    configuration.write_text("nameserver 192.0.2.53\nnameserver 2001:db8::53\n")
    assert Resolver().shown == "192.0.2.53, 2001:db8::53"
    configuration.write_text("# nothing\n")
    with pytest.raises(InvalidResolverError, match="no DNS resolver"):
        Resolver()
