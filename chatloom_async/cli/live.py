"""An audit under way: rows that were kept and rows that are read, past the verdict, into a format."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from attrs import define

from ..audit.rules import Judge
from ..audit.summary import Summary
from ..audit.values import Row
from ..engines import EngineLostError
from .audit_inputs import Recording
from .audit_outputs import Output, Result, write_report
from .audit_readers import Reader
from .audit_screen import AuditProgress, Interrupt
from .verdict import Verdict


@define
class Live:
    """An audit that is ready to run. `lost` tells afterwards whether it ended because its workers were out of reach."""

    record: Recording
    judge: Judge
    outcome: Verdict
    reader: Reader
    progress: AuditProgress
    lost: bool = False

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
        before = Summary()
        async with aclosing(self.record.kept(self.judge)) as kept:
            async for row in kept:
                before.add(row)
                yield await self.outcome.on(row)
        self.progress.begin(before)
        async with aclosing(self.reader.rows(self.record, self.judge, interrupt)) as rows:
            try:
                async for row in rows:
                    yield await self.outcome.on(row)
            except EngineLostError as lost:  # what was read until then is worth its report
                self.lost = True
                self.progress.say(f"stopped: {lost}")
