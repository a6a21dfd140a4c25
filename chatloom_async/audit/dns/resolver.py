"""Asks a DNS resolver for addresses: few questions at a time, each name once while its answer is fresh.

A resolver that does not answer is not an error here: the answer has the status "unread", and says why. What an answer
means for an allowed domain is decided in `hosts.py`.
"""

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Final, Literal
from weakref import WeakKeyDictionary, WeakValueDictionary

from attrs import define, field, frozen

from ...wire.errors import ConfigurationError, needed_by
from ..rules.subjects import MAX_ALIASES

if TYPE_CHECKING:
    from dns.message import Message
    from dns.name import Name

RecordType = Literal["A", "AAAA"]
Status = Literal["resolved", "no-address", "no-name", "alias-loop", "alias-chain", "unread"]

MIN_TTL: Final = 900.0  # an audit asks for a name once, even if its answer is valid for a minute only
MAX_TTL: Final = 86_400.0
FAILURE_TTL: Final = 300.0  # RFC 9520: five minutes at most
MAX_CACHED: Final = 200_000
MAX_SILENT: Final = 16  # unanswered questions in a row, after which the resolver is not asked for SILENCE seconds
SILENCE: Final = 30.0
SERVER: Final = re.compile(
    r"(?P<bare>[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*)|(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<four>[0-9.]+))(?::(?P<port>[0-9]{1,5}))?",
    re.IGNORECASE,
)
TIMED_OUT: Final = "the resolver did not answer in time"


class InvalidResolverError(ConfigurationError):
    """There is no DNS resolver to ask. Nothing was sent."""

    hint = (
        "Name a resolver by its IP address, with a port if it is not 53: 9.9.9.9, 127.0.0.1:5353 or [2620:fe::fe]:53."
    )


@frozen
class Answer:
    """What the resolver says about one name, in the words of `HostRecord`.

    "no-address": the name exists, but not this type of record. "no-name": it does not exist. `aliases` are the targets
    of the CNAME records on the way, in order; the status is that of the last one. "unread" has a `reason`.
    """

    status: Status
    addresses: tuple[IPv4Address | IPv6Address, ...] = ()
    aliases: tuple[str, ...] = ()
    ttl: float = 0.0
    reason: str = ""


@define(eq=False)
class Resolver:
    """A recursive DNS resolver, and its answers so far.

        async for row in audit(workspaces, client=client, dns=Resolver("9.9.9.9")):
            ...

    `server` is an IP address with an optional port; None: the resolvers that this machine is configured with.
    A try takes at most `timeout` seconds, `tries` are spread over the servers, and `concurrency` questions are open at
    a time. Truncated answers are asked for again over TCP. Answers are kept as long as they are valid (15 minutes to
    a day), failures for 5 minutes. One object serves several audits, one after another.

    Raises InvalidResolverError, and MissingExtraError without the extra [dns].
    """

    server: str | None = None
    timeout: float = field(default=3.0, kw_only=True)
    tries: int = field(default=3, kw_only=True)
    concurrency: int = field(default=32, kw_only=True)
    clock: Callable[[], float] = field(default=time.monotonic, kw_only=True)
    _servers: tuple[tuple[str, int], ...] = field(init=False)
    _cache: dict[tuple[str, RecordType], tuple[float, Answer]] = field(factory=dict, init=False)
    _asking: WeakValueDictionary[tuple[str, RecordType], asyncio.Lock] = field(factory=WeakValueDictionary, init=False)
    _slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = field(
        factory=WeakKeyDictionary, init=False
    )
    _silent: int = field(default=0, init=False)
    _silent_until: float = field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        with needed_by("The check of domains in the DNS", "dns", extra="dns"):
            import dns.asyncquery  # noqa: F401 - found out now, not in the middle of an audit
        self._servers = _configured() if self.server is None else (parse_server(self.server),)

    @property
    def shown(self) -> str:
        """The servers, for people."""
        return ", ".join(address if port == 53 else f"{address} port {port}" for address, port in self._servers)

    async def ask(self, name: str, record: RecordType = "A") -> Answer:
        """The answer for a name in ASCII. Only a cancellation is raised. Equal concurrent questions are sent once."""
        key = (name, record)
        lock = self._asking.setdefault(key, asyncio.Lock())
        async with lock:
            if (cached := self._fresh(key)) is not None:
                return cached
            slots = self._slots.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(self.concurrency))
            async with slots:
                answer = await self._ask(name, record)
            self._keep(key, answer)
            return answer

    def _fresh(self, key: tuple[str, RecordType]) -> Answer | None:
        expires, answer = self._cache.get(key, (0.0, None))
        return answer if self.clock() < expires else None

    def _keep(self, key: tuple[str, RecordType], answer: Answer) -> None:
        self._cache.pop(key, None)
        while len(self._cache) >= MAX_CACHED:
            del self._cache[next(iter(self._cache))]  # the oldest
        ttl = FAILURE_TTL if answer.status == "unread" else min(max(answer.ttl, MIN_TTL), MAX_TTL)
        self._cache[key] = self.clock() + ttl, answer

    async def _ask(self, name: str, record: RecordType) -> Answer:
        if self.clock() < self._silent_until:
            return Answer("unread", reason=f"the resolver did not answer {MAX_SILENT} questions in a row")
        answer = Answer("unread", reason="the name cannot be asked for")
        for attempt in range(self.tries):
            answer = await _exchange(name, record, self._servers[attempt % len(self._servers)], self.timeout)
            if answer.status != "unread":
                break
        self._note_silence(answer)
        return answer

    def _note_silence(self, answer: Answer) -> None:
        self._silent = self._silent + 1 if answer.reason == TIMED_OUT else 0
        if self._silent >= MAX_SILENT:
            self._silent, self._silent_until = 0, self.clock() + SILENCE


