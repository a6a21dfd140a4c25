"""Formats for programs and spreadsheets: `json` (one document), `jsonl` (a line per workspace) and `csv` (per finding).

CSV has a line for each workspace without findings, too. Its fields for a finding are empty; a filter on `finding_id`
tells them apart. The form is that of RFC 4180: a heading, fields in quotes, CRLF.

A CSV file begins with a byte order mark: without it, Excel reads UTF-8 as the encoding of the machine and shows an
umlaut as two letters. Standard output has none, because other programs take it for a part of the first heading. Python
reads both with the encoding "utf-8-sig". Text that a spreadsheet could take for a formula begins with an apostrophe, as
OWASP advises. Programs that want the plain values read JSON.
"""

import csv
from collections.abc import Iterator, Sequence
from io import StringIO

from ...wire.encode import json_text
from ..document import row_document
from ..values import Row, Summary
from .text import visible

SCHEMA_VERSION = 1  # raised when a reader of the last version could misread a document; new members do not count


class JsonFormat:
    """The document is valid also if the audit was interrupted: `summary.interrupted` says so."""

    def pieces(self, rows: Sequence[Row], summary: Summary) -> Iterator[str]:
        yield f'{{"schema_version": {SCHEMA_VERSION}, "workspaces": ['
        separator = "\n"
        for row in rows:
            yield separator + json_text(row_document(row))
            separator = ",\n"
        yield f'\n], "summary": {json_text(summary.document())}}}\n'


class JsonLinesFormat:
    """One line for each row, written as soon as the workspace is read, and no totals.

    What several workspaces have in common is not known yet, so a line has no findings of rules for overlaps.
    """

    def line(self, row: Row) -> str:
        return json_text(row_document(row)) + "\n"


COLUMNS = (
    *("workspace", "state", "severity", "rule", "agent_id", "agent_name", "subject", "message", "finding_id"),
    *("error_type", "error", "agents", "domains", "requests"),
)
FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # and their full-width forms
NOTHING = ("",) * 7


class CsvFormat:
    """Totals are left to the spreadsheet. `bom`: begin with a byte order mark."""

    def __init__(self, *, bom: bool = False) -> None:
        self._bom = bom

    def pieces(self, rows: Sequence[Row], summary: Summary) -> Iterator[str]:
        yield "\ufeff" * self._bom + _line(COLUMNS)
        for row in rows:
            yield "".join(map(_line, _lines(row)))


def _lines(row: Row) -> Iterator[tuple[str, ...]]:
    names = row.names
    error = (row.error.type, row.error.message) if row.error else ("", "")
    last = (*error, str(len(row.agents)), str(row.domain_count), str(row.requests))
    if not row.findings:
        yield (row.workspace, row.state, *NOTHING, *last)
    for finding in row.findings:
        agent = finding.agent_id or "", names.get(finding.agent_id or "", "")
        about = (*agent, finding.subject, finding.message, finding.id)
        yield (row.workspace, row.state, finding.severity, finding.rule, *about, *last)


def _line(fields: tuple[str, ...]) -> str:
    line = StringIO(newline="")
    csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow(list(map(_inert, fields)))
    return line.getvalue()


def _inert(text: str) -> str:
    """The text with an apostrophe before a formula, also after blanks: some programs trim a field before they read it.

    `visible` has made spaces of tab, CR and LF, which OWASP names too.
    """
    text = visible(text)
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text
