"""Turns readings into HTML, by the templates in pages/. Every value is escaped there; only colours are painted."""

import re
from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

from attrs import frozen
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from chatloom_async import Agent
from chatloom_async.audit import AuditedAgent, Finding, Workspace
from chatloom_async.audit.formats.text import visible
from chatloom_async.audit.rules import RULES
from chatloom_async.audit.rules.agents import is_color

from .reading import Reading, State

SEVERITIES = ("error", "warning", "info")  # the worst first
STATES: dict[State, tuple[str, str, str]] = {  # the worst first: mark, name, what to do
    "dead-key": ("error", "Key refused", "Perhaps a newer one was generated. Put that where the workspaces file says."),
    "no-key": ("error", "No key", "Put one where the workspaces file says. A new variable needs a new start."),
    "unreadable": ("error", "No answer", "Nothing was read before, either. This page tries again by itself."),
    "stale": ("warning", "Out of date", "Chatloom gives no newer answer at present. This page tries again by itself."),
    "partial": ("warning", "Incomplete", "Some agents could not be read. This page tries again by itself."),
    "empty": ("info", "No agents", "The key works, and this workspace has no agents yet."),
    "ok": ("ok", "Up to date", ""),
}
CALM = 5  # from this state on nobody needs to do anything about it
CORNERS = {"bottom-right": (38, 26), "bottom-left": (10, 26), "top-right": (38, 10), "top-left": (10, 10)}
"""Where the launcher is on a screen of 48 x 36."""
Colors = tuple[tuple[str, str, str | None], ...]
"""Which one, its text, and the same again if it can be painted."""


@frozen
class Card:
    """What a page shows of one agent: its colours and which domains were found fault with."""

    audited: AuditedAgent
    colors: Colors
    corner: tuple[int, int] | None
    faults: dict[str, str]
    findings: tuple[Finding, ...]


def colors(agent: Agent) -> Colors:
    texts = (("Primary", agent.primary_color), ("Secondary", agent.secondary_color))
    return tuple((which, text, text if is_color(text) else None) for which, text in texts)


def card(audited: AuditedAgent, findings: Iterable[Finding]) -> Card:
    agent = audited.agent
    mine = tuple(each for each in findings if each.agent_id == agent.id)
    faults = {each.subject: each.severity for each in reversed(mine)}  # findings come worst first, which stays
    return Card(audited, colors(agent), CORNERS.get(agent.position), faults, mine)


def tally(reading: Reading) -> Counter[str]:
    return Counter(finding.severity for finding in reading.row.findings)


def worst_first(readings: Iterable[Reading]) -> list[Reading]:
    def rank(reading: Reading) -> tuple[Any, ...]:
        found, place = tally(reading), [*STATES].index(reading.state)
        return min(place, CALM), *(-found[each] for each in SEVERITIES), reading.workspace.name

    return sorted(readings, key=rank)


def overview(readings: Iterable[Reading]) -> str:
    listed = worst_first(readings)
    found = sum(map(tally, listed), Counter[str]())
    restless = [each for each in listed if [*STATES].index(each.state) < CALM or tally(each).keys() - {"info"}]
    agents = sum(len(each.row.agents) for each in listed)
    return rendered("overview.html", readings=listed, restless=len(restless), found=found, agents=agents)


def workspace(reading: Reading) -> str:
    row = reading.row
    cards = [card(each, row.findings) for each in row.agents]
    names = {each.agent.id: each.agent.name for each in row.agents}
    return rendered("workspace.html", reading=reading, cards=cards, names=names)


def missing() -> str:
    return rendered("missing.html")


def slug(workspace: Workspace) -> str:
    """Its place in addresses: readable, made of harmless letters whatever its name is, and no other one's."""
    digest = blake2b(workspace.name.encode(errors="surrogatepass"), digest_size=4).hexdigest()
    return re.sub(r"[^a-z0-9]+", "-", workspace.name.lower()).strip("-")[:40] + f"-{digest}"


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def ago(seconds: int | None) -> str:
    """`just now`, `12 s ago`, `3 min ago`; None is `not read`."""
    if seconds is None:
        return "not read"
    return "just now" if seconds < 2 else f"{seconds} s ago" if seconds < 120 else f"{seconds // 60} min ago"


def rendered(template: str, **values: Any) -> str:
    return environment.get_template(template).render(values)


environment = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("pages")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=lambda value: visible(value) if type(value) is str else value,  # spells what hides or turns text around
)
environment.filters |= {"counted": counted, "ago": ago}
environment.globals |= {"states": STATES, "severities": SEVERITIES, "rules": {rule.id: rule for rule in RULES}}
environment.globals |= {"colors": colors, "slug": slug, "tallied": tally}
