"""What an audit says at its end and on the way: totals, findings, the next step progress, and pauses."""

import os
import shlex
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatloom_async.audit import KeyEnv, Summary, Workspace
from chatloom_async.audit.session import AuditOutcome
from chatloom_async.cli.app import command_line
from chatloom_async.cli.auditing import _close, estimate
from chatloom_async.cli.progress import AuditProgress, findings, next_step, totals
from chatloom_async.cli.sources import Kind
from chatloom_async.sandbox import Sandbox
from tests.cli.conftest import Ran

Chatloom = Callable[..., Ran]
DB = Path("a.db")
TRY = "export CHATLOOM_API_KEY=... && chatloom audit   (or name a file of workspaces: chatloom audit --help)"


def outcome(
    summary: Summary | None = None, *, planned: int = 9, worst: tuple[str, ...] = (), **more: object
) -> AuditOutcome:
    """An outcome of these totals, with a finding in each of the worst workspaces."""
    made = AuditOutcome(planned, "error", **more)  # type: ignore[arg-type]
    for name in worst:
        made.add(name, Summary(warning=1))
    made.summary = summary or Summary(ok=1)
    return made


@pytest.mark.parametrize(
    ("kind", "db", "result", "text"),
    [
        ("file", None, outcome(), "add --db audits.db to keep the run and compare later ones with it"),
        ("file", DB, outcome(run=1), None),
        ("file", DB, outcome(Summary(ok=1, error=3), run=1), "add --baseline 1 to fail on new findings only"),
        ("file", DB, outcome(run=3), "chatloom diff --db a.db"),
        ("file", DB, outcome(run=3, baseline=1), "chatloom diff --db a.db 1 3"),
        ("file", Path("my runs.db"), outcome(run=3), "chatloom diff --db 'my runs.db'"),
        ("file", None, outcome(Summary(failed=1), failing=["b*"]), "add --only 'b[*]' to read only it again"),
        (
            "file", DB, outcome(Summary(partial=9), run=1, failing=["b", "c", "d"]),
            "add --only b --only c --only d to read only them again (and 6 more)",
        ),
        (
            "file", None, outcome(Summary(failed=9), failing=["b", "c", "d"]),
            "run it again with --db audits.db; if some fail then, --resume reads only those",
        ),
        ("file", None, outcome(Summary(failed=1), failing=["-x"]), "add --only '[-]x' to read only it again"),
        ("file", None, outcome(Summary(failed=1), failing=["b\x1b"]), None),
        ("key", None, outcome(Summary(failed=1), failing=["default"]), None),
        ("file", DB, outcome(Summary(failed=1000, partial=1000), run=1, failing=["b"]),
         "add --resume to read 1,000 failed workspaces again"),
        ("key", DB, outcome(Summary(failed=1), run=1, failing=["default"]),
         "add --resume to read 1 failed workspace again"),
        ("file", DB, outcome(Summary(partial=1), run=2, failing=["b"]), "add --only b to read only it again"),
        ("sandbox", DB, outcome(Summary(failed=1), run=1, failing=["b"]), TRY),
        ("file", DB, outcome(Summary(interrupted=True), run=1), "add --resume to continue"),
        ("file", None, outcome(Summary(failed=1, interrupted=True), failing=["b"]),
         "add --db audits.db, so that --resume can continue an audit that was interrupted"),
    ],
)  # fmt: skip
def test_the_next_step_follows_from_the_outcome(
    kind: Kind, db: Path | None, result: AuditOutcome, text: str | None
) -> None:
    """Continue, read again, keep, compare, and then watch for new findings."""
    assert next_step(kind, db, result) == text


@settings(deadline=None, max_examples=50)
@given(
    failing=st.lists(st.sampled_from(["b", "my shop", "-x", "*"]), unique=True, max_size=3),
    failed=st.integers(0, 3),
    db=st.sampled_from([None, DB]),
    run=st.integers(1, 2),
    interrupted=st.booleans(),
)
def test_every_next_step_is_something_that_the_program_takes(
    failing: list[str], failed: int, db: Path | None, run: int, interrupted: bool
) -> None:
    """An option to add to the same command, or a whole command."""
    summary = Summary(ok=1, failed=failed, partial=len(failing), error=1, interrupted=interrupted)
    text = next_step("file", db, outcome(summary, failing=failing, run=run if db else None))
    words = shlex.split((text or "chatloom audit").partition(" to ")[0].replace(", so", " "))
    command = ["audit", "w.toml", *words[1:]] if words[0] == "add" else words[1:]
    if "audits.db" in command:
        command = command[: command.index("audits.db") + 1]
    called, *_ = command_line(command[0]).parse_args(command, print_error=False, exit_on_error=False)
    assert called.__name__ == command[0]


