"""Shows on stderr how far an audit is: a bar with counts, rate and failures. On anything but a terminal, nothing."""

import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..audit.summary import Summary
from .screen import people


class AuditProgress:
    """A context manager around the audit; `show` is called with the totals after every row."""

    def __init__(self, total: int, *, shown: bool) -> None:
        console = people()
        self._bar = Progress(
            TextColumn("auditing"),
            BarColumn(bar_width=24, complete_style="cyan", finished_style="cyan"),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", style="dim"),
            TextColumn("{task.fields[trouble]}", style="red"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            redirect_stdout=False,
            disable=not (shown and console.is_terminal),
        )
        self._task = self._bar.add_task("", total=total, rate="", trouble="")
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._started

    def show(self, summary: Summary) -> None:
        rate = f"{summary.workspaces / max(self.elapsed, 0.001):.1f}/s"
        counts = ((summary.failed, "failed"), (summary.partial, "partial"))
        trouble = " ".join(f"{count} {name}" for count, name in counts if count)
        self._bar.update(self._task, completed=summary.workspaces, rate=rate, trouble=trouble)
