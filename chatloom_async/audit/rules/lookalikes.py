"""Finds allowed domains that resemble an expected one: typing errors, or domains registered to exploit them.

Which characters look alike is Unicode's table (UTS #39), as the package confusable-homoglyphs has it. The work grows
with the number of domains, not with its square: names that are one edit apart have a spelling with one character less
in common.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache

from ...wire.extras import needed_by
from .hostname import quoted
from .rule import Found, rule
from .subjects import CheckedWorkspace
from .suffixes import registrable_domain

MIN_LENGTH = 4  # characters of the name before its suffix; shorter ones are near to too many others


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
    index = _index(name for name in expected if _long_enough(name))
    likenesses = dict.fromkeys(expected, "")
    for agent in checked.agents if index else ():
        for domain in dict.fromkeys(agent.domains or ()):
            name = "" if domain.address or domain.local else registrable_domain(domain.host)
            if not _long_enough(name) or checked.expects(domain):
                continue
            if name not in likenesses:
                likenesses[name] = next(filter(None, (_likeness(name, other) for other in _near(name, index))), "")
            if likenesses[name]:
                yield Found(f"{domain.shown} {likenesses[name]}.", domain.text, agent.agent.id)


def _long_enough(name: str) -> bool:
    return len(name.partition(".")[0]) >= MIN_LENGTH


def _index(names: Iterable[str]) -> Mapping[str, list[str]]:
    """By every spelling that a name has with a character less, and by its own, the names."""
    index: dict[str, list[str]] = {}
    for name in sorted(names):
        for spelling in _spellings(name):
            index.setdefault(spelling, []).append(name)
    return index


def _near(name: str, index: Mapping[str, list[str]]) -> Iterable[str]:
    return dict.fromkeys(other for spelling in _spellings(name) for other in index.get(spelling, ()))


def _spellings(name: str) -> set[str]:
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
    """By character, the one that stands for all that look like it. In the table, only those have several others."""
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
