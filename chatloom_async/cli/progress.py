"""The progress bar of `chatloom audit`, on standard error. It shows totals and decides nothing."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..audit.session import AuditOutcome
from ..wire.cleaning import clean
from .terminal import stderr_console


class AuditProgress:
    """A context manager around the audit. Call `show` after every row. `clock` returns seconds."""

    def __init__(self, total: int, *, shown: bool, clock: Callable[[], float] = time.monotonic) -> None:
        console = stderr_console()
        self._bar = Progress(
            TextColumn("auditing"),
            BarColumn(bar_width=20, complete_style="cyan", finished_style="cyan"),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", style="dim"),
            TextColumn("{task.fields[findings]}", style="yellow"),
            TextColumn("{task.fields[failures]}", style="red"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
            transient=True,
            redirect_stdout=False,
            disable=not (shown and console.is_terminal),
        )
        self._task = self._bar.add_task("", total=total, rate="", findings="", failures="")
        self._clock, self._started, self._last_text = clock, clock(), ""

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Takes the bar off the terminal, for what is printed next."""
        self._bar.stop()

    def say(self, text: str) -> None:
        """Prints a line above the bar, unless it is the same as the last one."""
        if text != self._last_text:
            self._bar.console.print(clean(text), style="yellow", soft_wrap=not self._bar.console.is_terminal)
        self._last_text = text

    def show(self, outcome: AuditOutcome) -> None:
        """The totals so far. Rows that a resumed run had already do not count for the rate and the time left."""
        summary = outcome.summary
        read = summary.workspaces - outcome.resumed.workspaces
        if not read:
            self._bar.reset(self._task, completed=summary.workspaces)
        counts = ((summary.failed, "failed"), (summary.partial, "partial"))
        self._bar.update(
            self._task,
            completed=summary.workspaces,
            rate=self._rate(read),
            findings=f"{summary.findings:,} findings" if summary.findings else "",
            failures=" ".join(f"{count} {name}" for count, name in counts if count),
        )

    def _rate(self, read: int) -> str:
        """Workspaces per second; empty in the first second, which is too short to tell."""
        elapsed = self._clock() - self._started
        return f"{read / elapsed:.{0 if read >= 10 * elapsed else 1}f}/s" if elapsed >= 1 else ""
