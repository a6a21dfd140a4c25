"""Reads the text of an allowed domain: the host that was meant, and everything that is wrong with the text.

The API's documentation shows plain host names and no grammar, so no text is refused here. Nothing is looked up.
Which domains anybody can have a site under is in the Public Suffix List that the package publicsuffixlist ships. It is
read from disk when it is first needed, and never downloaded.
"""

import re
from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from attrs import frozen

from ...wire.cleaning import CONTROL, clean
from ...wire.errors import MissingExtraError, needed_by
from .whatwg import (
    INVISIBLE_PROBLEM,
    JOINERS,
    MAX_LABEL,
    ends_in_number,
    listed,
    read_ipv4,
    read_ipv6,
    read_name,
    write_ipv6,
)

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

MAX_TEXT: Final = 1000  # longer texts are not parsed
MAX_NAME: Final = 253  # RFC 1035
SHOWN: Final = 100
PLAIN: Final = re.compile(  # the usual case: a plain host name
    r"(?:(?!xn--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}"
)
QUOTES = (  # typographic ones, and brackets that are used like them
    "\u00ab\u00bb\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2039\u203a"
    "\u3008\u3009\u300a\u300b\u300c\u300d\u300e\u300f\u301d\u301e\u301f\uff02\uff07\uff08\uff09\uff1c\uff1e"
)
OPENING: Final = "\"'`\u00b4<([{" + QUOTES
CLOSING: Final = "\"'`\u00b4>)]},;" + QUOTES
PERCENT: Final = re.compile(r"%[0-9a-fA-F]{2}")
PIECES: Final = {  # in the order in which they are cut off; what is left is `rest`
    "a scheme": re.compile(r"(?P<piece>(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//)(?P<rest>.*)", re.DOTALL),
    "a path": re.compile(r"(?P<rest>[^/?#\\]*)(?P<piece>[/?#\\].*)", re.DOTALL),
    "a user name": re.compile(r"(?P<piece>.*@)(?P<rest>[^@]*)", re.DOTALL),
    "a port": re.compile(r"(?P<rest>[^:]*|\[[^\]]*\])(?P<piece>:\d*)", re.DOTALL),
    "a zone": re.compile(r"\[?(?P<rest>[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)(?P<piece>%[^\]]*)\]?", re.DOTALL),
}
LOCAL_NETWORKS: Final[dict[str, tuple[str, ...]]] = {
    "is the loopback address: the visitor's own machine": ("127.0.0.0/8", "::1/128"),
    "is the address of no machine but one's own (RFC 1122)": ("0.0.0.0/8",),
    "is the address of no machine but one's own (RFC 4291)": ("::/128",),
    "is a private address (RFC 1918)": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
    "is an address inside a provider's network (RFC 6598)": ("100.64.0.0/10",),
    "is a link-local address (RFC 3927)": ("169.254.0.0/16",),
    "is a link-local address (RFC 4291)": ("fe80::/10",),
    "is a private address (RFC 4193)": ("fc00::/7",),
}
NETWORKS: Final = [(ip_network(network), reason) for reason, group in LOCAL_NETWORKS.items() for network in group]
LOCAL_NAMES: Final[dict[str, str]] = {
    "localhost": "is the visitor's own machine (RFC 6761)",
    "localdomain": "is a name for the machine's own network",
    "local": "is a name inside one local network (RFC 6762)",
    "test": "is reserved for tests (RFC 6761)",
    "invalid": "is reserved for names that lead nowhere (RFC 6761)",
    "internal": "is reserved for private networks (ICANN, 2024)",
    "alt": "is reserved for names outside the DNS (RFC 9476)",
    "home.arpa": "is reserved for home networks (RFC 8375)",
    **dict.fromkeys(
        ("intranet", "private", "corp", "home", "lan"), "is a name inside private networks (RFC 6762, appendix G)"
    ),
}
"""By the end of the name. `.example` is not among them: no network uses it, and all of the sandbox is under it."""
LOCAL_ENDS: Final = frozenset(name.rpartition(".")[2] for name in LOCAL_NAMES)


