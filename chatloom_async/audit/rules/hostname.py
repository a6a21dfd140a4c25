"""Turns the text of an allowed domain into the host that was meant, with everything that is wrong about the text.

The API's documentation shows plain host names and no grammar, so nothing is refused here and nothing is looked up.
"""

import re
import unicodedata
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from attrs import frozen

from ...wire.cleaning import CONTROL, clean
from .addresses import address_in, ends_in_number, local_reason

MOST = 1000  # longer texts are not taken apart: nothing on the web has such a name
SHOWN = 100
PLAIN = re.compile(r"(?:(?!xn--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")  # nothing to find: the usual case
PIECES = {  # in the order in which they are cut off; what is left is `rest`
    "a scheme": re.compile(r"(?P<piece>(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//)(?P<rest>.*)", re.DOTALL),
    "a path": re.compile(r"(?P<rest>[^/?#\\]*)(?P<piece>[/?#\\].*)", re.DOTALL),
    "a user name": re.compile(r"(?P<piece>.*@)(?P<rest>[^@]*)", re.DOTALL),
    "a port": re.compile(r"(?P<rest>[^:]*|\[[^\]]*\])(?P<piece>:\d*)", re.DOTALL),
}
FORBIDDEN = re.compile(r"[\x00-\x29\x2b\x2c\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f]")  # ASCII but letters, digits, - . _ *


@frozen
class Domain:
    """One allowed domain: `text` as the API gave it, and what it means.

    `host` is in lower case and Unicode, without the pieces that do not belong there, a leading "*." and a trailing
    dot. `sent` is the same as browsers spell it, with Punycode. `key` is equal only for domains that mean the same:
    they differ in case, trailing dot, Punycode, an address's spelling, or blanks around them. `problems` say why the
    text is no host name, `local` why nobody outside of one machine or network has a site there ("": somebody may).
    """

    text: str
    host: str
    sent: str
    key: str
    address: IPv4Address | IPv6Address | None = None
    local: str = ""
    problems: tuple[str, ...] = ()

    @property
    def wildcard(self) -> bool:
        return "*" in self.text

    @property
    def site(self) -> bool:
        """Whether it names one site of the public internet, as far as its text tells."""
        return "." in self.host and not (self.problems or self.wildcard or self.local or self.address)

    @property
    def meant(self) -> bool:
        """Whether the host is what remains of a text with problems, and has none itself."""
        blank = any(letter.isspace() for letter in self.text.strip())  # there, two texts may have been meant
        return "." in self.host and not (blank or self.wildcard or parse_domain(self.host).problems)

    @property
    def shown(self) -> str:
        """The text, fit for a message."""
        return quoted(self.text)


def quoted(text: str) -> str:
    """Text from outside in quotes, without keys and control characters, and cut where it is long."""
    return f'"{clean(text, SHOWN)}"'


@lru_cache(maxsize=1 << 14)
def parse_domain(text: str) -> Domain:
    """Every text is a domain, if with problems. Remembered, since workspaces share domains and rules ask often."""
    if len(text) <= 253 and PLAIN.fullmatch(text):
        return Domain(text, text, text, text, local=local_reason(text, None))
    if not text.strip():
        return Domain(text, "", "", "", problems=("it is blank" if text else "it is empty",))
    if len(text) > MOST:
        return Domain(text, "", "", text, problems=(f"it has {len(text):,} characters, where 253 are the limit",))
    problems: list[str] = []
    rest = _without_pieces(_without_blanks(text, problems), problems)
    wild, address = rest[:2] in ("*", "*."), address_in(rest)
    host, sent = (str(address),) * 2 if address else _labels(rest[2:] if wild else rest, problems)
    if not host and not wild:
        problems.append("it holds no host name")
    key = text.strip() if problems else f"*.{host}".rstrip(".") if wild else host
    return Domain(text, host, sent, key, address, local_reason(host, address), tuple(dict.fromkeys(problems)))


def _without_blanks(text: str, problems: list[str]) -> str:
    kept = "".join(text.split())
    problems += ["it holds blanks"] if kept != text else []
    visible = CONTROL.sub("", kept)
    problems += ["it holds control or invisible characters"] if visible != kept else []
    return visible


def _without_pieces(rest: str, problems: list[str]) -> str:
    for kind, pattern in PIECES.items():
        if (kind != "a port" or address_in(rest) is None) and (found := pattern.fullmatch(rest)):
            shown = "" if kind == "a user name" else f" ({clean(found['piece'], SHOWN)})"  # a password may follow it
            problems.append(f"it holds {kind}{shown}")
            rest = found["rest"]
    return rest


def _labels(rest: str, problems: list[str]) -> tuple[str, str]:
    """The name in Unicode and in Punycode. What is wrong with its labels is added to the problems."""
    name = _normal(rest).removesuffix(".")
    if FORBIDDEN.search(name):
        problems.append("it holds characters that no host name has")
    pairs = [_label(label, problems) for label in name.split(".")] if name else []
    host, sent = (".".join(spelling) for spelling in zip(*pairs, strict=True)) if pairs else ("", "")
    if len(sent) > 253:
        problems.append(f"the name has {len(sent)} characters, where 253 are the limit")
    if ends_in_number(sent):
        problems.append("it ends in a number, but is no IP address")
    return host, sent


def _label(label: str, problems: list[str]) -> tuple[str, str]:
    """One label, in Unicode and in Punycode."""
    host, sent = label, label
    if not label:
        problems.append("it has an empty label (two dots in a row, or one in front)")
    elif len(label) > 63:
        pass  # Punycode is never shorter, and slow to make for long labels
    elif not label.isascii():
        sent = f"xn--{label.encode('punycode').decode()}"
    elif label.startswith("xn--"):
        host = _decoded(label[4:]) or label
        problems += [f"{quoted(label)} is not valid Punycode"] if host == label else []
    if len(sent) > 63:
        problems.append(f"a label has {len(sent)} characters, where 63 are the limit")
    if "-" in (host[:1], host[-1:]):
        problems.append("a label begins or ends with a hyphen")
    return host, sent


def _decoded(punycode: str) -> str | None:
    """None where it is none, or holds what a label cannot."""
    try:
        label = punycode.encode().decode("punycode")
    except (ValueError, OverflowError):
        return None
    odd = label.isascii() or label != _normal(label) or CONTROL.search(label) or FORBIDDEN.search(label)
    return None if odd or "." in label else label


def _normal(name: str) -> str:
    """Capitals, full-width letters and the like as the plain ones that browsers take them for."""
    return unicodedata.normalize("NFKC", name.lower()).replace("\u3002", ".")
