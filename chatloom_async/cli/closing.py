"""The last lines of an audit, for people: what it came to, and the command to try next. Text only; prints nothing."""

import glob
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from ..audit.formats.ranking import SEVERITIES, counted
from ..audit.formats.table import severities
from ..audit.summary import Summary
from ..wire.cleaning import clean
from .typed import again, command

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
