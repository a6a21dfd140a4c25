"""The last lines of an audit, for people: what it came to, and the command to try next. Text only; prints nothing."""

import glob
import shlex
from collections.abc import Sequence
from pathlib import Path

from ..audit.summary import Summary
from ..wire.errors import clean

NAMES_SHOWN = 3


def totals(summary: Summary, asked: int, elapsed: float) -> str:
    """One line of totals; where the audit was interrupted, it begins with how far it came."""
    states = ((summary.ok, "ok"), (summary.partial, "partial"), (summary.failed, "failed"))
    told = ", ".join(f"{count} {state}" for count, state in states if count)
    reach = f"interrupted after {summary.workspaces} of " if summary.interrupted else ""
    work = ((summary.agents, "agent"), (summary.domains, "domain"), (summary.requests, "request"))
    done = ", ".join(_count(number, noun) for number, noun in work)
    return f"{reach}{_count(asked, 'workspace')}{': ' if told else ''}{told} | {done} in {elapsed:.1f} s"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def advice(kind: str, given: Path | None, failing: Sequence[str], *, to_screen: bool) -> str | None:
    """The next command to try, or None where there is nothing better than what was done."""
    command = f"chatloom audit {shlex.quote(str(given))}" if given else "chatloom audit"
    typable = [name for name in failing if clean(name) == name]
    if kind == "file" and typable:
        names = " ".join(f"--only {shlex.quote(glob.escape(name))}" for name in typable[:NAMES_SHOWN])
        more = f"   (and {len(failing) - NAMES_SHOWN} more)" if len(failing) > NAMES_SHOWN else ""
        return f"{command} {names}{more}"
    if kind == "sandbox":
        return "export CHATLOOM_API_KEY=... && chatloom audit   (or name a file of workspaces: chatloom audit --help)"
    if to_screen and not failing:
        return f"{command} --format json --output report.json"
    return None
