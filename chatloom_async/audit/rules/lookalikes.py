"""The rules for domains that people may take for other ones.

- domain-punycode: letters beyond a to z, and those that look like Latin ones. After Unicode's UTS #39 (mixed scripts,
  section 5.1; confusables), narrowed to the letters that fonts draw alike.
- domain-lookalike: names that resemble an expected one. Which characters look alike is Unicode's table, as the package
  confusable-homoglyphs has it. The work grows with the number of domains, not with its square: names that are one edit
  apart have a spelling with one character less in common.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import Final

from ...wire.errors import needed_by
from .hostname import quoted, registrable_domain
from .rule import Found, rule
from .subjects import CheckedDomain, CheckedWorkspace
from .whatwg import beyond_idna2008, described

MIN_LENGTH = 4  # characters before the suffix; shorter names are similar to too many others
CYRILLIC = (
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u051b\u051d\u04bb\u04cf\u043a\u0475\u04af"
)
GREEK = "\u03b1\u03bf\u03c1\u03bd\u03b9\u03ba\u03c5\u03b3\u03c7\u03c4\u03b7\u03c9\u03f3"
ARMENIAN = "\u0585\u0578\u057d\u0570\u0581\u0566\u0575\u0584"
LATIN = "\u0131\u0251\u0261\u0269"  # not the letters they seem: without a dot, script a and g, iota
PUNCTUATION = "\u2010\u2012\u2013\u2014\u2015\u2043\u2212\u2044\u2215\u29f8\ua789\u2236"  # dashes, slashes, colons
LOOKALIKES: Final = {
    **dict(zip(CYRILLIC, "aeopcyxijsdqwhlkvy", strict=True)),
    **dict(zip(GREEK, "aopvikuyxtnwj", strict=True)),
    **dict(zip(ARMENIAN, "onuhgqjp", strict=True)),
    **dict(zip(LATIN, "iagi", strict=True)),
    **dict(zip(PUNCTUATION, "-------///::", strict=True)),
}
TOGETHER: Final = (  # scripts that one language writes together (UTS #39, "highly restrictive")
    {"Latin", "Cjk", "Hiragana", "Katakana"},
    {"Latin", "Cjk", "Hangul"},
    {"Latin", "Cjk", "Bopomofo"},
)
SHARED: Final = {"Combining", "Modifier"}  # marks that belong to the letter before them


@rule(
    "domain-punycode",
    severity="warning",
    ordinary=False,
    why="A name with letters beyond a to z can look just like another one to people. Browsers report such names "
    "in Punycode (xn--...), and the documentation does not say which spelling is compared.",
    fix="Check letter by letter that it is the intended name. If it is, list it in `expect`, and allow the "
    "Punycode spelling.",
)
def domain_punycode(checked: CheckedDomain) -> Iterable[str]:
    """Any letter or symbol beyond ASCII. A name that is expected, in Punycode and without lookalikes is fine."""
    domain = checked.domain
    if domain.host.isascii() and (domain.text.isascii() or domain.problems):
        return
    written = "" if domain.text.isascii() else f" Browsers report it as {domain.sent}."
    if likeness := deception(domain.host):
        like = looks_like(domain.host)
        taken = f" It can be taken for {quoted(like)}." if like != domain.host else ""
        yield f"{domain.shown} reads {quoted(domain.host)} and {likeness}.{taken}{written}"
    elif written or not checked.workspace.expects(domain):
        symbols = () if domain.problems else beyond_idna2008(domain.host)
        accepted = "which browsers accept, but few registries do (it is not in IDNA 2008)"
        symbol = f" It holds {described(symbols[0])}, {accepted}." if symbols else ""
        yield f"{domain.shown} reads {quoted(domain.host)}.{symbol}{written}"


def scripts_of(label: str) -> tuple[str, ...]:
    """The scripts of the letters, in order of appearance. Digits and hyphens have none.

    Python has no table of scripts, but names of letters begin with them: CYRILLIC SMALL LETTER A.
    """
    names = (unicodedata.name(letter, "") for letter in label if letter.isalpha())
    words = (name.replace("-", " ").partition(" ")[0].capitalize() for name in names)
    return tuple(dict.fromkeys(word for word in words if word and word not in SHARED))


def deception(host: str) -> str:
    """Why the first deceptive label may deceive, as the end of a sentence; "" if none does."""
    return next(filter(None, map(_deception, host.split("."))), "")


def _deception(label: str) -> str:
    alike = [letter for letter in dict.fromkeys(label) if letter in LOOKALIKES]
    scripts = scripts_of(label)
    names = {letter: f"{unicodedata.name(letter).title()}, U+{ord(letter):04X}" for letter in alike}
    pairs = ", ".join(f'"{letter}" ({name}) for "{LOOKALIKES[letter]}"' for letter, name in names.items())
    if len(scripts) > 1 and not any(set(scripts) <= allowed for allowed in TOGETHER):
        return f"mixes {' and '.join(scripts)} letters{': ' if pairs else ''}{pairs}"
    if alike and (scripts == ("Latin",) or all(letter in LOOKALIKES for letter in label if letter.isalpha())):
        return f"holds characters that look like other ones: {pairs}"
    return ""


def looks_like(host: str) -> str:
    """The host as a reader may take it: every lookalike replaced by the character that it resembles."""
    return "".join(LOOKALIKES.get(letter, letter) for letter in host)


@rule(
    "domain-lookalike",
    severity="warning",
    needs="expect",
    why="A name that resembles your own is a typing error, or belongs to somebody who exploits typing errors. Its "
    "owner can show the agent to your visitors.",
    fix="Correct the entry, or remove it. If the domain is yours, add it to `expect`.",
)
def domain_lookalike(checked: CheckedWorkspace) -> Iterable[Found]:
    """One edit, one added hyphen, or only look-alike characters away from an expected domain, but another domain."""
    expected = {name for domain in checked.expected or () if (name := registrable_domain(domain.host))}
    index: dict[str, list[str]] = {}  # by every spelling of a name, the names
    for name in sorted(filter(_long_enough, expected)):
        for spelling in _spellings(name):
            index.setdefault(spelling, []).append(name)
    likenesses = dict.fromkeys(expected, "")
    for agent in checked.agents if index else ():
        for domain in dict.fromkeys(agent.domains or ()):
            name = "" if domain.address or domain.local else registrable_domain(domain.host)
            if not _long_enough(name) or checked.expects(domain):
                continue
            if name not in likenesses:
                near = dict.fromkeys(other for spelling in _spellings(name) for other in index.get(spelling, ()))
                likenesses[name] = next(filter(None, (_likeness(name, other) for other in near)), "")
            if likenesses[name]:
                yield Found(f"{domain.shown} {likenesses[name]}.", domain.text, agent.agent.id)


def _long_enough(name: str) -> bool:
    return len(name.partition(".")[0]) >= MIN_LENGTH


def _spellings(name: str) -> set[str]:
    """The name and what it looks like, whole and with each character left out."""
    return {part for text in {name, skeleton(name)} for part in (text, *_shortened(text))}


def _shortened(text: str) -> Iterator[str]:
    return (text[:place] + text[place + 1 :] for place in range(len(text)))


def _likeness(name: str, other: str) -> str:
    """How the name resembles the expected one, as the end of a sentence; "" if it does not."""
    if skeleton(name) == skeleton(other):
        return f"looks like {quoted(other)}, which is expected, but is another domain"
    if name.replace("-", "") == other.replace("-", ""):
        return f"differs from {quoted(other)}, which is expected, only by a hyphen"
    if re.sub("[0-9]", "0", name) == re.sub("[0-9]", "0", other):
        return ""  # shop1 and shop2: a series
    if _one_edit(name, other) or _one_edit(skeleton(name), skeleton(other)):
        return f"is one character away from {quoted(other)}, which is expected, but is another domain"
    return ""


def _one_edit(one: str, other: str) -> bool:
    """Whether a character was added, left out, replaced, or swapped with the next one."""
    if len(one) == len(other):
        differing = [place for place, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1]]
        swapped = len(differing) == 2 and differing[1] - differing[0] == 1
        first, last = differing[0], differing[-1]
        return len(differing) == 1 or (swapped and one[first] == other[last] and one[last] == other[first])
    shorter, longer = sorted((one, other), key=len)
    return len(longer) - len(shorter) == 1 and shorter in _shortened(longer)


@lru_cache(maxsize=1 << 14)
def skeleton(name: str) -> str:
    """The name with every character replaced by what it looks like (UTS #39): two that look alike have the same one."""
    return name.translate(_prototypes()).lower()


@cache
def _prototypes() -> dict[int, str]:
    """For each character, the one that represents all that look like it: only those have several entries."""
    with needed_by("The rule domain-lookalike", "confusable_homoglyphs", extra="audit"):
        from confusable_homoglyphs.confusables import confusables_data  # type: ignore[import-untyped]
    alike = {_bare(key): [_bare(other["c"]) for other in others] for key, others in confusables_data.items()}
    return {
        ord(key): others[0]
        for key, others in alike.items()
        if len(key) == len(others) == 1 and (alike.get(others[0]) != [key] or others[0] < key)
    }


def _bare(text: str) -> str:
    """Without the direction marks that the table has around letters written from right to left."""
    return text.strip("\u200e")
