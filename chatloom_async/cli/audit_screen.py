"""The command as it was typed, so that the next one can be proposed in its words. Text only."""

import asyncio
import glob
import shlex
import signal
import time
from collections.abc import AsyncGenerator, Callable, Container, Iterator, Sequence
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from attrs import define, frozen
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..audit.formats.ranking import counted
from ..audit.formats.table import severities
from ..audit.summary import Summary
from ..audit.values import SEVERITIES
from ..wire.cleaning import clean
from .screen import people

TYPED: ContextVar[Sequence[str]] = ContextVar("TYPED", default=("audit",))
FLAGS = ("--resume",)
"""Options without a value."""


def command(*words: str) -> str:
    """A command of this program, ready to be copied into a shell."""
    return shlex.join(["chatloom", *words])


def again(*more: str, without: Container[str] = (), typed: Sequence[str] | None = None) -> str:
    """The same command without these options and their values, and with what is new at its end."""
    kept: list[str] = []
    words = iter(TYPED.get() if typed is None else typed)
    for word in words:
        name, assigned, _ = word.partition("=")
        if name not in without:
            kept.append(word)
        elif not assigned and name not in FLAGS:
            next(words, None)
    return command(*kept, *more)


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


T = TypeVar("T")

GRACE = 10.0
"""Seconds: enough for a slow answer, and not more than a person, or a machine that is to be shut down, waits."""


@define(eq=False)
class Interrupt:
    """Whether the end was asked for. The task that made it is cancelled once its patience is over."""

    say: Callable[[str], None]
    asked: bool = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handles Ctrl-C inside of it. Where the event loop cannot (Windows, other threads), Ctrl-C cancels at once."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        timers: list[asyncio.TimerHandle] = []

        def ask() -> None:
            if self.asked:
                task.cancel()  # type: ignore[union-attr]  # it runs in one
                return
            self.asked = True
            timers.append(loop.call_later(GRACE, task.cancel))  # type: ignore[union-attr]
            self.say(f"stopping: what is under way has {GRACE:g} s to end; Ctrl-C again ends it at once")

        try:
            loop.add_signal_handler(signal.SIGINT, ask)
        except (NotImplementedError, RuntimeError, ValueError):
            yield
            return
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            for timer in timers:
                timer.cancel()

    async def until_asked(self, items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
        """The items, until the end is asked for."""
        async with aclosing(items):
            async for each in items:
                if self.asked:
                    return
                yield each


ONCE = ("--only", "--exclude", "--tag", "--db", "--resume", "--baseline", "--output", "--html", "--format")
"""Options that a second look at a few workspaces does without: it is no run of its own, and overwrites no report."""

NEW_DB = "audits.db"


def totals(summary: Summary, asked: int, elapsed: float, before: Summary) -> str:
    """One line of totals; where the audit was interrupted, it begins with how far it came.

    `elapsed` seconds are what this took; `before` is the part of it that was there already, from an earlier one.
    """
    states = ((summary.ok, "ok"), (summary.partial, "partial"), (summary.failed, "failed"))
    told = ", ".join(f"{count:,} {state}" for count, state in states if count)
    reach = f"interrupted after {summary.workspaces:,} of " if summary.interrupted else ""
    requests = summary.requests - before.requests
    work = ((summary.agents, "agent"), (summary.domains, "domain"), (requests, "request"))
    done = ", ".join(counted(number, noun) for number, noun in work)
    kept = (
        f", after {counted(before.requests, 'request')} for {before.workspaces:,} of them" if before.workspaces else ""
    )
    return f"{reach}{counted(asked, 'workspace')}{': ' if told else ''}{told} | {done} in {elapsed:.1f} s{kept}"


def findings(summary: Summary, worst: Sequence[str], *, new: int, muted: int, baseline: int | None) -> str:
    """One line of findings: how many of each severity, how many of them are new, and where to begin."""
    told = ", ".join(severities(count, each) for each in SEVERITIES if (count := getattr(summary, each)))
    parts = (
        f"findings: {told}" if told else "nothing found" if summary.ok or summary.partial else "nothing was read",
        f"{new:,} new since run {baseline}" if baseline is not None else "",
        f"{muted:,} muted" if muted else "",
        f"begin with {', '.join(worst)}" if summary.workspaces > len(worst) > 0 else "",
    )
    return " | ".join(part for part in parts if part)


@frozen(kw_only=True)
class Situation:
    """What the next step depends on. `run` and `db` are where the rows were kept, if they were. `unread` workspaces
    were not read as a whole, and `failed` of them not at all."""

    kind: str
    failing: Sequence[str]
    unread: int
    failed: int
    findings: int
    interrupted: bool
    db: Path | None
    run: int | None
    baseline: int | None


def advice(now: Situation) -> str | None:
    """The next command to try, or None where there is nothing better than what was done."""
    typable = [name for name in now.failing if clean(name) == name]
    if now.interrupted:
        return resumed() if now.db else f"{again('--db', NEW_DB)}   (what is kept there, --resume can continue)"
    if now.failed and now.db and now.kind != "sandbox":
        return f"{resumed()}   (reads the {now.failed:,} failed again, and keeps the others)"
    if now.kind == "file" and typable:
        chosen = (word for name in typable for word in ("--only", _pattern(name)))
        more = f"   (and {now.unread - len(typable)} more)" if now.unread > len(typable) else ""
        return f"{again(*chosen, without=ONCE)}{more}"
    if now.kind == "sandbox":
        return "export CHATLOOM_API_KEY=... && chatloom audit   (or name a file of workspaces: chatloom audit --help)"
    if now.unread:
        return None
    return _compared(now)


def _pattern(name: str) -> str:
    """What matches this name only, and is not taken for an option."""
    return f"[-]{glob.escape(name[1:])}" if name.startswith("-") else glob.escape(name)


def resumed(typed: Sequence[str] | None = None) -> str:
    """The command that goes on with a run, which was begun by these words, or by those that were typed now."""
    return again("--resume", without=("--resume",), typed=typed)


def _compared(now: Situation) -> str | None:
    """What to do once all was read: keep it, compare it, and then watch for what is new."""
    if now.db is None:
        return f"{again('--db', NEW_DB)}   (keeps the run, to compare later ones with it)"
    if now.run is not None and now.run > 1:
        return command("diff", "--db", str(now.db), *([str(now.baseline), str(now.run)] if now.baseline else []))
    if now.findings:
        return f"{again('--baseline', str(now.run), without=('--resume', '--baseline'))}   (fails on new findings only)"
    return None
