"""Signals: how an audit ends gently, at once, and although something hangs."""

import asyncio
import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from chatloom_async.audit import KeyEnv, Workspace
from chatloom_async.audit.rules import Judge
from chatloom_async.audit.session import open_session
from chatloom_async.audit.store import Run
from chatloom_async.audit.values import Row
from chatloom_async.cli import SIGNALS, end_at_start, say_interrupted, signals
from chatloom_async.cli.sandbox import sandbox as sandbox_command
from chatloom_async.cli.signals import Interrupted, end_gently, handle_signals
from chatloom_async.sandbox import Sandbox
from tests.cli.test_program import wait_for

Start = Callable[..., "subprocess.Popen[str]"]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has other signals")
WORKSPACES = tuple(Workspace(str(number), KeyEnv("KEY")) for number in range(99))


async def until_signalled(
    workspaces: AsyncGenerator[Workspace, None], /, *, judge: Judge, run: Run | None
) -> AsyncGenerator[Row, None]:
    """Reads workspaces, sends SIGTERM at the third, and then waits for one that never ends."""
    async for workspace in workspaces:
        yield Row(workspace.name, "ok")
        if workspace.name == "2":
            os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
    await asyncio.Event().wait()


def test_a_signal_ends_the_dispatch_and_later_the_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    """First no workspace begins any more; what still runs when the time is over is given up."""
    monkeypatch.setattr(signals, "SHORT_GRACE", 0.01)
    lines: list[str] = []

    async def audit() -> int:
        async with open_session(WORKSPACES, until_signalled) as session:
            with end_gently(session.stop.set, session.abort, lines.append):
                outcome = await session.write()
        assert 3 <= outcome.summary.workspaces < 6
        return outcome.exit_status

    with handle_signals() as handling:
        assert (handling.run(audit()), handling.received) == (130, signal.SIGTERM)
    assert lines == ["stopping: requests in flight have 0.01 s to finish; Ctrl-C again ends the audit at once"]


