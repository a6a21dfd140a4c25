"""Tells addresses from names, and what is only found inside one machine or network from what is on the internet.

Addresses are read as browsers read them (the WHATWG's URL standard, "IPv4 parser"): 127.1 and 0x7f000001 are 127.0.0.1.
"""

import re
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Final

LOCAL_NETWORKS: Final = tuple(
    (ip_network(network), reason)
    for network, reason in (
        ("127.0.0.0/8", "is the loopback address: the visitor's own machine"),
        ("::1/128", "is the loopback address: the visitor's own machine"),
        ("0.0.0.0/8", "is the address of no machine but one's own (RFC 1122)"),
        ("::/128", "is the address of no machine but one's own (RFC 4291)"),
        ("10.0.0.0/8", "is a private address (RFC 1918)"),
        ("172.16.0.0/12", "is a private address (RFC 1918)"),
        ("192.168.0.0/16", "is a private address (RFC 1918)"),
        ("100.64.0.0/10", "is an address inside a provider's network (RFC 6598)"),
        ("169.254.0.0/16", "is a link-local address (RFC 3927)"),
        ("fe80::/10", "is a link-local address (RFC 4291)"),
        ("fc00::/7", "is a private address (RFC 4193)"),
    )
)
LOCAL_NAMES: Final = {
    "localhost": "is the visitor's own machine (RFC 6761)",
    "localdomain": "is a name for the machine's own network",
    "local": "is a name inside one local network (RFC 6762)",
    "test": "is reserved for tests (RFC 6761)",
    "invalid": "is reserved for names that lead nowhere (RFC 6761)",
    "internal": "is reserved for private networks (ICANN, 2024)",
    "alt": "is reserved for names outside the DNS (RFC 9476)",
    "home.arpa": "is reserved for home networks (RFC 8375)",
    "intranet": "is a name inside private networks (RFC 6762, appendix G)",
    "private": "is a name inside private networks (RFC 6762, appendix G)",
    "corp": "is a name inside private networks (RFC 6762, appendix G)",
    "home": "is a name inside private networks (RFC 6762, appendix G)",
    "lan": "is a name inside private networks (RFC 6762, appendix G)",
}
"""By the end of the name. `.example` is not among them: no network uses it, and all of the sandbox is under it."""

NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")


def address_in(text: str) -> IPv4Address | IPv6Address | None:
    """The address that a browser takes this host for, or None where it is a name."""
    if ":" in text:
        try:
            found = IPv6Address(text[1:-1] if text[:1] + text[-1:] == "[]" else text)
        except ValueError:
            return None
        return found.ipv4_mapped or found
    return _ipv4(text.removesuffix(".").split(".")) if ends_in_number(text) else None


def ends_in_number(host: str) -> bool:
    """Whether browsers take the host for an IPv4 address, and refuse it where it is none."""
    return NUMBER.fullmatch(host.removesuffix(".").rpartition(".")[2]) is not None


def _ipv4(parts: list[str]) -> IPv4Address | None:
    """Up to four numbers, decimal, octal or hexadecimal; the last one fills all bytes that are left."""
    if len(parts) > 4 or not all(NUMBER.fullmatch(part) and len(part) <= 16 for part in parts):
        return None
    try:
        *first, last = (_number(part.lower()) for part in parts)
    except ValueError:  # 08: an octal number with a digit that it cannot have
        return None
    if any(number > 255 for number in first) or last >= 256 ** (4 - len(first)):
        return None
    return IPv4Address(sum(number << 8 * (3 - place) for place, number in enumerate(first)) + last)


def _number(text: str) -> int:
    if text.startswith("0x"):
        return int(text[2:] or "0", 16)
    return int(text, 8 if text.startswith("0") else 10)


def local_reason(host: str, address: IPv4Address | IPv6Address | None) -> str:
    """Why nobody outside of one machine or network can reach a site of this host; "" where they may."""
    if address is not None:
        return next((reason for network, reason in LOCAL_NETWORKS if address in network), "")
    head, _, last = host.rpartition(".")
    end = last if last in LOCAL_NAMES else f"{head.rpartition('.')[2]}.{last}"
    reason = LOCAL_NAMES.get(end, "")
    return reason if not reason or end == host else f"ends in .{end}, which {reason}"
