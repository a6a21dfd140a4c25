"""What a report knows of a rule: how grave it is, why it matters, and what to do. Values only."""

from collections.abc import Mapping
from types import MappingProxyType

from ..values import Severity

RuleTexts = Mapping[str, tuple[Severity, str, str]]
"""By a rule's id: its severity, why it matters, and how to fix what it finds."""

NO_TEXTS: RuleTexts = MappingProxyType({})

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
"""The worst first."""


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
