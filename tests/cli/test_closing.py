"""What an audit says at its end, and on the way: the next command, pauses, and how it ends when asked to."""

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from chatloom_async.audit import Summary
from chatloom_async.cli import audit_screen
from chatloom_async.cli.app import command_line
from chatloom_async.cli.audit_readers import telling
from chatloom_async.cli.audit_screen import (
    ONCE,
    TYPED,
    AuditProgress,
    Interrupt,
    Situation,
    advice,
    again,
    findings,
    totals,
)
from chatloom_async.cli.estimate import Estimate, estimated

DB = Path("a.db")
TRY = "export CHATLOOM_API_KEY=... && chatloom audit   (or name a file of workspaces: chatloom audit --help)"


@pytest.mark.parametrize(
    ("situation", "next_step"),
    [
        ({}, "chatloom audit w.toml --db audits.db   (keeps the run, to compare later ones with it)"),
        ({"db": DB, "run": 1}, None),
        ({"db": DB, "run": 1, "findings": 3}, "chatloom audit w.toml --baseline 1   (fails on new findings only)"),
        ({"db": DB, "run": 3}, "chatloom diff --db a.db"),
        ({"db": DB, "run": 3, "baseline": 1}, "chatloom diff --db a.db 1 3"),
        ({"failing": ["b*"], "unread": 1}, "chatloom audit w.toml --only 'b[*]'"),
        ({"failing": ["b", "c", "d"], "unread": 9}, "chatloom audit w.toml --only b --only c --only d   (and 6 more)"),
        ({"failing": ["b\x1b"], "unread": 1}, None),
        ({"kind": "key", "failing": ["default"], "unread": 1}, None),
        (
            {"failing": ["b"], "unread": 2000, "failed": 1000, "db": DB, "run": 1},
            "chatloom audit w.toml --resume   (reads the 1,000 failed again, and keeps the others)",
        ),
        (
            {"kind": "key", "failing": ["default"], "unread": 1, "failed": 1, "db": DB, "run": 1},
            "chatloom audit w.toml --resume   (reads the 1 failed again, and keeps the others)",
        ),
        ({"failing": ["b"], "unread": 1, "db": DB, "run": 2}, "chatloom audit w.toml --only b"),
        ({"kind": "sandbox", "failing": ["b"], "unread": 1, "failed": 1, "db": DB, "run": 1}, TRY),
        ({"interrupted": True, "db": DB, "run": 1}, "chatloom audit w.toml --resume"),
        (
            {"interrupted": True, "failing": ["b"], "unread": 1},
            "chatloom audit w.toml --db audits.db   (what is kept there, --resume can continue)",
        ),
    ],
)
def test_the_next_step_follows_from_the_situation(situation: dict[str, object], next_step: str | None) -> None:
    """Continue, look again, keep, compare, and then watch for what is new."""
    TYPED.set(("audit", "w.toml"))
    given = {"kind": "file", "failing": [], "unread": 0, "failed": 0, "findings": 0, "interrupted": False}
    now = {**given, "db": None, "run": None, "baseline": None, **situation}
    assert advice(Situation(**now)) == next_step  # type: ignore[arg-type]


OPTIONS = {
    "--only": "a*", "--tag": "eu", "--rule": "domain-*", "--mutes": "m.toml", "--format": "sarif", "--output": "r",
    "--html": "r.html", "--concurrency": "9", "--fail-on": "info", "--base-url": "https://x.example",
}  # fmt: skip
HISTORY = st.sampled_from([(), ("--db", "a.db"), ("--db=a.db", "--resume"), ("--db", "a.db", "--baseline", "1")])


@settings(deadline=None, max_examples=50)
@given(
    options=st.sets(st.sampled_from(sorted(OPTIONS))),
    history=HISTORY,
    failing=st.lists(st.sampled_from(["b", "my shop", "-x", "*"]), unique=True, max_size=3),
    whole=st.booleans(),
    interrupted=st.booleans(),
    run=st.integers(1, 2),
)
def test_every_next_step_is_a_command_that_the_program_takes(
    options: set[str], history: tuple[str, ...], failing: list[str], whole: bool, interrupted: bool, run: int
) -> None:
    """With all that was typed, or, as a second look, without what would overwrite a report or be no run."""
    typed = ("audit", "w.toml", *(word for name in sorted(options) for word in (name, OPTIONS[name])), *history)
    TYPED.set(typed)
    failed = 0 if whole else len(failing)
    now = Situation(
        kind="file", failing=failing, unread=len(failing), failed=failed, findings=1, interrupted=interrupted,
        db=DB if history else None, run=run if history else None, baseline=1 if "--baseline" in history else None,
    )  # fmt: skip
    words = shlex.split((advice(now) or "").partition("   (")[0])
    assert words[0] == "chatloom"
    command_line(words[1]).parse_args(words[1:], print_error=False, exit_on_error=False)
    if words[1] == "audit":
        second_look = bool(failing) and not interrupted and not (failed and history)
        lost = {word for word in typed if word.startswith("--")} - set(words)
        assert lost <= ({*ONCE, "--db=a.db"} if second_look else {"--resume"})  # which ends where the run does


def test_a_second_look_overwrites_no_report() -> None:
    """It goes to the screen, and is no run of its own."""
    report = ("--output", "r.md", "--format=markdown", "--html", "r.html", "--db", "a.db", "--resume", "--baseline=1")
    TYPED.set(("audit", "w.toml", *report, "--tag", "eu", "--only", "*", "--mutes", "m.toml"))
    now = Situation(
        kind="file", failing=["b"], unread=1, failed=0, findings=0, interrupted=False, db=DB, run=2, baseline=1
    )
    assert advice(now) == "chatloom audit w.toml --mutes m.toml --only b"


