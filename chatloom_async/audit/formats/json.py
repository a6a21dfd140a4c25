"""The formats for programs: `json`, one document with totals, and `jsonl`, one workspace a line."""

from collections.abc import Iterator, Sequence

from ..document import json_text, row_document
from ..summary import Summary
from ..values import Row

SCHEMA_VERSION = 1
"""Raised when a reader of the last version could misread a document; new members do not count."""


class JsonFormat:
    """Also a valid document if the audit was interrupted; `summary.interrupted` says so."""

    def pieces(self, rows: Sequence[Row], summary: Summary) -> Iterator[str]:
        yield f'{{"schema_version": {SCHEMA_VERSION}, "workspaces": ['
        separator = "\n"
        for row in rows:
            yield separator + json_text(row_document(row))
            separator = ",\n"
        yield f'\n], "summary": {json_text(summary.document())}}}\n'


class JsonLinesFormat:
    """One line for each row, written as soon as the workspace is read, and no totals.

    What several workspaces have in common is not known by then, so a line has no findings of rules for overlaps.
    """

    def line(self, row: Row) -> str:
        return json_text(row_document(row)) + "\n"
