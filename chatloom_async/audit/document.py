"""JSON documents of rows and workspaces, as reports have them."""

from operator import attrgetter
from typing import Any

import attrs

from ..wire.cleaning import clean
from .values import AuditedAgent, Failure, Finding, Row, Workspace

FINDING = tuple(field.name for field in attrs.fields(Finding))
FINDING_VALUES = attrgetter(*FINDING)
"""Names and values of fields. `attrs.asdict` recurses into every value and takes four times as long."""


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


def workspace_document(workspace: Workspace) -> dict[str, Any]:
    """The workspace as a document. `key` is the key reference, never the key. A path in it may not be UTF-8."""
    expect = None if workspace.expect is None else list(workspace.expect)
    return {"name": workspace.name, "key": clean(str(workspace.key)), "tags": list(workspace.tags), "expect": expect}


def _audited(audited: AuditedAgent) -> dict[str, Any]:
    document = audited.agent.to_dict(python_names=True)
    document["domains"] = audited.domains  # a tuple is a list in JSON
    document["error"] = _failure(audited.error)
    return document


def _failure(failure: Failure | None) -> dict[str, str] | None:
    return None if failure is None else {"type": failure.type, "message": failure.message}