COUNTS = Summary(ok=2, error=1234, warning=1)
COUNTED = "findings: 1,234 errors, 1 warning"


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (outcome(Summary(ok=2)), "nothing found"),
        (outcome(COUNTS, worst=("acme",)), f"{COUNTED} | begin with acme"),
        (outcome(COUNTS, worst=("acme", "birch")), COUNTED),
        (
            outcome(COUNTS, worst=("acme",), new=Counter(error=9), muted=2, baseline=4),
            f"{COUNTED} | 10 new since run 4 | 2 muted | begin with acme",
        ),
        (outcome(Summary()), "nothing was read"),
        (outcome(Summary(failed=2)), "nothing was read"),
        (outcome(Summary(failed=2, partial=1)), "nothing found"),
    ],
)
def test_findings_are_one_line(result: AuditOutcome, text: str) -> None:
    """With the workspaces to begin with, unless that is all of them. Nothing read is not the same as nothing found."""
    if result.baseline:
        result.new["warning"] = 1
    assert findings(result) == text


RED, GREEN, YELLOW, BOLD, DIM = 31, 32, 33, 1, 2


def colours(text: str) -> list[int]:
    """The code with which each line begins; a line without one fails."""
    return [int(line.removeprefix("\x1b[").partition("m")[0]) for line in text.splitlines() if line]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (outcome(Summary(ok=2, info=1), planned=2), [GREEN, GREEN]),
        (outcome(Summary(ok=2, warning=1, info=1), planned=2), [GREEN, YELLOW]),
        (outcome(Summary(ok=2, error=1), planned=2), [GREEN, RED]),
        (outcome(Summary(ok=1, failed=1, error=1, warning=1), planned=2), [YELLOW, RED]),
        (outcome(Summary(partial=1, failed=1), planned=2), [YELLOW, GREEN]),
        (outcome(Summary(ok=1), planned=2), [YELLOW, GREEN]),
        (outcome(Summary(failed=2), planned=2), [RED, RED]),
        (outcome(Summary(failed=2), planned=2, cause="HTTP 401"), [RED, RED, RED]),
        (outcome(Summary(ok=1, failed=1), planned=2, cause="HTTP 401"), [YELLOW, GREEN]),
        (outcome(Summary(ok=2, hosts=2, unread_hosts=1), planned=2), [GREEN, GREEN, YELLOW]),
        (outcome(Summary(ok=2), planned=2, unused_mutes=("mute 1", "mute 2")), [GREEN, GREEN, YELLOW, YELLOW]),
    ],
)
def test_the_closing_lines_have_the_colours_of_what_they_say(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, result: AuditOutcome, expected: list[int]
) -> None:
    """Green is only what needs nobody, and red what is wrong; the next step is bold, and stays in one piece."""
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    _close(result, None)
    assert colours(capsys.readouterr().err) == expected
    _close(result, f"add --only {'b ' * 40}")
    assert sorted(colours(capsys.readouterr().err)) == sorted([*expected, BOLD])


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("audit --sandbox --dry-run", {"--sandbox: auditing an embedded": DIM, "estimate: ": None}),
        ("audit --verbose", {"ListAgents, attempt 1: 200": DIM, "next: add --db": BOLD}),
        ("runs --db a.db", {"next: chatloom diff": BOLD}),
        ("doctor", {"next: export CHATLOOM_API_KEY": DIM}),
        ("no-such", {"error:": BOLD}),
    ],
)
def test_lines_beside_a_result_have_the_colours_of_what_they_are(
    chatloom: Chatloom, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    command: str, expected: dict[str, int | None],
) -> None:  # fmt: skip
    """Dim is what nobody has to read, and bold what to do next; an error is bold, too."""
    monkeypatch.chdir(tmp_path)
    if command.startswith("runs"):
        assert [chatloom("audit", "--db", "a.db").status for _ in range(2)] == [0, 0]
    elif command == "doctor":
        monkeypatch.delenv("CHATLOOM_API_KEY")
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "200"}.items():
        monkeypatch.setenv(name, value)
    lines = chatloom(*command.split()).err.splitlines()
    for text, colour in expected.items():
        (line,) = (line for line in lines if text in line)
        assert line.partition(text)[0] == ("" if colour is None else f"\x1b[{colour}{';31' * (text == 'error:')}m")


