"""Turns the text of a workspaces file into entries: its objects as they are, each with the place where it stands.

One function a format. What an entry must hold is loading.py's business.
"""

import csv
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import orjson

from ..wire.errors import ConfigurationError
from .toml import toml_document

Entry = tuple[str, Any]
"""A place such as "line 3" or "entry 2", and what was found there."""

LISTS = ("tags", "expect")  # the fields that are lists: in CSV, words in one cell


class WorkspacesFileError(ConfigurationError):
    """The list of workspaces cannot be used. The message names file and place, and never quotes a key."""

    hint = "An entry is {name, key_env | key_file | key_command, tags, expect}: `chatloom audit --help` shows one."


def toml_entries(text: str) -> Iterator[Entry]:
    """`[[workspaces]]` tables."""
    document = toml_document(text)
    if isinstance(document, str):
        raise WorkspacesFileError(document)
    return _numbered(document)


def json_entries(text: str) -> Iterator[Entry]:
    """An array of objects, or an object with that array as its member `workspaces`."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as problem:
        reason = f"{problem.msg} (line {problem.lineno}, column {problem.colno})"
    else:
        return _numbered(document)
    raise WorkspacesFileError(f"not valid JSON: {reason}")


def _numbered(document: Any) -> Iterator[Entry]:
    if isinstance(document, dict) and "mutes" in document:
        raise WorkspacesFileError("holds mutes, which have a file of their own: name that file after --mutes")
    entries = document.get("workspaces") if isinstance(document, dict) else document
    if not isinstance(entries, list):
        raise WorkspacesFileError('holds no list of workspaces: [[workspaces]] in TOML, "workspaces": [...] in JSON')
    if isinstance(document, dict) and len(document) > 1:
        others = ", ".join(sorted(set(document) - {"workspaces"}))
        raise WorkspacesFileError(f"unknown at the top level: {others}. Only `workspaces` is read")
    return ((f"entry {number}", entry) for number, entry in enumerate(entries, 1))


def ndjson_entries(text: str) -> Iterator[Entry]:
    """One JSON object a line; blank lines are skipped."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError as problem:
            reason = f"line {number}: not valid JSON: {problem.msg} (column {problem.colno})"
        else:
            yield f"line {number}", entry
            continue
        raise WorkspacesFileError(reason)


def csv_entries(text: str) -> Iterator[Entry]:
    """A header, then one workspace a line. Empty cells are absent fields; `tags` and `expect` are words in a cell."""
    reader = csv.DictReader(StringIO(text, newline=""), strict=True)
    while True:
        try:
            cells = next(reader, None)
            reason = "more cells than the header has" if cells and None in cells else ""
        except csv.Error as problem:
            cells, reason = {}, f"not valid CSV: {problem}"
        if reason:
            raise WorkspacesFileError(f"line {reader.reader.line_num}: {reason}")
        if cells is None:
            return
        filled = {name: cell for name, cell in cells.items() if cell and cell.strip()}
        words = {name: filled[name].replace(",", " ").replace(";", " ").split() for name in LISTS if name in filled}
        yield f"line {reader.line_num}", {**filled, **words}


SOURCES: dict[str, Callable[[str], Iterator[Entry]]] = {
    ".toml": toml_entries,
    ".json": json_entries,
    ".csv": csv_entries,
    ".ndjson": ndjson_entries,
    ".jsonl": ndjson_entries,
}
"""By the file name's ending."""