@frozen(cache_hash=True)
class Domain:
    """One allowed domain: `text` as the API gave it, and what it means.

    `host` is what a browser reads in the text, in Unicode, without the pieces that do not belong there, a leading
    "*." and a trailing dot. `sent` is the same as browsers send it: Punycode, and square brackets around IPv6.
    `key` is equal only for domains that mean the same: they differ in case, trailing dot, Punycode, an address's
    spelling, or blanks around them. `problems` say why the text is not a host name; `host` is then the best guess.
    `local` says why nobody outside of one machine or network has a site there ("": somebody may). A `plain` one is a
    host name in ASCII without any of this.
    """

    text: str
    host: str
    sent: str
    key: str
    address: IPv4Address | IPv6Address | None = None
    local: str = ""
    problems: tuple[str, ...] = ()
    plain: bool = False

    @property
    def ordinary(self) -> bool:
        """Whether it is `plain` and no public suffix. Without the list of those, no domain is known to be ordinary."""
        return self.plain and not _may_be_public_suffix(self.host)

    @property
    def wildcard(self) -> bool:
        return "*" in self.text or "*" in self.key or "*" in self.host

    @property
    def site(self) -> bool:
        """Whether it names one site of the public internet, judged by its text."""
        wrong = self.problems or self.local or self.address
        return self.plain or ("." in self.host and not (wrong or self.wildcard))

    @property
    def meant(self) -> bool:
        """Whether the host is what remains of a text with problems, and has none itself."""
        blank = any(letter.isspace() for letter in self.text.strip())  # perhaps two domains
        return "." in self.host and not (blank or self.wildcard or parse_domain(self.host).problems)

    @property
    def shown(self) -> str:
        """The text, safe for a message."""
        return quoted(self.text)


def quoted(text: str) -> str:
    """Untrusted text in quotes, without keys and control characters, shortened if it is long."""
    return f'"{clean(text, SHOWN)}"'


@lru_cache(maxsize=1 << 14)
def parse_domain(text: str) -> Domain:
    """The domain of a text; invalid texts have `problems`. Cached, because many workspaces share domains."""
    plain = text.lower().removesuffix(".") if text.isascii() else ""
    if len(plain) <= MAX_NAME and PLAIN.fullmatch(plain):
        local = local_reason(plain, None)
        return Domain(text, plain, plain, plain, local=local, plain=not local)
    if not text.strip():
        return Domain(text, "", "", "", problems=("it is blank" if text else "it is empty",))
    if len(text) > MAX_TEXT:
        return Domain(
            text, "", "", text, problems=(f"it has {len(text):,} characters, where {MAX_NAME} are the limit",)
        )
    problems: list[str] = []
    address: IPv4Address | IPv6Address | None
    rest = _without_pieces(_without_blanks(text, problems), problems)
    if ipv6 := read_ipv6(rest):
        wild, sent, address = False, write_ipv6(ipv6), ipv6.ipv4_mapped or ipv6
        host = str(address)
    else:
        wild, host, sent, address = _name(rest, problems)
    if not host and not wild:
        problems.append("it holds no host name")
    key = text.strip() if problems else f"*.{host}".rstrip(".") if wild else host
    return Domain(text, host, sent, key, address, local_reason(host, address), tuple(dict.fromkeys(problems)))


def _without_blanks(text: str, problems: list[str]) -> str:
    rest = "".join(text.split())
    problems += ["it holds blanks"] if rest != text else []
    visible = "".join(letter for letter in rest if letter in JOINERS or not CONTROL.match(letter))
    problems += [INVISIBLE_PROBLEM] if visible != rest else []
    return visible


def _without_pieces(rest: str, problems: list[str]) -> str:
    if ":" not in rest.partition("[")[2]:  # otherwise, the brackets are those of an IPv6 address
        rest = _without_quotes(rest, problems)
    for kind, pattern in PIECES.items():
        if match := pattern.fullmatch(rest):
            shown = "" if kind == "a user name" else f" ({clean(match['piece'], SHOWN)})"  # a password may follow it
            problems.append(f"it holds {kind}{shown}")
            rest = match["rest"]
    if escape := PERCENT.search(rest):
        problems.append(f"it holds percent-encoding ({escape[0]})")
        rest = unquote(rest)
    return rest


