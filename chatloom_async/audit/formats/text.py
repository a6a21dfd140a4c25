"""Texts that formats share: text from outside made safe to show, numbers with their nouns, and what a rule is for."""

from collections.abc import Mapping
from types import MappingProxyType

from ...wire.cleaning import KEY_LIKE
from ..values import Severity

LIMIT = 2000  # characters: limits what one name or message can add to a report


def visible(text: str, limit: int = LIMIT) -> str:
    """The text, with keys masked. Control, direction and other invisible characters are spelled as in JSON, blanks of
    any kind are spaces, and what is longer than `limit` characters ends in "..."."""
    text = KEY_LIKE.sub("clf_***", text)
    if not text.isprintable():
        text = "".join(map(_spelled, text))
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _spelled(character: str) -> str:
    if character.isprintable():
        return character
    if character.isspace():
        return " "
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def described(subject: str, place: str | None, message: str) -> str:
    """The message on one line, after what it is about, unless it names that itself."""
    about = visible(subject) if subject not in message else ""
    agent = f"agent {visible(place)}" if place else ""
    lead = f"{about} ({agent})" if about and agent else about or agent
    return f"{lead}: {visible(message)}" if lead else visible(message)


RuleTexts = Mapping[str, tuple[Severity, str, str]]
"""By a rule's id: its severity, why it matters, and how to fix what it finds."""

NO_TEXTS: RuleTexts = MappingProxyType({})


def why_and_fix(texts: RuleTexts, rule: str) -> tuple[str, str]:
    """Both are empty for a rule that nothing is known of."""
    _, why, fix = texts.get(rule, ("info", "", ""))
    return why, fix


def counted(number: int, noun: str) -> str:
    """`1 error`, `2,000 errors`."""
    return f"{number:,} {named(number, noun)}"


def named(number: int, noun: str) -> str:
    """What so many are called, without the number."""
    return noun if number == 1 else f"{noun}s"
