"""The rules for what the DNS says about an allowed domain. Without `--dns` nothing was asked, and they find nothing.

A name for which no answer came is not judged: the row lists it as unread.
"""

from collections.abc import Iterable

from .hostname import parse_domain, quoted
from .rule import rule
from .subjects import CheckedDomain, plain_address

ADDRESSES_SHOWN = 3


@rule(
    "domain-unregistered",
    severity="error",
    needs="dns",
    why="The domain is not registered: anybody can register it and show the agent on their own pages. A domain that is "
    "registered without name servers looks the same.",
    fix="Remove the entry, or register the domain.",
)
def domain_unregistered(checked: CheckedDomain) -> Iterable[str]:
    """The registrable domain, by the Public Suffix List, does not exist."""
    record = checked.record
    if record and record.state == "unregistered":
        free = _shown(record.free)
        if record.free == record.host:
            yield f"{free} does not exist in the DNS: anybody who registers it can show this agent."
        else:
            host = quoted(checked.domain.host)
            yield (
                f"{host} is under {free}, which does not exist in the DNS: anybody who registers it can show "
                "this agent."
            )


@rule(
    "domain-dangling",
    severity="error",
    needs="dns",
    why="The CNAME record points to a name that no longer exists. Anybody who takes that name serves pages under your "
    "name, and can show the agent there.",
    fix="Remove the CNAME record, or register its target again. Remove the entry if the site is gone.",
)
def domain_dangling(checked: CheckedDomain) -> Iterable[str]:
    """A CNAME whose target's registrable domain, or customer's name at a hosting company, does not exist."""
    record = checked.record
    if record and record.state == "dangling":
        host, target = quoted(checked.domain.host), _shown(record.aliases[-1])
        where = "which" if record.free == record.aliases[-1] else f"and {_shown(record.free)}"
        yield (
            f"{host} is an alias of {target}, {where} does not exist in the DNS: anybody who takes "
            f"{_shown(record.free)} can show this agent under {host}."
        )


@rule(
    "domain-unresolved",
    severity="warning",
    needs="dns",
    why="A name without an address has no page, so the entry has no effect: it may be a leftover, or a typing error "
    "that keeps the widget from loading on the intended site.",
    fix="Correct the entry, or remove it.",
)
def domain_unresolved(checked: CheckedDomain) -> Iterable[str]:
    """The domain is registered, but this host does not exist or has no address. A wildcard's base needs none."""
    record, host = checked.record, quoted(checked.domain.host)
    if record is None or (checked.domain.wildcard and record.state == "no-address"):
        return
    if record.state == "no-name":
        alias = f" is an alias of {_shown(record.aliases[-1])}, which" if record.aliases else ""
        yield f"{host}{alias} does not exist in the DNS: no page can have this host name."
    elif record.state == "no-address":
        yield f"{host} exists in the DNS, but has no address: no page can have this host name."
    elif record.state == "alias-loop":
        yield f"The aliases of {host} lead in a circle: no page can have this host name."


@rule(
    "domain-private-address",
    severity="warning",
    needs="dns",
    why="Visitors from the internet see no page under this name. In every network that uses the same address, another "
    "machine may answer under it.",
    fix="Remove the entry if the site is internal and no customer needs the agent there.",
)
def domain_private_address(checked: CheckedDomain) -> Iterable[str]:
    """All addresses of the name are loopback, private or link-local ones."""
    record = checked.record
    if record and record.private:
        addresses = [str(plain_address(address)) for address in record.addresses]
        more = len(addresses) - ADDRESSES_SHOWN
        shown = ", ".join(addresses[:ADDRESSES_SHOWN]) + (f" and {more} more" if more > 0 else "")
        yield f"{quoted(checked.domain.host)} has private addresses only: {shown}."


def _shown(name: str) -> str:
    """A name from the DNS, in Unicode if it is one."""
    return quoted(parse_domain(name).host or name)
