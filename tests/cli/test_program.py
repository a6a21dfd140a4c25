"""The program as a process of its own: pipes, terminals, signals, and what it imports."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import pytest

from chatloom_async.cli import main
from chatloom_async.cli.app import COMMANDS
from chatloom_async.sandbox import Sandbox
from tests.cli.conftest import PROGRAM, Ran

Start = Callable[..., "subprocess.Popen[str]"]
Chatloom = Callable[..., Ran]
STYLE = re.compile(r"\x1b\[[0-9;]*m")
STOPPING = "stopping: what is under way has 10 s to end; Ctrl-C again ends it at once\n"
EXPORT = re.compile(r"^export (\w+)=(\S+)", re.MULTILINE)


def on_terminal(*arguments: str, width: int = 80, **variables: str) -> str:
    """What the program writes to a terminal of its own."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(width), **variables}
    process = subprocess.Popen([*PROGRAM, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    written = b""
    while select.select([ours], [], [], 30)[0]:
        try:
            written += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    process.wait(10)
    return written.decode().replace("\r\n", "\n")


def test_every_command_explains_itself(chatloom: Chatloom) -> None:
    """The overview has the first line of every command's own help."""
    overview = " ".join(chatloom("--help").out.replace("│", " ").split())
    for name, (usage, summary) in COMMANDS.items():
        assert f"{name} {summary}" in overview
        ran = chatloom(name, "--help")
        assert (ran.status, ran.err) == (0, "")
        assert ran.out.startswith(f"Usage: chatloom {name} {usage}\n")
        docstring = getattr(import_module(f"chatloom_async.cli.{name}"), name).__doc__
        assert docstring.startswith(summary.removesuffix("."))


def test_the_version_is_printed(chatloom: Chatloom) -> None:
    """On stdout, alone."""
    assert chatloom("--version") == Ran(0, "0.1.0\n", "")


def test_without_the_extra_it_says_how_to_get_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, status 2."""
    monkeypatch.delitem(sys.modules, "chatloom_async.cli.app", raising=False)
    monkeypatch.setitem(sys.modules, "cyclopts", None)
    assert main([]) == 2
    assert capsys.readouterr() == (
        "",
        "error: the command line is an extra: pip install 'chatloom-async[cli]', or '.[cli]' in a clone\n",
    )


def test_another_missing_module_is_not_taken_for_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Advice that does not help would hide the cause."""
    monkeypatch.delitem(sys.modules, "chatloom_async.cli.app", raising=False)
    monkeypatch.setitem(sys.modules, "chatloom_async.cli.screen", None)
    with pytest.raises(ModuleNotFoundError):
        main([])


def test_help_does_not_import_what_it_does_not_need() -> None:
    """Neither the network nor the commands."""
    unneeded = {"aiohttp", "chatloom_async.cli.audit", "chatloom_async.sandbox", "rich.progress"}
    run = "import sys; from chatloom_async.cli import main; main(['--help'])"
    code = f"{run}; print(sorted({unneeded} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_whole_audit_of_a_sandbox_that_another_process_serves(started: Start) -> None:
    """What `chatloom sandbox` prints is all that a shell needs."""
    server = started("sandbox", "--workspaces", "2", "--agents", "2", "--seed", "7")
    assert server.stdout is not None
    lines = [server.stdout.readline() for _ in range(5)]
    assert lines[0] == "# A Chatloom sandbox: 2 workspaces of 2 agents. Ctrl-C ends it. In another shell:\n"
    assert [line.split("  # ")[1] for line in lines[2:4]] == ["workspace acorn\n", "workspace birch\n"]
    assert lines[4] == "chatloom agents\n"
    exported = {**os.environ, **dict(EXPORT.findall("".join(lines)))}
    agents = started("agents", "--format", "jsonl", env=exported)
    assert len(agents.communicate(timeout=30)[0].splitlines()) == 2
    audit = started("audit", "--format", "jsonl", env=exported)
    assert audit.communicate(timeout=30)[0].startswith('{"workspace":"default","state":"ok",')
    assert (agents.returncode, audit.returncode) == (0, 0)
    server.send_signal(signal.SIGINT)
    assert server.communicate(timeout=30)[1] == "error: interrupted\n"
    assert server.returncode == 130


def test_a_port_that_is_taken_is_told(started: Start) -> None:
    """With the way out."""
    first = started("sandbox")
    assert first.stdout is not None
    first.stdout.readline()
    port = first.stdout.readline().rstrip().rpartition(":")[2]
    second = started("sandbox", "--port", port)
    out, err = second.communicate(timeout=30)
    assert (second.returncode, out) == (2, "")
    assert err.startswith(f"error: Port {port} cannot be used: ")
    assert err.endswith("Choose another --port; 0 takes any free one.\n")


def test_who_stops_reading_hears_no_complaint(started: Start) -> None:
    """As with `chatloom audit --format jsonl | head -1`."""
    process = started("audit", "--sandbox", "--format", "jsonl")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    err = process.communicate(timeout=30)[1]
    assert process.returncode == 141
    assert len(err.splitlines()) == 1  # the notice at the beginning


@pytest.mark.parametrize("form", ["jsonl", "json", "table"])
def test_ctrl_c_keeps_the_rows_that_are_there(started: Start, sandbox: Sandbox, tmp_path: Any, form: str) -> None:
    """The report is whole, says that it was interrupted, and the status is 130. The second one waits for nothing."""
    slow = sandbox.add_workspace("slow", agents=1)
    slow.fails("slow", times=None, seconds=60)
    file = tmp_path / "w.csv"
    file.write_text("name,key_env\nacme,CHATLOOM_API_KEY\nslow,SLOW_KEY\n")
    report = tmp_path / "report"
    environment = {**os.environ, "SLOW_KEY": slow.key.reveal()}
    process = started("audit", str(file), "--format", form, "--output", str(report), env=environment)
    wait_for(lambda: sandbox["acme"].requests >= 4 and slow.requests >= 1)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline() == STOPPING
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=5)
    assert (process.returncode, out) == (130, "")
    assert err.startswith("interrupted after 1 of 2 workspaces: 1 ok | 3 agents, ")
    assert err.splitlines()[-1].startswith(f"next: chatloom audit {file} --format {form} --output {report} --db ")
    text = report.read_text()
    assert {"jsonl": '{"workspace":"acme"', "json": '"interrupted":true}}\n', "table": "acme       ok"}[form] in text


def wait_for(happened: Callable[[], bool]) -> None:
    """Waits for something that another process does, and a moment longer, so that its answer is read."""
    import time

    end = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)
    time.sleep(0.3)


