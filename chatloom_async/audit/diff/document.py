"""A difference as one JSON document, with a `schema_version` and totals under `summary`."""

from typing import Any

import attrs

from ..document import agent_document, json_text
from ..store.values import RunInfo
from .values import Diff, WorkspaceChange

SCHEMA_VERSION = 1
"""Raised when a reader of the last version could misread a document; new members do not count."""


def json_diff(diff: Diff) -> str:
    """The document, with a newline at its end."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "old": _run(diff.old),
        "new": _run(diff.new),
        "notes": list(diff.notes),
        "workspaces": [_change(change) for change in diff.changes],
        "summary": diff.summary(),
    }
    return json_text(document, indent=True) + "\n"


def _run(run: RunInfo) -> dict[str, Any]:
    return {
        "id": run.id,
        "started": run.started.isoformat(timespec="seconds"),
        "state": run.state,
        "workspaces": run.planned,
        "unselected": run.unselected,
        "pending": run.pending,
    }


def _change(change: WorkspaceChange) -> dict[str, Any]:
    agents = ("agents_added", "agents_removed")
    members = attrs.asdict(change, filter=lambda each, _: each.name not in agents)
    return {**members, **{name: [agent_document(each.agent) for each in getattr(change, name)] for name in agents}}
