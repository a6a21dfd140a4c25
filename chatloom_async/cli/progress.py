"""What `chatloom audit` shows people: the progress bar, and the closing lines. It shows totals and decides nothing."""

import glob
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ..audit.formats.table import severities
from ..audit.formats.text import counted
from ..audit.session import AuditOutcome
from ..audit.values import SEVERITIES
from ..policy.keys import ENVIRONMENT_VARIABLE
from ..wire.cleaning import clean
from .sources import Kind
from .terminal import forget_stream, notice, shell_command, terminal_style

if TYPE_CHECKING:
    from rich.progress import Progress


class AuditProgress:
    """A context manager around the audit. Call `show` after every row. `clock` returns seconds.

    There is no bar without a terminal, or if `shown` is false. Only `say` prints something then.
    """

    def __init__(self, total: int, *, shown: bool, clock: Callable[[], float] = time.monotonic) -> None:
        width = terminal_style(sys.stderr).width if shown else None
        self._bar = None if width is None else _bar(width)
        self._task = self._bar.add_task("", total=total, rate="", findings="", failures="") if self._bar else None
        self._clock, self._started, self._last_text = clock, clock(), ""

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Takes the bar off the terminal, for what is printed next."""
        if self._bar:
            self._bar.stop()

    def say(self, text: str) -> None:
        """Prints a line above the bar, unless it is the same as the last one."""
        if text != self._last_text and self._bar:
            self._bar.console.print(clean(text), style="yellow")
        elif text != self._last_text:
            notice(text, "yellow")
        self._last_text = text

    def show(self, outcome: AuditOutcome) -> None:
        """The totals so far. Rows that a resumed run had already do not count for the rate and the time left."""
        if self._bar is None or self._task is None:
            return
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


def _bar(width: int) -> "Progress":
    """The bar, on standard error. A width is given, since rich would loop for ever on a few columns."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    class StandardError(Console):
        """Without a reader it is silent; rich would discard standard output, too, and end the command."""

        def on_broken_pipe(self) -> None:
            forget_stream(sys.stderr)

    return Progress(
        TextColumn("auditing"),
        BarColumn(bar_width=20, complete_style="cyan", finished_style="cyan"),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}", style="dim"),
        TextColumn("{task.fields[findings]}", style="yellow"),
        TextColumn("{task.fields[failures]}", style="red"),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=StandardError(stderr=True, highlight=False, markup=False, emoji=False, width=width),
        transient=True,
        redirect_stdout=False,
    )


NEW_DB = "audits.db"
NAMES_SHOWN = 3


def totals(outcome: AuditOutcome) -> str:
    """One line of totals; that of an interrupted audit begins with how far it came."""
    summary, resumed = outcome.summary, outcome.resumed
    states = ((summary.ok, "ok"), (summary.partial, "partial"), (summary.failed, "failed"))
    parts = ", ".join(f"{count:,} {state}" for count, state in states if count)
    reach = f"interrupted after {summary.workspaces:,} of " if summary.interrupted else ""
    requests = summary.requests - resumed.requests
    work = ((summary.agents, "agent"), (summary.domains, "domain"), (requests, "request"))
    done = ", ".join(counted(number, noun) for number, noun in work)
    earlier = (
        f", after {counted(resumed.requests, 'request')} for {resumed.workspaces:,} of them"
        if resumed.workspaces
        else ""
    )
    planned = counted(outcome.planned, "workspace")
    return f"{reach}{planned}{': ' if parts else ''}{parts} | {done} in {outcome.elapsed:.1f} s{earlier}"


def findings(outcome: AuditOutcome) -> str:
    """One line of findings: how many of each severity, how many are new, and which workspaces to begin with."""
    summary, worst = outcome.summary, outcome.worst
    counts = ", ".join(severities(count, severity) for severity in SEVERITIES if (count := getattr(summary, severity)))
    read = summary.ok or summary.partial
    parts = (
        f"findings: {counts}" if counts else "nothing found" if read else "nothing was read",
        f"{outcome.new.total():,} new since run {outcome.baseline}" if outcome.baseline is not None else "",
        f"{outcome.muted:,} muted" if outcome.muted else "",
        f"begin with {', '.join(worst)}" if summary.workspaces > len(worst) > 0 else "",
    )
    return " | ".join(part for part in parts if part)


def dns_gaps(outcome: AuditOutcome) -> str:
    """How many hosts could not be looked up in the DNS; "" if none, or if it was not asked."""
    summary = outcome.summary
    if not summary.unread_hosts:
        return ""
    return f"DNS not read for {summary.unread_hosts:,} of {counted(summary.hosts, 'host')}: the report says why"


def next_step(kind: Kind, db: Path | None, outcome: AuditOutcome, unset: Sequence[str] = ()) -> str | None:
    """What to do next: add an option to the same command, or run another one. None if nothing is left to do.

    `unset` are the environment variables that keys were looked for in, and that are not set.
    """
    summary, unread = outcome.summary, outcome.summary.failed + outcome.summary.partial
    failing = [name for name in outcome.failing if clean(name) == name]
    if summary.interrupted and db:
        return "add --resume to continue"
    if summary.interrupted:
        return f"add --db {NEW_DB}, so that --resume can continue an audit that was interrupted"
    if kind == "sandbox" and ENVIRONMENT_VARIABLE in os.environ:
        return "leave out --sandbox to audit the workspace of your key"
    if kind == "sandbox":
        return "export CHATLOOM_API_KEY=... && chatloom audit   (or name a file of workspaces: chatloom audit --help)"
    more = f" and {len(unset) - NAMES_SHOWN:,} more variables" if len(unset) > NAMES_SHOWN else ""
    first = f"set {', '.join(unset[:NAMES_SHOWN])}{more}, then " if unset else ""
    if summary.failed and db:
        return f"{first}add --resume to read {counted(summary.failed, 'failed workspace')} again"
    if kind == "file" and summary.failed > NAMES_SHOWN:
        return f"{first}run it again with --db {NEW_DB}; if some fail then, --resume reads only those"
    if kind == "file" and failing:
        names = " ".join(f"--only {shlex.quote(_pattern(name))}" for name in failing)
        more = f" (and {unread - len(failing)} more)" if unread > len(failing) else ""
        return f"{first}add {names} to read only {'it' if unread == 1 else 'them'} again{more}"
    if unread:
        return None
    if db is None or outcome.run is None:  # then keep the run, compare it, and fail on new findings only
        return f"add --db {NEW_DB} to keep the run and compare later ones with it"
    if outcome.run > 1:
        runs = [str(outcome.baseline), str(outcome.run)] if outcome.baseline else []
        return shell_command("diff", "--db", str(db), *runs)
    return f"add --baseline {outcome.run} to fail on new findings only" if summary.findings else None


def _pattern(name: str) -> str:
    """A glob pattern that matches this name only, and is not taken for an option."""
    return f"[-]{glob.escape(name[1:])}" if name.startswith("-") else glob.escape(name)