def test_totals_are_one_line() -> None:
    """They begin with how far an interrupted audit came."""
    summary = Summary(ok=1000, read=1, domains=2, requests=3, interrupted=True)
    begin = "interrupted after 1,000 of 2,000 workspaces: 1,000 ok | 1 agent, 2 domains, "
    assert totals(outcome(summary, planned=2000, elapsed=61.04)) == f"{begin}3 requests in 61.0 s"
    resumed = Summary(ok=990, requests=2)
    assert totals(outcome(summary, planned=2000, elapsed=0.1, resumed=resumed)) == (
        f"{begin}1 request in 0.1 s, after 2 requests for 990 of them"
    )


@pytest.mark.parametrize(
    ("keys", "at_once", "text"),
    [
        ("abc", 64, "estimate: 39 requests if each workspace has 12 agents, at least 1 s at "),
        ("abc", 2, "estimate: 39 requests if each workspace has 12 agents, at least 2 s at "),
        ("aaa", 64, "estimate: 39 requests if each workspace has 12 agents, at least 8 s at "),
    ],
)
def test_an_estimate_knows_the_rate_limit_of_a_key(keys: str, at_once: int, text: str) -> None:
    """A key's requests follow one another; those of other keys do not wait for them."""
    workspaces = [Workspace(str(number), KeyEnv(key)) for number, key in enumerate(keys)]
    assert estimate(workspaces, at_once) == f"{text}4 requests a second and key"


def test_the_rate_is_that_of_what_is_read(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in the first second, in which a handful of answers would make thousands a second; and nothing of what
    an earlier part of the run left."""
    now = 0.0
    monkeypatch.setenv("FORCE_COLOR", "1")  # without a terminal there is no bar
    progress = AuditProgress(2000, shown=True, clock=lambda: now)
    assert progress._bar is not None
    resumed = Summary(ok=900)
    progress.show(outcome(resumed, resumed=resumed))
    rates = []
    for now, read in ((0.001, 7), (0.9, 8), (1.0, 9), (4.0, 10), (4.0, 200)):  # noqa: B007 - the clock reads it
        progress.show(outcome(Summary(ok=900 + read), resumed=resumed))
        rates.append(progress._bar.tasks[0].fields["rate"])
    assert (rates, progress._bar.tasks[0].completed) == (["", "", "9.0/s", "2.5/s", "50/s"], 1100)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("shown", [True, False])
def test_a_line_is_not_repeated(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, shown: bool
) -> None:
    """A pause that goes on says nothing new, with and without a bar."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    progress = AuditProgress(2, shown=shown)
    for text in ("paused", "paused", "stopped", "paused"):
        progress.say(text)
    assert capsys.readouterr().err.splitlines() == ["paused", "stopped", "paused"]


def test_a_bar_that_nobody_reads_does_not_end_the_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it would show is discarded from then on."""
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        with AuditProgress(2, shown=True) as progress:
            progress.say("paused")
        assert os.path.samestat(os.fstat(writer), Path(os.devnull).stat())


@pytest.mark.parametrize(
    ("unset", "first"),
    [
        ((), ""),
        (("A_KEY",), "set A_KEY, then "),
        (("A", "B", "C", "D", "E"), "set A, B, C and 2 more variables, then "),
    ],
)
def test_variables_that_are_not_set_come_first(unset: tuple[str, ...], first: str) -> None:
    """To read the workspace again without them would fail again."""
    result = outcome(Summary(ok=8, failed=1), failing=["acme"])
    assert next_step("file", None, result, unset) == f"{first}add --only acme to read only it again"
    assert next_step("file", DB, result, unset) == f"{first}add --resume to read 1 failed workspace again"
