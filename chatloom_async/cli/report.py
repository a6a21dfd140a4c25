"""Writes an audit into its formats: rows to where data goes, as they come, and progress to people."""

from asyncio import CancelledError, current_task
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from attrs import Factory, define

from ..audit.formats.ranking import WorstOf
from ..audit.formats.table import Block
from ..audit.summary import Summary
from ..audit.values import Row
from .forms import Output
from .progress import AuditProgress

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
    rows: AsyncGenerator[Row, None], outputs: Sequence[Output], progress: AuditProgress, total: int
) -> Result:
    """Writes every row as it comes, and returns the totals.

    Where it ends early, because the rows do or because it is cancelled (Ctrl-C), the formats are closed all the same,
    and `summary.interrupted` is True.
    """
    result = Result()
    for output in outputs:
        output.start()
    try:
        with progress:
            async with aclosing(rows):
                async for row in rows:
                    for output in outputs:
                        output.row(row)
                    result.add(row)
                    progress.show(result.summary)
    except CancelledError:
        current_task().uncancel()  # type: ignore[union-attr]  # so that what is left to do can be awaited
    result.elapsed = progress.elapsed
    result.summary.interrupted = result.summary.workspaces < total
    for output in outputs:
        output.end(result.summary)
    return result
