"""Writes an audit into a format: rows to where data goes, as they come, and progress to people."""

from asyncio import CancelledError, current_task
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TextIO

from attrs import Factory, define

from ..audit.formats.blocks import Block
from ..audit.formats.document import JsonFormat
from ..audit.formats.guidance import RuleTexts
from ..audit.formats.interface import Format
from ..audit.formats.jsonl import JsonLinesFormat
from ..audit.formats.table import TableFormat
from ..audit.formats.worst import WorstOf
from ..audit.summary import Summary
from ..audit.values import Row
from .progress import AuditProgress
from .screen import FormatName, look


def _table(stream: TextIO, texts: RuleTexts) -> Format:
    shown = look(stream)
    return TableFormat(texts, width=shown.width, color=shown.color)


FORMATS: dict[FormatName, Callable[[TextIO, RuleTexts], Format]] = {
    "table": _table,
    "json": lambda _, __: JsonFormat(),
    "jsonl": lambda _, __: JsonLinesFormat(),
}
"""How each is made, from where it goes to and what is known of the rules."""

NAMES_KEPT = 3


@define
class Result:
    """What is left of an audit when its rows are written. `elapsed` is in seconds.

    `failing` names a few workspaces that were not fully audited, `worst` those with the gravest findings.
    """

    summary: Summary = Factory(Summary)
    failing: list[str] = Factory(list)
    elapsed: float = 0.0
    _blocks: WorstOf[Block] = Factory(lambda: WorstOf(NAMES_KEPT))

    @property
    def worst(self) -> list[str]:
        return [each.workspace for each in self._blocks.items()]

    def add(self, row: Row) -> None:
        self.summary.add(row)
        if row.findings:
            self._blocks.add(Block.of(row))
        if row.error and len(self.failing) < NAMES_KEPT:
            self.failing.append(row.workspace)


async def write_report(
    rows: AsyncGenerator[Row, None], form: Format, stream: TextIO, progress: AuditProgress, total: int
) -> Result:
    """Writes every row as it comes, and returns the totals.

    Where it ends early, because the rows do or because it is cancelled (Ctrl-C), the format is closed all the same,
    and `summary.interrupted` is True.
    """
    result = Result()
    _write(stream, form.start())
    try:
        with progress:
            async with aclosing(rows):
                async for row in rows:
                    _write(stream, form.row(row))
                    result.add(row)
                    progress.show(result.summary)
    except CancelledError:
        current_task().uncancel()  # type: ignore[union-attr]  # so that what is left to do can be awaited
    result.elapsed = progress.elapsed
    result.summary.interrupted = result.summary.workspaces < total
    _write(stream, form.end(result.summary))
    return result


def _write(stream: TextIO, text: str) -> None:
    if text:
        stream.write(text)
        stream.flush()  # whoever reads along sees every row at once, and a closed pipe is noticed
