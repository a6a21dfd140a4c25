"""Compares two runs: what was added, removed or changed, and which findings are new or fixed.

    old, new = await store.run_info(3), await store.run_info(4)
    diff = await diff_runs(old, new, store.workspaces(3), store.workspaces(4))

`table_diff`, `json_diff` and `markdown_diff` render the result as text, piece by piece.
"""

from .compare import diff_runs, new_findings
from .render import json_diff, markdown_diff, table_diff
from .values import AgentChange, Diff, FieldChange, WorkspaceChange

# fmt: off
__all__ = [
    "AgentChange", "Diff", "FieldChange", "WorkspaceChange", "diff_runs", "json_diff", "markdown_diff", "new_findings",
    "table_diff",
]
# fmt: on
