"""The closing lines of `chatloom audit`: totals, findings, and the next step. Text only."""

import glob
import shlex
from pathlib import Path

from attrs import frozen

from ..audit.formats.ranking import counted
from ..audit.formats.table import severities
from ..audit.session import AuditOutcome
from ..audit.values import SEVERITIES
from ..wire.cleaning import clean
from .terminal import shell_command

NEW_DB = "audits.db"


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
    """How many hosts the DNS gave no answer for; "" if it was not asked, or answered for all."""
    summary = outcome.summary
    if not summary.unread_hosts:
        return ""
    return f"DNS not read for {summary.unread_hosts:,} of {counted(summary.hosts, 'host')}: the report says why"


@frozen
class NextStep:
    """What to do next: an option to add to the same command, or another command."""

    kind: str
    db: Path | None
    outcome: AuditOutcome

    def text(self) -> str | None:
        """One line, or None if there is nothing better to do than what was done."""
        summary, failing = self.outcome.summary, [name for name in self.outcome.failing if clean(name) == name]
        unread = summary.failed + summary.partial
        if summary.interrupted:
            return (
                "add --resume to continue"
                if self.db
                else f"add --db {NEW_DB}, so that --resume can continue an audit that was interrupted"
            )
        if self.kind == "sandbox":
            return (
                "export CHATLOOM_API_KEY=... && chatloom audit   (or name a file of workspaces: chatloom audit --help)"
            )
        if summary.failed and self.db:
            return f"add --resume to read {counted(summary.failed, 'failed workspace')} again"
        if self.kind == "file" and failing:
            names = " ".join(f"--only {shlex.quote(_pattern(name))}" for name in failing)
            more = f" (and {unread - len(failing)} more)" if unread > len(failing) else ""
            return f"add {names} to read only {'it' if unread == 1 else 'them'} again{more}"
        return None if unread else self._after_a_whole_audit()

    def _after_a_whole_audit(self) -> str | None:
        """Keep the run, compare it, and then fail on new findings only."""
        outcome = self.outcome
        if self.db is None or outcome.run is None:
            return f"add --db {NEW_DB} to keep the run and compare later ones with it"
        if outcome.run > 1:
            runs = [str(outcome.baseline), str(outcome.run)] if outcome.baseline else []
            return shell_command("diff", "--db", str(self.db), *runs)
        if outcome.summary.findings:
            return f"add --baseline {outcome.run} to fail on new findings only"
        return None


def _pattern(name: str) -> str:
    """A glob pattern that matches this name only, and is not taken for an option."""
    return f"[-]{glob.escape(name[1:])}" if name.startswith("-") else glob.escape(name)
