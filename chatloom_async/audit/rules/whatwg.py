"""Reads a host as browsers do: the host parser of the WHATWG URL standard, with UTS 46 from the package `idna`.

Nothing is taken off here and nothing is guessed: what a browser refuses comes back as text with `problems`.
"""

import re
import unicodedata
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import idna
from attrs import frozen

from ...wire.cleaning import clean, first_of

NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")
ODD: Final = re.compile(r"[\x00-\x29\x2b\x2c\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f]")  # ASCII except a-z 0-9 - . _ *
JOINERS: Final = "\u200c\u200d"
MAX_LABEL: Final = 63
NAMED: Final = 3  # odd characters that one problem names
INVISIBLE_PROBLEM: Final = "it holds control or invisible characters"


@frozen
class Name:
    """A name after UTS 46 processing: in Unicode, as browsers send it (ASCII), and what they refuse it for.

    With problems, the spellings are a best effort: the name that was probably meant.
    """

    unicode: str
    ascii: str
    problems: tuple[str, ...] = ()


def read_name(text: str) -> Name:
    """UTS 46 ToASCII as browsers call it: non-transitional, CheckBidi, CheckJoiners, but not CheckHyphens.

    ASCII punctuation other than hyphen, dot, underscore and asterisk is a problem, although browsers let some of it
    pass: no DNS name of a site has it.
    """
    problems: list[str] = []
    mapped = _map(text, problems)
    labels = [_label(label, problems) for label in mapped.split(".")]
    if odd := list(dict.fromkeys(ODD.findall("".join(labels)))):
        problems.append(f"it holds characters that no host name has ({listed(odd)})")
    if not all(map(_ordered, _bidi(labels))):
        problems.append("it mixes letters written to the right and to the left in a way that browsers refuse")
    return Name(".".join(labels), ".".join(map(_ascii, labels)), tuple(problems))


def _map(text: str, problems: list[str]) -> str:
    """Lower case, plain letters for compatibility letters, without ignored characters. May be longer than `text`."""
    if (mapped := _mapped(text)) is not None:
        return mapped
    refused = [character for character in dict.fromkeys(text) if _mapped(character) is None]
    problems.append(f"it holds characters that no host name has ({listed(refused)})")
    plain = (_mapped(part) or part for part in unicodedata.normalize("NFKC", text))
    return unicodedata.normalize("NFC", "".join(plain))


def _mapped(text: str) -> str | None:
    """None if it holds a character that UTS 46 disallows."""
    try:
        return idna.uts46_remap(text, std3_rules=False)
    except idna.IDNAError:
        return None


def _label(label: str, problems: list[str]) -> str:
    """One label in Unicode."""
    if label.startswith("xn--"):
        label = _decode(label, problems)
    if label.isascii() or len(label) > MAX_LABEL:
        return label
    if unicodedata.category(label[0]).startswith("M"):
        problems.append(f"a label begins with a combining mark ({described(label[0])})")
    stray = [place for place, letter in enumerate(label) if letter in JOINERS and not _joins(label, place)]
    if stray:
        problems.append(INVISIBLE_PROBLEM)
    return "".join(letter for place, letter in enumerate(label) if place not in stray)


def _decode(label: str, problems: list[str]) -> str:
    """The Unicode of a label that begins with xn--, or the label itself if it has none that a browser accepts."""
    rest, shown = label[4:], f'"{clean(label, 100)}"'
    if not label.isascii():
        problems.append(f"{shown} begins with xn--, but holds letters beyond a to z")
        return rest
    try:
        decoded = rest.encode().decode("punycode")
    except (ValueError, OverflowError):
        decoded = ""
    if decoded.isascii() or not clean(decoded):
        problems.append(f"{shown} is not valid Punycode")
        return label
    mapped = _mapped(decoded)
    if mapped == decoded and decoded.encode("punycode").decode() == rest and not decoded.startswith("xn--"):
        return decoded
    problems.append(f'{shown} stands for "{clean(decoded, 100)}", which browsers refuse in Punycode')
    return label if mapped in (None, decoded) or "." in mapped else mapped


