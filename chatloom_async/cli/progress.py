"""Shows on stderr how far an audit is: a bar with counts, rate and what was found. On anything but a terminal, nothing
but what has to be said."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..audit.summary import Summary
from ..wire.cleaning import clean
from .screen import people


class AuditProgress:
    """A context manager around the audit; `show` is called with the totals after every row.

    `before` are the totals of what an earlier part of the run left, which count for no rate. `clock` gives seconds.
    """

    def __init__(self, total: int, *, shown: bool, clock: Callable[[], float] = time.monotonic) -> None:
        console = people()
        self._bar = Progress(
            TextColumn("auditing"),
            BarColumn(bar_width=20, complete_style="cyan", finished_style="cyan"),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", style="dim"),
            TextColumn("{task.fields[found]}", style="yellow"),
            TextColumn("{task.fields[trouble]}", style="red"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
            transient=True,
            redirect_stdout=False,
            disable=not (shown and console.is_terminal),
        )
        self._task = self._bar.add_task("", total=total, rate="", found="", trouble="")
        self._clock, self._started, self._said = clock, clock(), ""
        self.before: Summary = Summary()

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
        return self._clock() - self._started

    def begin(self, before: Summary) -> None:
        """From here on rows are read: what is left takes as long as these say, not those that were there."""
        self.before = before
        self._bar.reset(self._task, completed=before.workspaces)

    def say(self, text: str) -> None:
        """A line above the bar; the same one is not said twice in a row."""
        if text != self._said:
            self._bar.console.print(clean(text), style="yellow", soft_wrap=not self._bar.console.is_terminal)
        self._said = text

    def show(self, summary: Summary) -> None:
        counts = ((summary.failed, "failed"), (summary.partial, "partial"))
        self._bar.update(
            self._task,
            completed=summary.workspaces,
            rate=self._rate(summary.workspaces - self.before.workspaces),
            found=f"{summary.findings:,} findings" if summary.findings else "",
            trouble=" ".join(f"{count} {name}" for count, name in counts if count),
        )

    def _rate(self, read: int) -> str:
        """Of all that was read; nothing in the first second, from which nothing follows."""
        return f"{read / self.elapsed:.{0 if read >= 10 * self.elapsed else 1}f}/s" if self.elapsed >= 1 else ""
