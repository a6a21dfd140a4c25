"""Charts and agent cards as values: shares of a bar, columns of runs, colours. The templates draw them."""

import math
from collections.abc import Sequence
from datetime import datetime

from attrs import frozen

from ....wire.encode import timestamp
from ...rules.agents import is_color, white_contrast
from ...values import SEVERITIES, AuditedAgent, Severity

PastRun = tuple[datetime, int, int, int]
"""When the run was, and how many errors, warnings and infos it found."""

WIDTH, GAP, LEAST = 100.0, 0.5, 1.0  # of a bar, between its shares, and of the smallest that can still be seen
HEIGHT, FILL = 40.0, 0.72  # of the tallest column, and how much of its place a column takes
RUNS = 24  # columns: two years of a monthly audit, or a month of working days


@frozen
class Share:
    """A part of a bar that stands for `number` things."""

    kind: str
    label: str
    number: int
    x: float = 0.0
    width: float = 0.0


@frozen
class Column:
    """One run in the chart of a severity."""

    x: float
    y: float
    width: float
    height: float
    number: int
    when: str


@frozen
class Trend:
    """The findings of one severity, oldest run first. `most` is the height of the chart."""

    severity: Severity
    columns: tuple[Column, ...]
    most: int
    now: int
    change: str


def shares(*parts: tuple[str, str, int]) -> tuple[Share, ...]:
    """One share for each part. Parts that are not 0 divide the bar among them."""
    total = sum(number for _, _, number in parts)
    wanted = [max(LEAST, WIDTH * number / total) if number else 0.0 for _, _, number in parts]
    gaps = GAP * (sum(map(bool, wanted)) - 1)
    scale = (WIDTH - gaps) / (sum(wanted) or WIDTH)
    placed, x = [], 0.0
    for (kind, label, number), width in zip(parts, wanted, strict=True):
        placed.append(Share(kind, label, number, round(x, 2), round(width * scale, 2)))
        x += width * scale + GAP if number else 0.0
    return tuple(placed)


def trends(runs: Sequence[PastRun]) -> tuple[Trend, ...]:
    """One for each severity, or none if there is nothing to compare. Each has its own scale."""
    runs = sorted(runs)[-RUNS:]
    return tuple(_trend(severity, place, runs) for place, severity in enumerate(SEVERITIES)) if runs[1:] else ()


def _trend(severity: Severity, place: int, runs: Sequence[PastRun]) -> Trend:
    numbers = [run[1:][place] for run in runs]
    most, step = max(numbers), WIDTH / len(runs)
    heights = [max(LEAST, round(HEIGHT * count / most, 2)) if count else 0.0 for count in numbers]
    columns = tuple(
        Column(round(step * number, 2), round(HEIGHT - height, 2), round(step * FILL, 2), height, count, day(run[0]))
        for number, (height, count, run) in enumerate(zip(heights, numbers, runs, strict=True))
    )
    return Trend(severity, columns, most, numbers[-1], _change(numbers[-1] - numbers[-2]))


def _change(difference: int) -> str:
    if not difference:
        return "as many as before"
    return f"{abs(difference):,} {'more' if difference > 0 else 'fewer'} than before"


def day(when: datetime) -> str:
    """`5 Mar 2026, 14:30 UTC`."""
    zone = f" {when.tzname()}" if when.tzinfo else ""
    return f"{when.day} {when:%b %Y, %H:%M}{zone}"


SHOWN = 24  # domains on a card; the others are counted

GRADES = (
    (7.0, "good", "AAA"),
    (4.5, "good", "AA"),
    (3.0, "fair", "large text only"),
    (0.0, "poor", "hard to read"),
)
"""The least contrast, how good that is, and what the Web Content Accessibility Guidelines 2 call it."""


@frozen
class Swatch:
    """One colour. `fill` is None if the text is not a hex colour, so that invalid text never becomes an attribute."""

    kind: str
    text: str
    fill: str | None
    ratio: str
    grade: str
    verdict: str


@frozen
class Card:
    """One agent. `domains` are None if they could not be read, and `more` of them are not on the card."""

    audited: AuditedAgent
    swatches: tuple[Swatch, ...]
    domains: tuple[str, ...] | None
    more: int
    created: str


def card_of(audited: AuditedAgent) -> Card:
    """The card of an agent."""
    agent, domains = audited.agent, audited.domains
    swatches = _swatch("Primary", agent.primary_color), _swatch("Secondary", agent.secondary_color)
    created = timestamp(agent.created_at)[:10]
    return Card(audited, swatches, domains and domains[:SHOWN], max(0, len(domains or ()) - SHOWN), created)


def _swatch(kind: str, text: str) -> Swatch:
    if not is_color(text):
        return Swatch(kind, text, None, "", "poor", "not a hex colour")
    ratio = white_contrast(text)
    if ratio is None:
        return Swatch(kind, text, text, "", "fair", "transparent: depends on what is behind")
    grade, verdict = next((grade, verdict) for least, grade, verdict in GRADES if ratio >= least)
    shown = math.floor(ratio * 100) / 100  # rounded, 4.499 would look like enough
    return Swatch(kind, text, text, f"{shown:.2f}:1", grade, verdict)
