"""JSON documents of rows and workspaces, and JSON text that is safe to show on a terminal."""

import re
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

import attrs
import orjson

from ..endpoints.agents import Agent
from ..wire.cleaning import clean
from .values import AuditedAgent, Failure, Finding, Row, Workspace

AGENT, FINDING = (tuple(field.name for field in attrs.fields(kind)) for kind in (Agent, Finding))
AGENT_VALUES, FINDING_VALUES = attrgetter(*AGENT), attrgetter(*FINDING)
"""Names and values of fields. `attrs.asdict` recurses into every value and takes four times as long."""

INVISIBLE = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def json_text(document: Any, *, indent: bool = False) -> str:
    """JSON in which control and direction characters are escaped beyond what JSON asks for; the values are the same."""
    raw = orjson.dumps(document, option=orjson.OPT_INDENT_2 if indent else None)
    text = raw.decode()
    return text if raw.isascii() and b"\x7f" not in raw else escaped(text)


def escaped(text: str) -> str:
    """The JSON text with all invisible characters escaped."""
    return INVISIBLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def row_document(row: Row) -> dict[str, Any]:
    """The row in the form of the JSON Lines format. Times are ISO 8601 in UTC with a Z, as in the API.

    An agent's `domains` are null, not empty, if they could not be read. `dns` is there only if the DNS was asked.
    """
    dns: dict[str, Any] = {}
    if row.dns:
        unread = [{"host": host, "reason": reason} for host, reason in row.dns.unread]
        dns = {"dns": {"asked": row.dns.asked, "unread": unread}}
    return {
        "workspace": row.workspace,
        "state": row.state,
        "agents": [_audited(agent) for agent in row.agents],
        "findings": [dict(zip(FINDING, FINDING_VALUES(finding), strict=True)) for finding in row.findings],
        "error": _failure(row.error),
        "requests": row.requests,
        **dns,
    }


def agent_document(agent: Agent) -> dict[str, Any]:
    """The agent's fields, under this package's names."""
    document = dict(zip(AGENT, AGENT_VALUES(agent), strict=True))
    document["created_at"] = time_text(agent.created_at)
    return document


def time_text(moment: datetime) -> str:
    """The moment in UTC, with milliseconds and a Z. `isoformat` alone takes twice as long as orjson and this."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    raw = orjson.dumps(utc, option=orjson.OPT_UTC_Z)  # "2026-01-15T09:30:00Z", or with six digits of a second
    return f"{raw[1:-2].decode()}.000"[:23] + "Z"


def workspace_document(workspace: Workspace) -> dict[str, Any]:
    """The workspace as a document. `key` is the key reference, never the key. A path in it may not be UTF-8."""
    expect = None if workspace.expect is None else list(workspace.expect)
    return {"name": workspace.name, "key": clean(str(workspace.key)), "tags": list(workspace.tags), "expect": expect}


def _audited(audited: AuditedAgent) -> dict[str, Any]:
    document = agent_document(audited.agent)
    document["domains"] = audited.domains  # a tuple is a list in JSON
    document["error"] = _failure(audited.error)
    return document


def _failure(failure: Failure | None) -> dict[str, str] | None:
    return None if failure is None else {"type": failure.type, "message": failure.message}
