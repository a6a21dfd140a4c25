"""Compares two runs: what came, went and changed, and which findings are new. Pure functions over stored workspaces.

    old, new = await store.run_info(3), await store.run_info(4)
    diff = await diff_runs(old, new, store.workspaces(3), store.workspaces(4))

`table_diff`, `json_diff` and `markdown_diff` turn it into text.
"""

from .baseline import new_findings
from .document import json_diff
from .markdown import markdown_diff
from .merging import diff_runs
from .text import plain_diff, table_diff
from .values import AgentChange, Diff, FieldChange, WorkspaceChange

__all__ = [
    "AgentChange",
    "Diff",
    "FieldChange",
    "WorkspaceChange",
    "diff_runs",
    "json_diff",
    "markdown_diff",
    "new_findings",
    "plain_diff",
    "table_diff",
]