def _without_quotes(text: str, problems: list[str]) -> str:
    opened = text.lstrip(OPENING)
    inner = opened.rstrip(CLOSING)
    if not inner or inner == text:
        return text
    around = (text.removesuffix(opened), opened.removeprefix(inner))
    problems.append(f"it has punctuation around it ({clean(' '.join(filter(None, around)), SHOWN)})")
    return inner


def _name(rest: str, problems: list[str]) -> tuple[bool, str, str, IPv4Address | None]:
    """Whether it begins with a wildcard, and the host, ASCII spelling and address after it. Adds to `problems`."""
    if marks := [letter for letter in dict.fromkeys(rest) if letter in QUOTES]:
        problems.append(f"it holds quotation marks or brackets ({listed(marks)})")
    name = read_name(rest)
    problems += name.problems
    wild = name.unicode[:2] in ("*", "*.")
    decoded, full = (spelling[2 * wild :] for spelling in (name.unicode, name.ascii))
    host, sent = decoded.removesuffix("."), full.removesuffix(".")
    labels = sent.split(".") if sent else []
    if not all(labels):
        problems.append("it has an empty label (two dots in a row, or one in front)")
    if (longest := max(map(len, labels), default=0)) > MAX_LABEL:
        problems.append(f"a label has {longest} characters, where {MAX_LABEL} are the limit")
    if any(label.startswith("-") or label.endswith("-") for label in host.split(".")):
        problems.append("a label begins or ends with a hyphen")
    if len(sent) > MAX_NAME:
        problems.append(f"the name has {len(sent)} characters, where {MAX_NAME} are the limit")
    if not ends_in_number(full):
        return wild, host, sent, None
    address = None if wild else read_ipv4(full)
    if address is None:
        problems.append("it ends in a number, but is not an IP address")
        return wild, host, sent, None
    return wild, str(address), str(address), address


def local_reason(host: str, address: IPv4Address | IPv6Address | None) -> str:
    """Why a host cannot be reached from outside one machine or network; "" if it can."""
    if address is not None:
        return next((reason for network, reason in NETWORKS if address in network), "")
    head, _, last = host.rpartition(".")
    if last not in LOCAL_ENDS:
        return ""
    end = last if last in LOCAL_NAMES else f"{head.rpartition('.')[2]}.{last}"
    reason = LOCAL_NAMES.get(end, "")
    return reason if not reason or end == host else f"ends in .{end}, which {reason}"


def is_public_suffix(host: str) -> bool:
    """Whether the host (lower case, Unicode) is itself on the list: `co.uk` and `github.io`, not `acme.co.uk`.

    A top-level domain that the list does not know is none. Raises MissingExtraError.
    """
    return _suffixes().is_public(host)


@lru_cache(maxsize=1 << 14)
def _may_be_public_suffix(host: str) -> bool:
    try:
        return is_public_suffix(host)
    except MissingExtraError:
        return True


@lru_cache(maxsize=1 << 14)
def registrable_domain(host: str) -> str:
    """The part of the host (Unicode) that somebody registers: `acme.co.uk` of `www.acme.co.uk`; "" if there is none.

    Under a suffix of a hosting company, that is the customer's name: `acme.github.io`. Raises MissingExtraError.
    """
    return _suffixes().privatesuffix(host, accept_unknown=True) or ""


def known_suffix(host: str) -> str:
    """The public suffix of the host (Unicode); "" if its top-level domain is not on the list."""
    return _suffixes().publicsuffix(host) or ""


@cache
def _suffixes() -> "PublicSuffixList":
    with needed_by("The check for public suffixes", "publicsuffixlist", extra="audit"):
        from publicsuffixlist import PublicSuffixList
    return PublicSuffixList(accept_unknown=False, accept_encoded_idn=False)  # hosts are decoded: a third of the time