def test_a_command_is_proposed_in_the_words_in_which_it_was_typed() -> None:
    """Without the options that do not fit, and quoted for a shell."""
    TYPED.set(("audit", "my file.toml", "--only", "a", "--only=b", "--resume", "--db", "a.db", "--tag", "eu"))
    assert again("--only", "c d", without=("--only", "--db", "--resume")) == (
        "chatloom audit 'my file.toml' --tag eu --only 'c d'"
    )
    TYPED.set(("audit", "w.toml", "--resume", "--baseline=1"))
    now = Situation(
        kind="file", failing=[], unread=0, failed=0, findings=1, interrupted=False, db=DB, run=1, baseline=1
    )
    assert advice(now) == "chatloom audit w.toml --baseline 1   (fails on new findings only)"
    TYPED.set(("audit", "--only"))
    assert again(without=("--only",)) == "chatloom audit"


@pytest.mark.parametrize(
    ("worst", "new", "muted", "baseline", "told"),
    [
        ([], 0, 0, None, "nothing found"),
        (["acme"], 9, 0, None, "findings: 1,234 errors, 1 warning | begin with acme"),
        (["acme", "birch"], 9, 0, None, "findings: 1,234 errors, 1 warning"),
        (["acme"], 9, 2, 4, "findings: 1,234 errors, 1 warning | 9 new since run 4 | 2 muted | begin with acme"),
    ],
)
def test_findings_are_one_line(worst: list[str], new: int, muted: int, baseline: int | None, told: str) -> None:
    """With the workspaces to begin with, unless that is all of them."""
    summary = Summary(ok=2, error=1234, warning=1) if worst else Summary(ok=2)
    assert findings(summary, worst, new=new, muted=muted, baseline=baseline) == told


@pytest.mark.parametrize("summary", [Summary(), Summary(failed=2), Summary(interrupted=True)])
def test_where_nothing_was_read_nothing_is_said_of_findings(summary: Summary) -> None:
    """All workspaces failed, or none was reached: that is no clean bill of health."""
    assert findings(summary, [], new=0, muted=0, baseline=None) == "nothing was read"
    assert findings(evolve(summary, partial=1), [], new=0, muted=0, baseline=None) == "nothing found"


def test_totals_are_one_line() -> None:
    """They begin with how far an interrupted audit came."""
    summary = Summary(ok=1000, read=1, domains=2, requests=3, interrupted=True)
    told = "interrupted after 1,000 of 2,000 workspaces: 1,000 ok | 1 agent, 2 domains, "
    assert totals(summary, 2000, 61.04, Summary()) == f"{told}3 requests in 61.0 s"
    assert totals(summary, 2000, 0.1, Summary(ok=990, requests=2)) == (
        f"{told}1 request in 0.1 s, after 2 requests for 990 of them"
    )


def test_the_rate_is_that_of_what_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing in the first second, in which a handful of answers would make thousands a second; and nothing of what
    an earlier part of the run left."""
    now = 0.0
    progress = AuditProgress(2000, shown=False, clock=lambda: now)
    progress.begin(Summary(ok=900))
    rates = []
    for now, read in ((0.001, 7), (0.9, 8), (1.0, 9), (4.0, 10), (4.0, 200)):  # noqa: B007 - the clock reads it
        progress.show(Summary(ok=900 + read))
        rates.append(progress._bar.tasks[0].fields["rate"])
    assert (rates, progress._bar.tasks[0].completed) == (["", "", "9.0/s", "2.5/s", "50/s"], 1100)
    assert capsys.readouterr() == ("", "")


def test_a_pause_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """However often it is probed."""
    pause = telling(AuditProgress(2, shown=False).say)
    for seconds in (15.0, 15.0, 3.0):
        pause(seconds)
    assert capsys.readouterr() == ("", "paused: too many calls fail; one workspace is tried again every 15 s\n")


async def test_an_estimate_knows_that_a_database_may_be_without_a_run(tmp_path: Path) -> None:
    """Such as that of an audit that was refused."""
    from chatloom_async.audit.store import open_store
    from tests.cli.test_history import WORKSPACES

    async with open_store(tmp_path / "a.db"):
        pass
    assert await estimated(WORKSPACES, tmp_path / "a.db", 64) == (
        Estimate(39, 1.25, "12 agents assumed in each workspace")
    )


async def numbers() -> AsyncGenerator[int, None]:
    """Without end."""
    number = 0
    while True:
        yield (number := number + 1)


@pytest.mark.skipif(sys.platform == "win32", reason="its event loop has no signal handlers")
async def test_ctrl_c_ends_the_dispatch_and_later_the_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    """First no item is given out any more; what still runs when the time is over is cancelled."""
    monkeypatch.setattr(audit_screen, "GRACE", 0.01)
    said: list[str] = []
    asked = Interrupt(said.append)

    async def audit() -> None:
        with asked.listening():
            taken = []
            async for number in asked.until_asked(numbers()):
                taken.append(number)
                if number == 3:
                    os.kill(os.getpid(), signal.SIGINT)
                await asyncio.sleep(0)
            assert len(taken) < 6
            await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(audit())
    assert said == ["stopping: what is under way has 0.01 s to end; Ctrl-C again ends it at once"]
    signal.signal(signal.SIGINT, signal.default_int_handler)


async def test_where_the_loop_cannot_listen_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is then what it is to every program."""

    def refuse(*_: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(asyncio.get_running_loop(), "add_signal_handler", refuse)
    before = signal.getsignal(signal.SIGINT)
    with Interrupt(print).listening():
        assert signal.getsignal(signal.SIGINT) is before
