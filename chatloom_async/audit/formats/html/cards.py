"""Turns an agent into what its card shows: its colours, and how well white text can be read on them."""

import math

from attrs import frozen

from ...rules.colors import is_color, white_contrast
from ...values import AuditedAgent

SHOWN = 24  # domains on a card; the others are counted

GRADES = (
    (7.0, "good", "AAA"),
    (4.5, "good", "AA"),
    (3.0, "fair", "large text only"),
    (0.0, "poor", "hard to read"),
)
"""From this contrast on: how good that is, and what the Web Content Accessibility Guidelines 2 call it."""


@frozen
class Swatch:
    """One colour. `fill` is None where the text is no hex colour, so that it gets into no attribute that draws."""

    kind: str
    text: str
    fill: str | None
    ratio: str
    grade: str
    verdict: str


@frozen
class Card:
    """One agent. `domains` are None where they could not be read, and `more` of them are not on the card."""

    audited: AuditedAgent
    swatches: tuple[Swatch, ...]
    domains: tuple[str, ...] | None
    more: int
    created: str


def card_of(audited: AuditedAgent) -> Card:
    """What its card shows."""
    agent, domains = audited.agent, audited.domains
    swatches = _swatch("Primary", agent.primary_color), _swatch("Secondary", agent.secondary_color)
    created = f"{agent.created_at:%Y-%m-%d}"
    return Card(audited, swatches, domains and domains[:SHOWN], max(0, len(domains or ()) - SHOWN), created)


def _swatch(kind: str, text: str) -> Swatch:
    if not is_color(text):
        return Swatch(kind, text, None, "", "poor", "not a hex colour")
    ratio = white_contrast(text)
    if ratio is None:
        return Swatch(kind, text, text, "", "fair", "transparent: depends on what is behind")
    _, grade, verdict = next(each for each in GRADES if ratio >= each[0])
    shown = math.floor(ratio * 100) / 100  # rounded, 4.499 would look like enough
    return Swatch(kind, text, text, f"{shown:.2f}:1", grade, verdict)