def _joins(label: str, place: int) -> bool:
    """Whether the joiner changes how its neighbours are written (IDNA 2008, CONTEXTJ), so that it may be there."""
    try:
        return idna.valid_contextj(label, place)
    except ValueError:  # next to a character that this Python does not know
        return False


def _bidi(labels: Iterable[str]) -> list[str]:
    """The labels that must follow the Bidi rule (RFC 5893): all of them, if one is written from right to left."""
    short = [label for label in labels if label and len(label) <= MAX_LABEL]
    letters = "".join(label for label in short if not label.isascii())
    return short if any(unicodedata.bidirectional(letter) in ("R", "AL", "AN") for letter in letters) else []


def _ordered(label: str) -> bool:
    if not all(map(unicodedata.bidirectional, label)):
        return True  # newer than this Python's tables: its direction is not known
    try:
        return idna.check_bidi(label, check_ltr=True)
    except idna.IDNABidiError:
        return False


def _ascii(label: str) -> str:
    if label.isascii() or len(label) > MAX_LABEL:  # Punycode is never shorter, and slow to make for long labels
        return label
    return f"xn--{label.encode('punycode').decode()}"


def listed(characters: list[str]) -> str:
    """Characters for a message: the first few."""
    return first_of([described(character) for character in characters], NAMED)


def described(character: str) -> str:
    """A character for a message: itself, and its name if it is not ASCII. A control character is its number."""
    if character.isascii():
        return f'"{character}"' if character.isprintable() else f"U+{ord(character):04X}"
    return f'"{clean(character)}" {unicodedata.name(character, "no name").title()}, U+{ord(character):04X}'


def beyond_idna2008(host: str) -> tuple[str, ...]:
    """The characters that UTS 46 accepts, but IDNA 2008 does not: emoji and other symbols."""
    return tuple(letter for letter in dict.fromkeys(host) if not letter.isascii() and not _in_idna2008(letter))


def _in_idna2008(letter: str) -> bool:
    try:
        idna.check_label(letter)
    except idna.InvalidCodepoint:
        return False
    except idna.IDNAError:  # a mark, or a letter that cannot stand alone
        return True
    return True


def read_ipv6(text: str) -> IPv6Address | None:
    """The address between square brackets, which may be missing here; None if it is not one. It has no zone."""
    if ":" not in text or "%" in text:
        return None
    try:
        return IPv6Address(text[1:-1] if text[:1] + text[-1:] == "[]" else text)
    except ValueError:
        return None


def write_ipv6(address: IPv6Address) -> str:
    """As browsers write it. Python 3.13 has another form for IPv4-mapped addresses: ::ffff:1.2.3.4."""
    if (mapped := address.ipv4_mapped) is None:
        return f"[{address}]"
    return f"[::ffff:{int(mapped) >> 16:x}:{int(mapped) & 0xFFFF:x}]"


def ends_in_number(host: str) -> bool:
    """Whether browsers read the host (ASCII) as an IPv4 address, and refuse it if it is not one."""
    return NUMBER.fullmatch(host.removesuffix(".").rpartition(".")[2]) is not None


def read_ipv4(host: str) -> IPv4Address | None:
    """Up to four numbers, decimal, octal or hexadecimal; the last one fills the remaining bytes."""
    parts = host.removesuffix(".").split(".")
    if len(parts) > 4 or not all(NUMBER.fullmatch(part) for part in parts):
        return None
    try:
        *first, last = map(_number, parts)
    except ValueError:  # 08: an octal number with a digit that it cannot have
        return None
    if any(number > 255 for number in first) or last >= 256 ** (4 - len(first)):
        return None
    return IPv4Address(sum(number << 8 * (3 - place) for place, number in enumerate(first)) + last)


def _number(text: str) -> int:
    if text[:2] in ("0x", "0X"):
        return int(text[2:] or "0", 16)
    return int(text, 8 if text.startswith("0") else 10)