def test_a_signal_after_the_end_of_the_sandbox_command_is_not_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs afterwards in the process is interrupted, as every other command."""

    async def program() -> None:
        with monkeypatch.context() as patch:  # it ends once it has said how to use it
            patch.setattr(sys.stdout, "flush", lambda: os.kill(os.getpid(), signal.SIGINT))
            await sandbox_command()
        os.kill(os.getpid(), signal.SIGINT)

    with handle_signals() as handling:
        with pytest.raises(Interrupted):
            handling.run(program())
        assert handling.gentle is None


def test_the_second_signal_aborts_and_nothing_more() -> None:
    """The alarm is for an event loop that does not react."""

    async def program() -> None:
        aborted = asyncio.Event()
        with end_gently(lambda: None, aborted.set):
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
            assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
            await aborted.wait()

    with handle_signals() as handling:
        handling.run(program())
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_one_signal_ends_an_audit_whose_report_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """It blocks the event loop, which therefore cannot stop it. What the signal began is not said afterwards."""
    monkeypatch.setattr(signals, "STALL", 0.01)
    reader, writer = os.pipe()
    lines: list[str] = []

    async def program() -> None:
        try:
            with end_gently(lambda: None, say=lines.append):
                os.kill(os.getpid(), signal.SIGTERM)
                select.select([reader], [], [], 30)
        finally:
            await asyncio.sleep(0)

    try:
        with handle_signals() as handling, pytest.raises(Interrupted):
            handling.run(program())
    finally:
        os.close(reader)
        os.close(writer)
    assert (handling.received, lines) == (signal.SIGTERM, [])


@pytest.mark.parametrize(("number", "records"), [(signal.SIGTERM, 0), (0, 1)])
def test_an_error_that_a_signal_overtook_is_not_logged(
    caplog: pytest.LogCaptureFixture, number: int, records: int
) -> None:
    """Such as that of a database which a thread opened meanwhile: nobody waits for it any more."""

    async def program() -> None:
        lost = asyncio.get_running_loop().create_future()
        lost.set_exception(OSError("no such file"))

    with handle_signals() as handling:
        handling.received = number
        handling.run(program())
    lines = [record.getMessage().splitlines()[0] for record in caplog.records]
    assert lines == ["Future exception was never retrieved"] * records


@pytest.mark.parametrize("number", [signal.SIGTERM, 0])
def test_an_event_loop_that_turns_is_not_interrupted(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """It puts off the alarm again and again, also at the end of the audit. Without a signal there is no alarm."""
    alarms, enough = [], asyncio.Event()

    def alarm(seconds: float, _: object = None) -> None:
        alarms.append(seconds)
        if len(alarms) == 5:
            enough.set()

    monkeypatch.setattr(signals, "BEAT", 0.0)
    monkeypatch.setattr(signals, "_alarm", alarm)

    async def program() -> int:
        with end_gently(lambda: None):
            if number:
                os.kill(os.getpid(), number)
                await enough.wait()
            during = len(alarms)
        return len(alarms) - during

    with handle_signals() as handling:
        assert handling.run(program()) == bool(number)
    assert alarms == [signals.STALL] * (len(alarms) - 1) + [0]


def test_an_interrupted_audit_is_not_aborted_as_well(ended: list[str | int]) -> None:
    """The loop comes to that only while the audit cleans up."""
    with contextlib.closing(asyncio.new_event_loop()) as loop, handle_signals() as handling:
        handling.gentle = signals.GentleEnd(loop, gentle_end, lambda: ended.append("aborted"))
        for _ in range(2):
            handling.receive(signal.SIGTERM)
        with pytest.raises(Interrupted):
            handling._interrupt()
        loop.run_until_complete(asyncio.sleep(0))
    assert ended == []


def test_what_has_ended_in_time_is_not_aborted_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The grace ends with the command."""
    monkeypatch.setattr(signals, "SHORT_GRACE", 0.0)
    aborts: list[bool] = []

    async def program() -> None:
        stopped = asyncio.Event()
        with end_gently(stopped.set, lambda: aborts.append(True)):
            os.kill(os.getpid(), signal.SIGTERM)
            await stopped.wait()
        for _ in range(3):
            await asyncio.sleep(0)

    with handle_signals() as handling:
        handling.run(program())
    assert aborts == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_any_other_command_ends_it(number: int) -> None:
    """Its handlers are those of before afterwards."""
    before = [signal.getsignal(each) for each in SIGNALS]
    with handle_signals() as handling:
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), number)
        assert handling.received == number
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_an_ignored_signal_stays_ignored() -> None:
    """As SIGHUP under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with handle_signals() as handling:
            os.kill(os.getpid(), signal.SIGHUP)
        assert handling.received == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_nothing_is_handled() -> None:
    """Only the main thread may."""
    before = signal.getsignal(signal.SIGINT)
    seen: list[Any] = []

    def run() -> None:
        with handle_signals():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_every_signal_leaves_a_whole_report_and_a_run_to_resume(
    started: Start, sandbox: Sandbox, tmp_path: Path, name: str, status: int
) -> None:
    """With the status that shells give for it. The second one waits for nothing."""
    slow = sandbox.add_workspace("slow", agents=1)
    slow.fails("slow", times=None, seconds=60)
    (tmp_path / "w.csv").write_text("name,key_env\nacme,CHATLOOM_API_KEY\nslow,SLOW_KEY\n")
    (tmp_path / "r.json").write_text("the last one")
    command = ("audit", "w.csv", "--db", "a.db", "--format", "json", "--output", "r.json")
    process = started(*command, cwd=tmp_path, env={**os.environ, "SLOW_KEY": slow.key.reveal()})
    wait_for(lambda: sandbox["acme"].requests >= 4 and slow.requests >= 1)
    assert (tmp_path / "r.json").read_text() == "the last one"
    process.send_signal(getattr(signal, name))
    assert process.stderr is not None
    assert process.stderr.readline().startswith("stopping: requests in flight have ")
    process.send_signal(signal.SIGTERM)
    err = process.communicate(timeout=20)[1]
    assert (process.returncode, err.splitlines()[-1]) == (status, "next: add --resume to continue")
    assert (tmp_path / "r.json").read_text().endswith('"interrupted":true}}\n')
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


BUSY = """
from chatloom_async.audit.rules import CheckedWorkspace, rule

@rule("busy", severity="info", why="w", fix="f")
def busy(checked: CheckedWorkspace):
    open("judging", "w").close()
    try:
        while True:
            pass
    except BaseException:
        {then}
