"""Turns one row into the parts of the page that are about it: its section, its agents' cards, its line in the table."""

from typing import Any

from ...values import Row, Severity
from ..guidance import SEVERITIES
from ..news import News
from .cards import card_of
from .digest import Digest, Entry, counts_of
from .pages import rendered


def section(entry: Entry, row: Row, digest: Digest, news: News | None) -> str:
    """The section, whose end is missing: cards may follow."""
    new = news.findings if news else ()
    findings = [(each, digest.anchor(each.id), digest.rules[each.rule].token) for each in row.findings]
    names = {each.agent.id: each.agent.name for each in row.agents}
    return rendered("workspace.html", **_values(entry, row), findings=findings, names=names, new=new)


def cards(row: Row) -> str:
    """A card for each agent, folded; nothing where there is none."""
    if not row.agents:
        return ""
    return rendered("agents.html", row=row, cards=map(card_of, row.agents), flags=_flags(row))


def line(entry: Entry, row: Row, digest: Digest) -> str:
    """One line."""
    tokens = sorted({digest.rules[each.rule].token for each in row.findings})
    return rendered("line.html", **_values(entry, row), counts=counts_of(row), tokens=tokens)


def _values(entry: Entry, row: Row) -> dict[str, Any]:
    domains = sum(len(agent.domains or ()) for agent in row.agents)
    return {"number": entry.number, "row": row, "domains": domains}


def _flags(row: Row) -> dict[tuple[str | None, str], Severity]:
    """The gravest that was found about an agent's domain."""
    worst_last = sorted(row.findings, key=lambda each: -SEVERITIES.index(each.severity))
    return {(each.agent_id, each.subject): each.severity for each in worst_last}
