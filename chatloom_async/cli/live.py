"""An audit under way: rows that were kept and rows that are read, past the verdict, into a format."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from attrs import frozen

from ..audit import runner
from ..audit.outage import PROBE_EVERY
from ..audit.rules import Judge
from ..audit.values import Row
from ..client import AsyncChatloom
from .forms import Output
from .interrupt import Interrupt
from .progress import AuditProgress
from .recording import Recording
from .report import Result, write_report
from .verdict import Verdict


@frozen
class Live:
    """An audit that is ready to run."""

    record: Recording
    judge: Judge
    outcome: Verdict
    client: AsyncChatloom
    concurrency: int
    progress: AuditProgress

    async def written(self, outputs: Sequence[Output]) -> Result:
        """Audits, reports every row as it comes, and ends the run."""
        interrupt = Interrupt(self.progress.say)
        with interrupt.listening():
            rows = self._rows(interrupt)
            result = await write_report(rows, outputs, self.progress, len(self.record.workspaces))
        await self.record.finish(interrupted=result.summary.interrupted)
        return result

    async def _rows(self, interrupt: Interrupt) -> AsyncGenerator[Row, None]:
        """What was kept, then what is read now, each without muted findings."""
        async with aclosing(self.record.kept(self.judge)) as kept:
            async for row in kept:
                yield await self.outcome.on(row)
        rows = runner.audit(
            interrupt.until_asked(self.record.pending()),
            client=self.client,
            judge=self.judge,
            run=self.record.run,
            concurrency=self.concurrency,
            on_pause=self._pause,
        )
        async with aclosing(rows):
            async for row in rows:
                yield await self.outcome.on(row)

    def _pause(self, _: float) -> None:
        self.progress.say(f"paused: too many calls fail; one workspace is tried again every {PROBE_EVERY:g} s")