"""


@pytest.mark.parametrize("then", ["raise", "while True: pass"])
def test_a_rule_that_never_ends_cannot_hold_up_the_second_ctrl_c(
    started: Start, sandbox: Sandbox, tmp_path: Path, then: str
) -> None:
    """It runs in a thread. The report is whole, or still the last one."""
    (tmp_path / "busy.py").write_text(BUSY.format(then=then))
    (tmp_path / "r.json").write_text("the last one")
    process = started("audit", "--rules", "busy.py", "--format", "json", "--output", "r.json", cwd=tmp_path)
    wait_for((tmp_path / "judging").exists)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("stopping: ")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    report = (tmp_path / "r.json").read_text()
    assert (process.returncode, report == "the last one" or '"interrupted":true}}' in report) == (130, True)
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def opened_by(process: int) -> set[Path]:
    """The files that a process has open, as Linux lists them."""
    opened = set()
    for link in Path(f"/proc/{process}/fd").iterdir():
        with suppress(OSError):  # closed since it was listed
            opened.add(link.readlink())
    return opened


def test_a_pipe_that_nobody_writes_to_cannot_hold_up_the_second_ctrl_c(
    started: Start, sandbox: Sandbox, tmp_path: Path
) -> None:
    """A thread waits for it; the process does not wait for the thread. A third one ends it in any case."""
    os.mkfifo(tmp_path / "key", 0o600)
    (tmp_path / "w.csv").write_text("name,key_file\nacme,key\n")
    process = started("audit", "w.csv", cwd=tmp_path)
    assert process.stderr is not None
    wait_for(lambda: (tmp_path / "key").resolve() in opened_by(process.pid))
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline().startswith("stopping: ")
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert (process.returncode, time.monotonic() - begin < 8) == (130, True)


def test_a_key_command_does_not_outlive_the_program(started: Start, sandbox: Sandbox, tmp_path: Path) -> None:
    """Nor do its children."""
    (tmp_path / "w.json").write_text('[{"name": "a", "key_command": ["sh", "-c", "echo $$ > pid; sleep 60; true"]}]')
    process = started("audit", "w.json", cwd=tmp_path)
    wait_for((tmp_path / "pid").exists)
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("stopping: ")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.mark.parametrize("number", STATUS)
def test_two_signals_end_a_command_with_one_line(started: Start, sandbox: Sandbox, number: signal.Signals) -> None:
    """The second one arrives while the first one is told, or while the process ends."""
    sandbox["acme"].fails("slow", times=None, seconds=60)
    process = started("agents")
    wait_for(lambda: sandbox["acme"].requests >= 1)
    process.send_signal(number)
    time.sleep(0.05)
    process.send_signal(number)
    assert (process.communicate(timeout=20), process.returncode) == (("", "error: interrupted\n"), STATUS[number])


SIGNALLED = """
import os, signal, sys
from chatloom_async.cli import program

class Signals:
    "Sends signals when a module is imported."

    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), {number})

sys.meta_path.insert(0, Signals())
sys.argv = ["chatloom", "rules"]
program()
"""


@pytest.mark.parametrize(
    ("number", "module"),
    [
        (signal.SIGINT, "chatloom_async.wire.errors"),
        (signal.SIGTERM, "attrs"),
        (signal.SIGHUP, "cyclopts"),
        (signal.SIGINT, "chatloom_async.cli.app"),
        (signal.SIGTERM, "asyncio"),
    ],
)
def test_a_signal_during_the_start_is_one_line(module: str, number: signal.Signals) -> None:
    """Modules are imported then, and no command has begun."""
    script = SIGNALLED.format(module=module, number=int(number))
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (STATUS[number], "", "error: interrupted\n")


def test_signals_are_handled_before_anything_slow_is_imported() -> None:
    """Until then, Python shows a traceback for Ctrl-C."""
    code = "import sys; before = {*sys.modules}; import chatloom_async.cli; print(*{*sys.modules} - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    ours = {"", ".cli", ".wire", ".wire.version"}
    assert {name for name in imported if name.startswith("chatloom")} == {f"chatloom_async{name}" for name in ours}
    assert imported.isdisjoint(
        {"asyncio", "contextlib", "enum", "inspect", "logging", "pathlib", "re", "threading", "typing"}
    )


CLEANING_UP = """
import os, signal, sys
from chatloom_async.cli import app, files, program
from pathlib import Path

async def rules():
    unfinished = Path("unfinished")
    unfinished.touch()
    files.unfinished.add(unfinished)
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        os.kill(os.getpid(), signal.SIGINT)
        print("not reached")