async def _exchange(name: str, record: RecordType, server: tuple[str, int], timeout: float) -> Answer:  # noqa: ASYNC109
    """One question to one server, over UDP, and over TCP if the answer was cut off."""
    import dns.asyncquery
    import dns.exception
    import dns.message

    address, port = server
    try:
        query = dns.message.make_query(name, record)
        async with asyncio.timeout(timeout):
            response, _ = await dns.asyncquery.udp_with_fallback(
                query, address, port=port, ignore_unexpected=True, ignore_errors=True
            )
    except TimeoutError:
        return Answer("unread", reason=TIMED_OUT)
    except (dns.exception.DNSException, OSError, EOFError, UnicodeError) as problem:
        return Answer("unread", reason=f"the question failed: {type(problem).__name__}")
    return read_response(response)


def read_response(response: "Message") -> Answer:
    """What a response says. Follows the aliases that it holds."""
    import dns.flags
    import dns.rcode
    import dns.rdatatype

    code = response.rcode()
    if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return Answer("unread", reason=f"the resolver answered {dns.rcode.to_text(code)}")
    if response.flags & dns.flags.TC:
        return Answer("unread", reason="the resolver cut off its answer, over TCP too")
    aliases: list[Name] = []
    question = response.question[0]
    ttl, name = MAX_TTL, question.name
    while alias := response.get_rrset(response.answer, name, question.rdclass, dns.rdatatype.CNAME):
        ttl, name = min(ttl, alias.ttl), next(record.target for record in alias)
        if name in (question.name, *aliases):
            return Answer("alias-loop", aliases=_texts([*aliases, name]), ttl=ttl)
        aliases.append(name)
        if len(aliases) > MAX_ALIASES:
            return Answer("alias-chain", aliases=_texts(aliases), ttl=ttl)
    records = response.get_rrset(response.answer, name, question.rdclass, question.rdtype)
    if records:
        addresses = tuple(ip_address(record.address) for record in records)
        return Answer("resolved", addresses, _texts(aliases), min(ttl, records.ttl))
    negative = [records.ttl for records in response.authority if records.rdtype == dns.rdatatype.SOA]
    status: Status = "no-name" if code == dns.rcode.NXDOMAIN else "no-address"
    return Answer(status, aliases=_texts(aliases), ttl=min(ttl, *negative) if negative else 0.0)  # RFC 2308, section 5


def _texts(names: "list[Name]") -> tuple[str, ...]:
    return tuple(name.to_text(omit_final_dot=True).lower() for name in names)


def parse_server(text: str) -> tuple[str, int]:
    """Address and port of "9.9.9.9", "9.9.9.9:5353", "2620:fe::fe" or "[2620:fe::fe]:53".

    Raises InvalidResolverError.
    """
    with suppress(ValueError):
        if match := SERVER.fullmatch(text.strip()):
            port = int(match["port"] or 53)
            address = ip_address(match["bare"] or match["six"] or match["four"])
            if 1 <= port <= 65_535:
                return str(address), port
    raise InvalidResolverError(f"{text!r} is not the address of a DNS resolver")


def _configured() -> tuple[tuple[str, int], ...]:
    """The resolvers of this machine."""
    import dns.resolver

    servers: list[tuple[str, int]] = []
    with suppress(dns.resolver.NoResolverConfiguration):
        machine = dns.resolver.Resolver()
        servers += ((address, machine.port) for address in machine.nameservers if isinstance(address, str))
    if not servers:
        raise InvalidResolverError("This machine has no DNS resolver configured")
    return tuple(servers)
