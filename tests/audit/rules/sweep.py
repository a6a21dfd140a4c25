"""Compares what we make of a name with UTS 46, for every character: `python -m tests.audit.rules.sweep`.

The oracle is the package `uts46`: another implementation, with tables of its own (Unicode 16), called as the WHATWG
URL standard calls it. Characters that it or this Python does not know are left out.
"""

import sys
import unicodedata
from collections.abc import Iterator

from uts46 import Uts46Error
from uts46.whatwg import domain_to_ascii

from chatloom_async.audit.rules.hostname import QUOTES, parse_domain

SHAPES = ("a{}b.example", "{}.example", "\u0915{}.example", "\u05d0{}.example", "1.{}a")
UNKNOWN_IN_16 = {"Cn", "Co", "Cs"}


def characters(step: int) -> Iterator[str]:
    """Every `step`-th character beyond ASCII. Quotes and an asterisk are ours to judge: they are taken off."""
    for code in range(0x80, 0x110000, step):
        if unicodedata.category(chr(code)) not in UNKNOWN_IN_16 and chr(code) not in f"{QUOTES}\uff0a\ufe61":
            yield chr(code)


def names(step: int) -> Iterator[str]:
    """Each of the characters alone, among others, and in Punycode."""
    for character in characters(step):
        for shape in SHAPES:
            yield shape.format(character)
        yield f"xn--{f'a{character}b'.encode('punycode').decode()}.example"


def sent_by_browsers(text: str) -> str | None:
    """None: they refuse it."""
    try:
        return domain_to_ascii(text, be_strict=False)
    except Uts46Error:
        return None


def difference(text: str) -> str | None:
    """How our reading differs. With problems, the spelling is a guess where a browser has none."""
    ours, theirs = parse_domain(text), sent_by_browsers(text)
    same = bool(ours.problems) if theirs is None else ours.sent == theirs.removesuffix(".")
    return None if same else f"{text!a}: {ours.sent!a} with problems {ours.problems}, in browsers {theirs!a}"


def main() -> int:
    """Prints every difference. The exit status is 1 if there are any."""
    compared, differing = 0, 0
    for text in names(1):
        compared += 1
        if told := difference(text):
            differing += 1
            print(told)
    print(f"{compared:,} names compared, {differing} differences")
    return min(differing, 1)


if __name__ == "__main__":
    sys.exit(main())