app._run = lambda arguments, signals: signals.run(rules())
sys.argv = ["chatloom", "rules"]
program()
"""


def test_a_second_signal_ends_the_process_in_the_middle_of_the_clean_up(tmp_path: Path) -> None:
    """With the status of the first one, and without what was not finished."""
    command = [sys.executable, "-c", CLEANING_UP]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (143, "", "error: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_a_signal_at_the_start_ends_the_process_though_standard_error_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the same status."""
    statuses: list[int] = []

    def refuse(_: int, __: bytes) -> None:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr("os.write", refuse)
    monkeypatch.setattr("os._exit", statuses.append)
    end_at_start(signal.SIGTERM)
    assert statuses == [143]


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[str | int]:
    """What the process would write when it ends at once, and its status."""
    written: list[str | int] = []
    monkeypatch.setattr(signals, "say_interrupted", lambda: written.append("interrupted"))
    monkeypatch.setattr("os._exit", written.append)
    return written


def gentle_end(_: int = 0) -> None:
    """Neither stops nor aborts anything: nobody runs the event loop of this test."""


def test_the_third_ctrl_c_ends_the_process_without_half_a_report(
    ended: list[str | int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another SIGTERM does not: a supervisor repeats it, a person who presses a key means it."""
    half = tmp_path / "half"
    half.touch()
    monkeypatch.setattr(signals, "unfinished", {half, tmp_path / "gone"})
    with contextlib.closing(asyncio.new_event_loop()) as loop, handle_signals() as handling:
        handling.gentle = signals.GentleEnd(loop, gentle_end, gentle_end)
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGTERM):
            handling.receive(number)
        assert (ended, half.exists()) == ([], True)
        handling.receive(signal.SIGINT)
        handling.say()
    assert (ended, half.exists()) == (["interrupted", 143], False)


def test_an_event_loop_that_does_not_react_is_interrupted_and_then_left(
    ended: list[str | int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each signal sets an alarm, and that alarm another one."""
    alarms: list[Any] = []
    monkeypatch.setattr(signals, "_alarm", lambda _, handler=None: alarms.append(handler))
    with contextlib.closing(asyncio.new_event_loop()) as loop, handle_signals() as handling:
        handling.gentle = signals.GentleEnd(loop, gentle_end, gentle_end)
        for _ in range(2):
            handling.receive(signal.SIGHUP)
        first, second = alarms
        assert first == second
        with pytest.raises(Interrupted):
            second()
        assert ended == []
        alarms[-1]()
    assert ended == ["interrupted", 129]


AT_EXIT = """
import atexit, os, signal, sys
from chatloom_async.cli import program

class Last:
    def __del__(self, kill=os.kill, own=os.getpid(), number=signal.SIGTERM):
        kill(own, number)

sys.last = Last()
atexit.register(os.kill, os.getpid(), signal.SIGINT)
sys.argv = ["chatloom", "--version"]
program()
"""


def test_a_signal_after_the_command_changes_nothing() -> None:
    """Its work is done, and the process ends with its status."""
    ran = subprocess.run([sys.executable, "-c", AT_EXIT], capture_output=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, b"")


STALLED = """
import os, signal, sys, threading
from chatloom_async.cli import app, program

async def rules():
    os.set_blocking(2, False)
    try:
        while True:
            os.write(2, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(2, True)
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
    sys.stderr.write("text that waits for a reader")

app._run = lambda arguments, signals: signals.run(rules())
sys.argv = ["chatloom", "rules"]
program()
"""


def test_a_signal_ends_a_command_though_nobody_reads_standard_error() -> None:
    """Neither its last line nor what is in the buffer waits for a reader."""
    process = subprocess.Popen([sys.executable, "-c", STALLED], stderr=subprocess.PIPE)
    try:
        assert process.wait(60) == 143
    finally:
        process.kill()
        err = process.communicate()[1]
    assert set(err) == {ord("x")}


@pytest.mark.parametrize(("ready", "line"), [(([], [], []), b""), (OSError(9, "closed"), b"error: interrupted\n")])
def test_the_last_line_is_written_unless_it_would_wait(
    monkeypatch: pytest.MonkeyPatch, ready: Any, line: bytes
) -> None:
    """A closed standard error does not wait."""
    written = [b""]
    monkeypatch.setattr("select.select", Mock(side_effect=[ready]))
    monkeypatch.setattr("os.write", lambda _, text: written.append(text))
    say_interrupted()
    assert written[-1] == line
