"""What an audit would read, without reading it: names, tags and where the keys are. No key is resolved."""

from collections.abc import Callable, Sequence
from typing import TextIO

from ..audit.document import json_text, workspace_document
from ..audit.formats.text import cell, columns, rendered
from ..audit.values import Workspace
from .screen import look


def _table(workspaces: Sequence[Workspace], stream: TextIO) -> str:
    shown, table = look(stream), columns("workspace", "key", "tags", "expected domains")
    for each in workspaces:
        cells = (each.name, str(each.key), " ".join(each.tags), " ".join(each.expect or ()))
        table.add_row(*(cell(text) for text in cells))
    return rendered([table], width=shown.width, color=shown.color)


def _json(workspaces: Sequence[Workspace], _: TextIO) -> str:
    return json_text({"workspaces": [workspace_document(each) for each in workspaces]}, indent=True) + "\n"


def _jsonl(workspaces: Sequence[Workspace], _: TextIO) -> str:
    return "".join(json_text(workspace_document(each)) + "\n" for each in workspaces)


PLANS: dict[str, Callable[[Sequence[Workspace], TextIO], str]] = {"json": _json, "jsonl": _jsonl}


def plan(name: str, workspaces: Sequence[Workspace], stream: TextIO) -> str:
    """In the format of this name where a plan has it, else as a table."""
    return PLANS.get(name, _table)(workspaces, stream)
