"""CSV for spreadsheets: one line a finding, and one line for each workspace that has none, so that none is missing.

The line of a workspace has empty fields where a finding's would be; a filter on `finding_id` tells them apart. The form
is that of RFC 4180: a heading, fields in quotes, CRLF.

A file begins with a byte order mark: without it, Excel reads UTF-8 as the encoding of the machine and shows an umlaut
as two letters. Standard output has none, because other programs take it for a part of the first heading. Python reads
both with the encoding "utf-8-sig".

What a spreadsheet could take for a formula begins with an apostrophe, as OWASP advises. Programs that want the plain
values read JSON.
"""

import csv
from collections.abc import Iterator, Sequence
from io import StringIO

from ..summary import Summary
from ..values import Row
from .text import visible

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
    for each in row.findings:
        agent = each.agent_id or "", names.get(each.agent_id or "", "")
        yield (row.workspace, row.state, each.severity, each.rule, *agent, each.subject, each.message, each.id, *last)


def _line(fields: tuple[str, ...]) -> str:
    line = StringIO(newline="")
    csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow([_inert(each) for each in fields])
    return line.getvalue()


def _inert(text: str) -> str:
    """Blanks before the formula are no protection: some programs trim a field before they look at it.

    Tab, CR and LF, which OWASP names too, are spaces by then.
    """
    text = visible(text)
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text
