"""The program as a process of its own: pipes, terminals, signals, and what it imports."""

import json
import os
import pty
import re
import select
import shlex
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from chatloom_async.cli import main
from chatloom_async.cli.app import COMMANDS
from chatloom_async.cli.sandbox import _instructions, make_sandbox
from chatloom_async.sandbox import Sandbox
from tests.cli.conftest import PROGRAM, Ran

Start = Callable[..., "subprocess.Popen[str]"]
Chatloom = Callable[..., Ran]
STYLE = re.compile(r"\x1b\[[0-9;]*m")
STOPPING = "stopping: requests in flight have 10 s to finish; Ctrl-C again ends the audit at once\n"
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


def test_the_version_is_printed(chatloom: Chatloom) -> None:
    """On stdout, alone. After a command, too."""
    assert chatloom("--version") == chatloom("audit", "--version") == Ran(0, "0.1.0\n", "")


def test_without_the_extra_it_says_how_to_get_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, status 2."""
    monkeypatch.delitem(sys.modules, "chatloom_async.cli.app", raising=False)
    monkeypatch.setitem(sys.modules, "cyclopts", None)
    assert main(["rules"]) == 2
    assert capsys.readouterr() == (
        "",
        (
            "error: The command line needs cyclopts, which is not installed. "
            "Install it: pip install '.[cli]' in a clone of chatloom_async.\n"
        ),
    )


def test_another_missing_module_is_not_taken_for_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Advice that does not help would hide the cause."""
    monkeypatch.delitem(sys.modules, "chatloom_async.cli.app", raising=False)
    monkeypatch.setitem(sys.modules, "chatloom_async.cli.terminal", None)
    with pytest.raises(ModuleNotFoundError):
        main(["rules"])


def test_a_whole_audit_of_a_sandbox_that_another_process_serves(started: Start) -> None:
    """What `chatloom sandbox` prints is all that a shell needs."""
    server = started("sandbox", "--workspaces", "2", "--agents", "2", "--seed", "7")
    assert server.stdout is not None
    lines = [server.stdout.readline() for _ in range(6)]
    assert lines[0] == "# A Chatloom sandbox: 2 workspaces with 2 agents each. Ctrl-C ends it. In another shell:\n"
    assert [line.split("  # ")[1] for line in lines[2:4]] == ["workspace acorn\n", "workspace birch\n"]
    assert lines[3].startswith("# or CHATLOOM_API_KEY=clf_")
    assert lines[4:] == [
        "chatloom agents\n",
        "# To audit all workspaces, start the sandbox with --write-workspaces FILE.ndjson.\n",
    ]
    exported = {**os.environ, **dict(EXPORT.findall("".join(lines)))}
    agents = started("agents", "--format", "jsonl", env=exported)
    assert len(agents.communicate(timeout=30)[0].splitlines()) == 2
    audit = started("audit", "--format", "jsonl", env=exported)
    assert audit.communicate(timeout=30)[0].startswith('{"workspace":"default","state":"ok",')
    assert (agents.returncode, audit.returncode) == (0, 0)
    server.send_signal(signal.SIGINT)
    assert server.communicate(timeout=30) == ("", "")
    assert server.returncode == 0  # as its first line said


def test_all_workspaces_of_a_sandbox_are_audited_by_one_copied_line(started: Start, tmp_path: Path) -> None:
    """The file is its owner's only, holds the keys, and is gone with the sandbox; an existing one is not touched."""
    path = tmp_path / "all of them.ndjson"
    server = started("sandbox", "--workspaces", "5", "--agents", "1", "--write-workspaces", str(path))
    assert server.stdout is not None
    line = [server.stdout.readline() for _ in range(7)][6]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    program, *words = shlex.split(line)
    audit = started(*words, "--format", "jsonl")
    names = {json.loads(row)["workspace"] for row in audit.communicate(timeout=30)[0].splitlines()}
    assert (program, names) == ("chatloom", {"acorn", "birch", "cedar", "dogwood", "elm"})
    again = started("sandbox", "--write-workspaces", str(path))
    assert again.communicate(timeout=30)[1] == (
        f"error: --write-workspaces {path} cannot be written: File exists. Choose a path in a directory that exists "
        "and that you may write to.\n"
    )
    server.terminate()
    server.communicate(timeout=30)
    assert (again.returncode, server.returncode, path.exists()) == (2, 0, False)