def test_a_terminal_gets_colours_and_a_bar(sandbox: Sandbox) -> None:
    """The bar is gone when the table is there."""
    written = on_terminal("audit")
    assert "\x1b[32mok" in written
    assert "auditing" in STYLE.sub("", written)
    last = STYLE.sub("", written.rpartition("\x1b[2K")[2])
    assert last.lstrip("\x1b[?25h1A\r").startswith("workspace  state  agents  domains  errors  ")
    assert "\n\n1 workspace: 1 ok | 3 agents, " in last


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_without_colours_gets_none(sandbox: Sandbox, variables: Mapping[str, str]) -> None:
    """NO_COLOR and dumb terminals are respected."""
    written = on_terminal("agents", **variables)
    assert "Sales Assistant" in written or "active" in written
    assert "\x1b[3" not in written


@pytest.mark.parametrize(
    ("width", "headings"),
    [
        (40, "id name"),
        (60, "id name status"),
        (72, "id name status position"),
        (120, "id name status position created template colors"),
    ],
)
def test_a_narrow_terminal_gets_fewer_columns(sandbox: Sandbox, width: int, headings: str) -> None:
    """And no line is longer than it is wide."""
    lines = STYLE.sub("", on_terminal("agents", width=width)).splitlines()
    assert lines[0].split() == headings.split()
    assert max(map(len, lines)) <= width


def test_json_on_a_terminal_is_indented(sandbox: Sandbox) -> None:
    """For a person, one member a line."""
    assert on_terminal("call", "/api/plugin/agents").startswith('{\n  "agents": [\n    {\n      "id": ')


def test_rows_on_a_terminal_have_no_bar_between_them(sandbox: Sandbox) -> None:
    """Both would write over each other."""
    assert "auditing" not in on_terminal("audit", "--format", "jsonl")


def test_an_encoding_that_lacks_a_character_gets_it_escaped(started: Start, tmp_path: Any) -> None:
    """A name is not worth a crash."""
    file = tmp_path / "w.csv"
    file.write_text("name,key_env\nmüller,NO_KEY\n", "utf-8")
    process = started("audit", str(file), "--dry-run", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert process.communicate(timeout=30)[0].splitlines()[1].startswith("m\\xfcller")
