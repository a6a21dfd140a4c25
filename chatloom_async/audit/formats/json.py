"""The formats for programs: `json`, one document with totals, and `jsonl`, one workspace a line."""

from ..document import json_text, row_document
from ..summary import Summary
from ..values import Row

SCHEMA_VERSION = 1
"""Raised when a reader of the last version could misread a document; new members do not count."""


class JsonFormat:
    """Also a valid document when the audit was interrupted; `summary.interrupted` says so."""

    def __init__(self) -> None:
        self._separator = "\n"

    def start(self) -> str:
        return f'{{"schema_version": {SCHEMA_VERSION}, "workspaces": ['

    def row(self, row: Row) -> str:
        separator, self._separator = self._separator, ",\n"
        return separator + json_text(row_document(row))

    def end(self, summary: Summary) -> str:
        return f'\n], "summary": {json_text(summary.document())}}}\n'


class JsonLinesFormat:
    """Nothing but rows; the totals are for whoever counts them."""

    def start(self) -> str:
        return ""

    def row(self, row: Row) -> str:
        return json_text(row_document(row)) + "\n"

    def end(self, summary: Summary) -> str:
        return ""
