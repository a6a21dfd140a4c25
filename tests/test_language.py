"""Docstrings, comments, messages and pages are in plain English: no phrase of the list below is in any of them.

A phrase is a regular expression with what to write instead. Add one when you correct a sentence, so that it stays
corrected. Quotations of the API's documentation are exempt by their quotation marks only if they are in `QUOTED`.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "chatloom_async").rglob("*.py"))
PAGES = [ROOT / "README.md", *(ROOT / name / "README.md" for name in ("benchmarks", "examples", "tests"))]
PAGES += sorted((ROOT / ".github").glob("*.md"))


@frozen
class Phrase:
    """`pattern` is case-insensitive; `plain` says what to write instead."""

    pattern: str
    plain: str


EVERYWHERE = [
    Phrase(r"\bwhoever\b", "name the person: the caller, anybody who ..."),
    Phrase(r"\b(whosoever|whatsoever|whereof|thereof|whence)\b", "use a short modern word"),
    Phrase(r"\bof which\b", "start a new sentence"),
    Phrase(r"\bsuch that\b", "so that, or a new sentence"),
    Phrase(r"\bbeside\b", "next to, or in addition to"),
    Phrase(r"\b(none|null|empty|true|false|0) (exactly )?where\b", "if"),
    Phrase(r"\braises \w+( or \w+)*,? where\b", "if"),
    Phrase(r"\banew\b", "again"),
    Phrase(r"\bsees? to it\b", "makes sure"),
    Phrase(r"\bis dear(er|est)?\b|\bthe dearest\b", "expensive"),
    Phrase(r"\bhas no say\b|\bhave no say\b", "is ignored"),
    Phrase(
        r"\b(is|are) no (news|secret|reason|opinion|change|opaque|host|bare|top-level|id|field|fault|IP)\b", "is not"
    ),
    Phrase(r"\b(that|which) (is|are) (?-i:none)\b", "invalid, or: is not one"),
    Phrase(r"\bwithout a line of yours\b", "by default"),
    Phrase(r"\bof (yours|ours|theirs)\b", "your own, our own"),
    Phrase(r"\bas good as\b", "say what it is"),
    Phrase(r"\bwhat is to be (said|told|done)\b", "name the thing"),
    Phrase(r"\bcloses (its|the|a) gate\b", "pauses the key"),
    Phrase(r"\bnobody (can|may|has|asked|knows|but|on)\b", "passive voice, or: only ..."),
    Phrase(r"\bcomes? out as it is\b", "is not wrapped"),
]
MODULE_DOCSTRINGS = [
    Phrase(r"\ATurns\b", "say what the module is for"),
    Phrase(r"\AWhat (is|the|a|there)\b", "start with the noun"),
]
QUOTED: set[str] = set()
"""Lines that are allowed all the same, word for word, each for a reason."""


def texts_of(source: str) -> Iterator[tuple[int, str]]:
    """The lines of the docstrings, other strings and comments of a module, with their numbers."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            for offset, line in enumerate(node.value.splitlines()):
                yield node.lineno + offset, line.strip()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def mistakes(texts: Iterator[tuple[int, str]], place: str, phrases: list[Phrase]) -> list[str]:
    """One line for each phrase in the texts: the place, the phrase, and what to write instead."""
    return [
        f"{place}:{number}: {match[0]!r} in {line!r}: write {phrase.plain}"
        for number, line in texts
        if line not in QUOTED
        for phrase in phrases
        if (match := re.search(phrase.pattern, line, re.IGNORECASE))
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_package_is_in_plain_english(path: Path) -> None:
    """No docstring, string or comment has a phrase of the list, and the module's docstring says what it is for."""
    source, place = path.read_text("utf-8"), str(path.relative_to(ROOT))
    found = mistakes(texts_of(source), place, EVERYWHERE)
    found += mistakes(iter([(1, ast.get_docstring(ast.parse(source)) or "")]), place, MODULE_DOCSTRINGS)
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_pages_are_in_plain_english(path: Path) -> None:
    """The same list for the documentation."""
    found = mistakes(iter(enumerate(path.read_text("utf-8").splitlines(), 1)), str(path.relative_to(ROOT)), EVERYWHERE)
    assert found == [], "\n".join(found)


def test_a_phrase_is_reported_with_its_place_and_the_plain_form() -> None:
    """In docstrings, strings and comments."""
    source = '"""Turns it."""\n\nx = "There is none, whoever asks"  # beside it\n'
    assert mistakes(texts_of(source), "m.py", EVERYWHERE + MODULE_DOCSTRINGS) == [
        "m.py:1: 'Turns' in 'Turns it.': write say what the module is for",
        "m.py:3: 'whoever' in 'There is none, whoever asks': write name the person: the caller, anybody who ...",
        "m.py:3: 'beside' in '# beside it': write next to, or in addition to",
    ]
