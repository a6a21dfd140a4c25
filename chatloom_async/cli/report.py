"""Runs an audit into a format: rows to where data goes, progress and closing lines to people."""

from asyncio import CancelledError
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TextIO

from attrs import Factory, define

from ..audit.formats.document import JsonFormat
from ..audit.formats.interface import Format
from ..audit.formats.jsonl import JsonLinesFormat
from ..audit.formats.table import TableFormat
from ..audit.summary import Summary
from ..audit.values import Row
from .progress import AuditProgress
from .screen import FormatName, look


def _table(stream: TextIO) -> Format:
    shown = look(stream)
    return TableFormat(width=shown.width, color=shown.color)


FORMATS: dict[FormatName, Callable[[TextIO], Format]] = {
    "table": _table,
    "json": lambda _: JsonFormat(),
    "jsonl": lambda _: JsonLinesFormat(),
}


@define
class Result:
    """What is left of an audit when its rows are written. `elapsed` is in seconds."""

    summary: Summary = Factory(Summary)
    failing: list[str] = Factory(list)
    elapsed: float = 0.0


async def write_report(rows: AsyncGenerator[Row, None], name: FormatName, stream: TextIO, total: int) -> Result:
    """Writes every row as it comes, and returns the totals.

    Being cancelled (Ctrl-C) ends it early, not in error: the format is closed, and `summary.interrupted` is True.
    """
    form, result = FORMATS[name](stream), Result()
    _write(stream, form.start())
    try:
        await _write_rows(rows, form, stream, total, result, bar=name == "table" or not stream.isatty())
    except CancelledError:
        result.summary.interrupted = True
    _write(stream, form.end(result.summary))
    return result


async def _write_rows(
    rows: AsyncGenerator[Row, None], form: Format, stream: TextIO, total: int, result: Result, *, bar: bool
) -> None:
    """`bar`: show progress. Not where rows appear on a terminal, since both would write over each other."""
    with AuditProgress(total, shown=bar) as progress:
        async with aclosing(rows):
            async for row in rows:
                _write(stream, form.row(row))
                result.summary.add(row)
                result.failing += [row.workspace] if row.error else []
                result.elapsed = progress.elapsed
                progress.show(result.summary)


def _write(stream: TextIO, text: str) -> None:
    if text:
        stream.write(text)
        stream.flush()  # whoever reads along sees every row at once, and a closed pipe is noticed
