"""JSON documents of rows and workspaces, as reports have them."""

from datetime import datetime
from typing import Any

from cattrs import Converter
from cattrs.gen import make_dict_unstructure_fn

from ..endpoints.agents import Agent
from ..wire.cleaning import clean
from ..wire.encode import timestamp
from .values import AuditedAgent, Failure, Finding, Row, Workspace

CONVERTER = Converter()
CONVERTER.register_unstructure_hook(datetime, timestamp)
AGENT = make_dict_unstructure_fn(Agent, CONVERTER)
"""Gives the same as `Agent.to_dict(python_names=True)` in half the time. A report calls it for each agent."""

FINDING = make_dict_unstructure_fn(Finding, CONVERTER)


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
        "findings": [FINDING(finding) for finding in row.findings],
        "error": _failure(row.error),
        "requests": row.requests,
        **dns,
    }


def workspace_document(workspace: Workspace) -> dict[str, Any]:
    """The workspace as a document. `key` is the key reference, never the key. A path in it may not be UTF-8."""
    expect = None if workspace.expect is None else list(workspace.expect)
    return {"name": workspace.name, "key": clean(str(workspace.key)), "tags": list(workspace.tags), "expect": expect}


def _audited(audited: AuditedAgent) -> dict[str, Any]:
    document = AGENT(audited.agent)
    document["domains"] = audited.domains  # a tuple is a list in JSON
    document["error"] = _failure(audited.error)
    return document


def _failure(failure: Failure | None) -> dict[str, str] | None:
    return None if failure is None else {"type": failure.type, "message": failure.message}
