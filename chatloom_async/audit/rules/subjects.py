"""The subjects of rules: a domain, an agent, a workspace, or things that several workspaces share. Values only."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from attrs import Factory, evolve, field, frozen

from ...endpoints.agents import Agent
from ..values import AuditedAgent, DomainMatching, Row, Workspace
from .hostname import Domain, local_reason, parse_domain


@frozen
class Evidence:
    """Details of the answers that a row does not keep. None, or empty: unknown.

    `count` is the list's own number of agents, `unknown_fields` the JSON paths that the documentation does not
    mention, `fingerprint` that of the key (equal for equal keys, within one process).
    """

    count: int | None = None
    unknown_fields: tuple[str, ...] = ()
    fingerprint: str | None = None


@frozen
class OtherWorkspaces:
    """Other workspaces of the same audit: the first few names, in their order, and how many there are."""

    names: tuple[str, ...] = ()
    count: int = 0

    def __str__(self) -> str:
        more = self.count - len(self.names)
        return ", ".join(self.names) + (f" and {more} more" if more else "")


NOTHING = "(?!)"  # a pattern that matches no text
MAX_ALIASES = 16  # of one name; BIND and Unbound follow 11
HostState = Literal[
    "resolved", "no-address", "no-name", "alias-loop", "alias-chain", "unregistered", "dangling", "unread"
]


@frozen
class HostRecord:
    """What the DNS says about one host (ASCII).

    "resolved": it has `addresses`. "no-address": it exists without one. "no-name": it does not exist, but its
    registrable domain does, or cannot be registered. "alias-loop": its CNAME records lead in a circle.
    "alias-chain": there are more than MAX_ALIASES of them, and they were not followed to their end.
    "unregistered": its registrable domain does not exist. "dangling": the target of its CNAME records is under a
    registrable domain that does not exist. For the last two, `free` is that domain. "unread": nothing is known, for
    this `reason`. `aliases` are the targets of its CNAME records, in order.
    """

    host: str
    state: HostState
    addresses: tuple[IPv4Address | IPv6Address, ...] = ()
    aliases: tuple[str, ...] = ()
    free: str = ""
    reason: str = ""

    @property
    def private(self) -> bool:
        """Whether it resolves to private addresses only."""
        return self.state == "resolved" and all(map(is_private, self.addresses))


def is_private(address: IPv4Address | IPv6Address) -> bool:
    """Whether it can be reached only inside one machine or network."""
    return bool(local_reason("", plain_address(address)))


def plain_address(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address stands for (RFC 4291, section 2.5.5.2), or the address itself."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


@frozen
class CheckedWorkspace:
    """A workspace with what was read of it, at the moment `now` (aware).

    `dns` is what the DNS says about its hosts, by `Domain.sent`; it is empty if the DNS was not asked.
    `matching` is what is known about the meaning of an allowed domain.
    """

    workspace: Workspace
    row: Row
    now: datetime
    evidence: Evidence = Evidence()
    dns: Mapping[str, HostRecord] = Factory(dict)
    matching: DomainMatching = "unknown"

    @cached_property
    def agents(self) -> tuple["CheckedAgent", ...]:
        """In the order of the list. Domains that could not be read are None."""
        equal = evolve(self)  # without a reference to the agents: a cycle would leave all of them to the collector
        return tuple([CheckedAgent(audited, equal) for audited in self.row.agents])

    @cached_property
    def expected(self) -> tuple[Domain, ...] | None:
        """The domains that it should allow, without repetitions; None if nothing is expected."""
        expect = self.workspace.expect
        return None if expect is None else tuple({domain.key: domain for domain in map(parse_domain, expect)}.values())

    @cached_property
    def expected_keys(self) -> frozenset[str]:
        return frozenset(domain.key for domain in self.expected or ())

    @cached_property
    def _expected_pattern(self) -> re.Pattern[str]:
        return glob_pattern(key for key in self.expected_keys if "*" in key)

    def expects(self, domain: Domain) -> bool:
        """Whether `expect` holds the domain, or a glob such as `*.acme.example` that fits it.

        If a domain stands for its subdomains, it holds them too. Entries with problems must be expected as they are.
        """
        if domain.key in self.expected_keys:
            return True
        if domain.problems:
            return False
        above = parents(domain) if self.matching == "subdomains" else []
        return self._expected_pattern.fullmatch(domain.key) is not None or not self.expected_keys.isdisjoint(above)


def parents(domain: Domain) -> list[str]:
    """The keys of the domains that have this one, or all that its wildcard stands for, as a subdomain."""
    labels = [] if domain.problems or domain.address else domain.host.split(".")
    return [".".join(labels[place:]) for place in range(not domain.wildcard, len(labels))]


def glob_pattern(keys: Iterable[str]) -> re.Pattern[str]:
    """A pattern for the keys of all domains that match one of these globs. An asterisk also matches dots."""
    return re.compile("|".join(re.escape(key).replace(r"\*", ".*") for key in sorted(keys)) or NOTHING)


def _parsed(checked: "CheckedAgent") -> tuple[Domain, ...] | None:
    domains = checked.audited.domains
    return None if domains is None else tuple(map(parse_domain, domains))


@frozen
class CheckedAgent:
    """One agent of a workspace. `domains` are in the order of the list, repetitions included; None if they could not be
    read."""

    audited: AuditedAgent
    workspace: CheckedWorkspace
    agent: Agent = field(init=False, default=Factory(lambda self: self.audited.agent, takes_self=True))
    domains: tuple[Domain, ...] | None = field(init=False, default=Factory(_parsed, takes_self=True))

    @property
    def unusual_domains(self) -> list[Domain]:
        """Those that are not `Domain.ordinary`."""
        return [domain for domain in self.domains or () if not domain.ordinary]


@frozen
class CheckedDomain:
    """One domain that an agent allows. A repeated domain is checked once."""

    domain: Domain
    agent: CheckedAgent

    @property
    def workspace(self) -> CheckedWorkspace:
        return self.agent.workspace

    @property
    def record(self) -> HostRecord | None:
        """What the DNS says about its host. None if that was not asked."""
        return self.workspace.dns.get(self.domain.sent)


@frozen
class CheckedOverlap:
    """What a workspace has in common with others of the same audit. It is known once all of them are read.

    Rules are applied only to workspaces that have something in common with others.
    `domains` has the other workspaces that allow the same site, by `Domain.key`; `key` are those with the same API key.
    """

    workspace: str
    domains: Mapping[str, OtherWorkspaces]
    key: OtherWorkspaces

    def __bool__(self) -> bool:
        """Whether it has anything in common with others."""
        return bool(self.domains) or self.key.count > 0


Subject = CheckedDomain | CheckedAgent | CheckedWorkspace | CheckedOverlap
