"""Audits many workspaces at once: reads every agent and its allowed domains, and gives one row a workspace.

Every name is imported when it is first used, as in `chatloom_async`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .entries import WorkspacesFileError
    from .keys import KeyCommand, KeyEnv, KeyFile, KeyJson, KeyReference, KeyUnavailableError
    from .loading import load_ndjson, load_workspaces
    from .outage import MAX_PAUSE, Pause
    from .runner import AUDIT_DEADLINE, AUDIT_RETRY, audit
    from .values import AuditedAgent, Failure, Finding, IncompleteListError, Row, Summary, Workspace

# fmt: off
__all__ = [
    "AUDIT_DEADLINE", "AUDIT_RETRY", "MAX_PAUSE", "AuditedAgent", "Failure", "Finding", "IncompleteListError",
    "KeyCommand", "KeyEnv", "KeyFile", "KeyJson", "KeyReference", "KeyUnavailableError", "Pause", "Row", "Summary",
    "Workspace", "WorkspacesFileError", "audit", "load_ndjson", "load_workspaces",
]
# fmt: on

_NAMES = {
    ".entries": "WorkspacesFileError",
    ".keys": "KeyCommand KeyEnv KeyFile KeyJson KeyReference KeyUnavailableError",
    ".loading": "load_ndjson load_workspaces",
    ".outage": "MAX_PAUSE Pause",
    ".runner": "AUDIT_DEADLINE AUDIT_RETRY audit",
    ".values": "AuditedAgent Failure Finding IncompleteListError Row Summary Workspace",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name], __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