def test_a_sandbox_of_many_workspaces_says_how_to_reach_them(chatloom: Chatloom) -> None:
    """Three keys fit on the screen; all of them are a matter of one option."""
    first, *lines, last = _instructions(make_sandbox(workspaces=5, agents=1, seed=7), "http://127.0.0.1:1", 1, None)
    assert first == "# A Chatloom sandbox: 5 workspaces with 1 agent each. Ctrl-C ends it. In another shell:"
    assert [line.partition("=")[0] for line in lines] == [
        "export CHATLOOM_BASE_URL", "export CHATLOOM_API_KEY", *["# or CHATLOOM_API_KEY"] * 2,
        "chatloom agents",
    ]  # fmt: skip
    assert last == "# To audit all workspaces, start the sandbox with --write-workspaces FILE.ndjson."
    assert len(list(_instructions(make_sandbox(workspaces=1, agents=2, seed=7), "http://127.0.0.1:1", 2, None))) == 4
    ran = chatloom("sandbox", "--write-workspaces", "all.txt")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith('error: Invalid value "all.txt" for --write-workspaces. End the name in .ndjson')


def test_the_completion_of_bash_knows_commands_and_options(chatloom: Chatloom, tmp_path: Path) -> None:
    """bash accepts the script, and completes by it."""
    ran, script = chatloom("completion", "bash"), tmp_path / "chatloom"
    script.write_text(ran.out)
    assert (ran.status, ran.err) == (0, "")

    def completed(*words: str) -> list[str]:
        """What bash offers for the last word."""
        line = f'COMP_WORDS=({shlex.join(words)} ); COMP_CWORD={len(words) - 1}; _chatloom; echo "${{COMPREPLY[@]}}"'
        code = f"source {shlex.quote(str(script))}; {line}"
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout.split()

    assert subprocess.run(["bash", "-n", script], check=True).returncode == 0
    assert completed("chatloom", "") == [*COMMANDS]
    assert completed("chatloom", "audit", "--re") == ["--resolver", "--resume"]
    assert completed("chatloom", "runs", "--format", "j") == ["json"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_completion_too(chatloom: Chatloom, shell: str) -> None:
    """With every command in it; what is no shell is refused."""
    ran = chatloom("completion", shell)
    assert ran.status == 0
    assert [name for name in COMMANDS if name not in ran.out] == []
    assert chatloom("completion", "tcsh").status == 2


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
    assert err.splitlines()[-1].startswith("next: add --db audits.db, so that --resume can continue ")
    text = report.read_text()
    assert {"jsonl": '{"workspace":"acme"', "json": '"interrupted":true}}\n', "table": "acme       ok"}[form] in text


def test_ctrl_c_in_a_command_that_reads_once_is_one_line(started: Start, sandbox: Sandbox) -> None:
    """There is nothing to keep, and the status tells it."""
    sandbox["acme"].fails("slow", times=None, seconds=60)
    process = started("agents")
    wait_for(lambda: sandbox["acme"].requests >= 1)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("", "error: interrupted\n")
    assert process.returncode == 130


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("audit", "w.toml", "--fail-onn", "error"), "Did you mean --fail-on? See `chatloom audit --help`.\n"),
        (("frobnicate",), f"The commands are {', '.join(COMMANDS)}. See `chatloom --help`.\n"),
        (
            ("audit", "--baseline", "x"),
            " --baseline. Give the number of a run, or last. See `chatloom audit --help`.\n",
        ),
        (("agents", "--format", "x"), 'Choose from: "table", "json", "jsonl". See `chatloom agents --help`.\n'),
        (("audit", "a.toml", "b.toml"), "error: Unexpected: b.toml. See `chatloom audit --help`.\n"),
        (("audit", "--concurrency", "x"), '"x" for --concurrency. Give a number. See `chatloom audit --help`.\n'),
    ],
)
def test_usage_errors_are_whole_sentences(chatloom: Chatloom, arguments: tuple[str, ...], message: str) -> None:
    """Each ends once."""
    ran = chatloom(*arguments)
    assert (ran.status, ran.err.endswith(message)) == (2, True), ran.err


def test_quiet_says_only_what_failed_and_verbose_each_attempt(chatloom: Chatloom, sandbox: Sandbox) -> None:
    """Neither shows a key."""
    assert chatloom("audit", "--quiet", "--format", "json").err == ""
    sandbox["acme"].fails(403, times=None)
    assert chatloom("audit", "--quiet").err.startswith("1 workspace: 1 failed | ")
    sandbox["acme"].recovers()
    lines = chatloom("audit", "--verbose").err.splitlines()
    assert [line.partition(" in ")[0] for line in lines[:2]] == [
        "ListAgents, attempt 1: 200", "GetAllowedDomains, attempt 1: 200",
    ]  # fmt: skip
    assert "clf_" not in "".join(lines)
