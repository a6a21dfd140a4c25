"""The rules for what the DNS says about an allowed domain. Without `--dns` nothing was asked, and they find nothing.

A name for which no answer came is not judged: the row lists it as unread.
"""

from collections.abc import Iterator
from typing import Final

from ...wire.cleaning import first_of
from .hostname import parse_domain, quoted
from .rule import Rule
from .subjects import MAX_ALIASES, CheckedDomain, HostRecord, HostState, plain_address

ADDRESSES_SHOWN = 3
NO_PAGE = "no page can have this host name"


def _text(checked: CheckedDomain, record: HostRecord) -> str:
    """What is wrong with a host in the state of this record; "" if nothing is."""
    if record.state == "resolved" and not record.private:  # nearly always
        return ""
    host, free = quoted(checked.domain.host), _shown(record.free)
    target = _shown(record.aliases[-1]) if record.aliases else ""
    if record.state == "unregistered":
        absent = free if record.free == record.host else f"{host} is under {free}, which"
        return f"{absent} does not exist in the DNS: anybody who registers it can show this agent."
    if record.state == "dangling":
        absent = f"{host} is an alias of {target}, {'which' if free == target else f'and {free}'} does not exist"
        return f"{absent} in the DNS: anybody who takes {free} can show this agent under {host}."
    if record.state == "no-name":
        alias = f" is an alias of {target}, which" if target else ""
        return f"{host}{alias} does not exist in the DNS: {NO_PAGE}."
    if record.state == "no-address":
        wildcard = checked.domain.wildcard  # the name behind it needs no address
        return "" if wildcard else f"{host} exists in the DNS, but has no address: {NO_PAGE}."
    if record.state == "alias-loop":
        return f"The aliases of {host} lead in a circle: {NO_PAGE}."
    if record.state == "alias-chain":
        return f"{host} has more than {MAX_ALIASES} aliases: many resolvers stop before they reach an address."
    addresses = [str(plain_address(address)) for address in record.addresses]
    return f"{host} has private addresses only: {first_of(addresses, ADDRESSES_SHOWN)}."


def _shown(name: str) -> str:
    """A name from the DNS, in Unicode if it is one."""
    return quoted(parse_domain(name).host or name)


def _dns_rule(name: str, *states: HostState, error: bool = False, finds: str, why: str, fix: str) -> Rule:
    def check(checked: CheckedDomain) -> Iterator[str]:
        record = checked.record
        if record and record.state in states and (text := _text(checked, record)):
            yield text

    check.__doc__ = finds
    return Rule(name, "error" if error else "warning", why, fix, "domain", check, needs="dns")


DNS_RULES: Final = (
    _dns_rule(
        "domain-unregistered",
        "unregistered",
        error=True,
        finds="The registrable domain, by the Public Suffix List, does not exist.",
        why="The domain is not registered: anybody can register it and show the agent on their own pages. A domain "
        "that is registered without name servers looks the same.",
        fix="Remove the entry, or register the domain.",
    ),
    _dns_rule(
        "domain-dangling",
        "dangling",
        error=True,
        finds="A CNAME whose target's registrable domain, or customer's name at a hosting company, does not exist.",
        why="The CNAME record points to a name that no longer exists. Anybody who takes that name serves pages under "
        "your name, and can show the agent there.",
        fix="Remove the CNAME record, or register its target again. Remove the entry if the site is gone.",
    ),
    _dns_rule(
        "domain-unresolved",
        *("no-name", "no-address", "alias-loop", "alias-chain"),
        finds="The domain is registered, but this host does not exist, or has no address or too many aliases. A "
        "wildcard's base needs no address.",
        why="A name without an address has no page, so the entry has no effect: it may be a leftover, or a typing "
        "error that keeps the widget from loading on the intended site.",
        fix="Correct the entry, or remove it.",
    ),
    _dns_rule(
        "domain-private-address",
        "resolved",
        finds="All addresses of the name are loopback, private or link-local ones.",
        why="Visitors from the internet see no page under this name. In every network that uses the same address, "
        "another machine may answer under it.",
        fix="Remove the entry if the site is internal and no customer needs the agent there.",
    ),
)
