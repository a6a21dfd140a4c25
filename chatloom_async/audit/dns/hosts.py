"""Reads what the DNS says about the hosts that a workspace allows. It judges nothing: that is what the rules do."""

import asyncio
from typing import Final

from attrs import evolve

from ..rules.hostname import Domain, known_suffix, parse_domain, registrable_domain
from ..rules.subjects import MAX_ALIASES, HostRecord, is_private
from ..values import Row
from .resolver import Answer, RecordType, Resolver

CANARY: Final = "does-not-exist.chatloom-async.invalid"  # RFC 6761: no name ends in .invalid


async def read_hosts(resolver: Resolver, row: Row) -> dict[str, HostRecord]:
    """What the DNS says about each host of the row, by `Domain.sent`. Only a cancellation is raised.

    Addresses, local names, public suffixes and entries that name no host are left out. A wildcard is looked up without
    its asterisk.
    """
    texts = dict.fromkeys(text for agent in row.agents for text in agent.domains or ())
    hosts = {domain.sent: domain for domain in map(parse_domain, texts) if _askable(domain)}
    if not hosts:
        return {}
    if (await resolver.ask(CANARY)).status == "resolved":
        lie = "the resolver has an address for every name, also for one that cannot exist"
        return {sent: HostRecord(sent, "unread", reason=lie) for sent in hosts}
    records = await asyncio.gather(*(read_host(resolver, domain) for domain in hosts.values()))
    return dict(zip(hosts, records, strict=True))


def _askable(domain: Domain) -> bool:
    """Whether it names one host of the public DNS. If it has problems, the host that was probably meant counts."""
    if "*" in domain.host or domain.local or domain.address is not None:
        return False
    return (domain.meant or not domain.problems) and registrable_domain(domain.host) != ""


async def read_host(resolver: Resolver, domain: Domain) -> HostRecord:
    """Usually one question; more if there is no address, or only private ones."""
    answer = await _follow(resolver, domain.sent, "A")
    if answer.status == "no-address" or (answer.addresses and all(map(is_private, answer.addresses))):
        other = await _follow(resolver, domain.sent, "AAAA")
        if other.status in ("resolved", "unread"):
            answer = evolve(other, addresses=answer.addresses + other.addresses)
    record = HostRecord(domain.sent, answer.status, answer.addresses, answer.aliases, reason=answer.reason)
    return await _absent(resolver, record) if answer.status == "no-name" else record


async def _follow(resolver: Resolver, name: str, kind: RecordType) -> Answer:
    """The answer for the name. Follows aliases if the resolver does not."""
    answer = await resolver.ask(name, kind)
    while answer.status == "no-address" and answer.aliases:
        further = await resolver.ask(answer.aliases[-1], kind)
        aliases = answer.aliases + further.aliases
        if len(set(aliases)) < len(aliases) or name in aliases:
            return evolve(further, status="alias-loop", aliases=aliases)
        if len(aliases) > MAX_ALIASES:
            return evolve(further, status="alias-chain", aliases=aliases)
        if further.status == "no-address" and not further.aliases:
            return evolve(further, aliases=aliases)
        answer = evolve(further, aliases=aliases)
    return answer


async def _absent(resolver: Resolver, record: HostRecord) -> HostRecord:
    """Completes the record of a name that does not exist: can anybody register it, or the target of its alias?"""
    missing = parse_domain(record.aliases[-1] if record.aliases else record.host)
    registrable = _ascii_end(missing, registrable_domain(missing.host)) if not missing.problems else ""
    if not registrable:
        return evolve(record, state="no-name")
    if registrable != missing.sent:
        parent = await resolver.ask(registrable)
        if parent.status == "unread":
            return evolve(record, state="unread", reason=parent.reason)
        if parent.status != "no-name" or parent.aliases:
            return evolve(record, state="no-name")
    return await _free(resolver, record, registrable, known_suffix(missing.host))


async def _free(resolver: Resolver, record: HostRecord, registrable: str, suffix: str) -> HostRecord:
    """The registrable domain does not exist. That is certain only if the resolver knows the top-level domain."""
    top = registrable.rpartition(".")[2]
    above = await resolver.ask(top)
    if above.status == "unread":
        return evolve(record, state="unread", reason=above.reason)
    if above.status != "no-name":
        return evolve(record, state="dangling" if record.aliases else "unregistered", free=registrable)
    if suffix:
        return evolve(record, state="unread", reason=f"the resolver does not know the top-level domain .{top}")
    return evolve(record, state="no-name")


def _ascii_end(domain: Domain, end: str) -> str:
    """The end of a name (Unicode), as it is sent."""
    labels = end.count(".") + 1 if end else 0
    return ".".join(domain.sent.split(".")[-labels:]) if labels else ""
