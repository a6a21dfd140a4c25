"""Audits many workspaces at once: reads every agent and its allowed domains, and gives one row a workspace."""

from .keys import KeyCommand, KeyEnv, KeyFile, KeyJson, KeyReference, KeyUnavailableError
from .loading import WorkspacesFileError, load_ndjson, load_workspaces
from .outage import MAX_PAUSE, Pause
from .runner import AUDIT_DEADLINE, AUDIT_RETRY, audit
from .summary import Summary
from .values import AuditedAgent, Failure, Finding, IncompleteListError, Row, Workspace

__all__ = [
    "AUDIT_DEADLINE",
    "AUDIT_RETRY",
    "MAX_PAUSE",
    "AuditedAgent",
    "Failure",
    "Finding",
    "IncompleteListError",
    "KeyCommand",
    "KeyEnv",
    "KeyFile",
    "KeyJson",
    "KeyReference",
    "KeyUnavailableError",
    "Pause",
    "Row",
    "Summary",
    "Workspace",
    "WorkspacesFileError",
    "audit",
    "load_ndjson",
    "load_workspaces",
]
