"""Standard streams of every kind: other encodings, closed ones, full disks, odd terminals."""

import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from chatloom_async.audit.session import FormatName
from chatloom_async.cli import main
from chatloom_async.cli.auditing import content_of
from chatloom_async.cli.terminal import Content, error_line, notice, shell_command
from chatloom_async.sandbox import Sandbox
from tests.cli.conftest import PROGRAM, Ran, stdin_of
from tests.cli.test_rules_command import MINE
from tests.samples import KEY

Chatloom = Callable[..., Ran]
NAME = "Müller \N{GRINNING FACE}"
ENCODINGS = ("cp1252", "ascii", "utf-8")


@pytest.fixture
def named(sandbox: Sandbox) -> Sandbox:
    """An agent whose name few encodings have."""
    sandbox["acme"].add_agent(name=NAME, domains=("localhost",))
    return sandbox


def program(*words: str, stdin: bytes = b"", **environment: str) -> "subprocess.CompletedProcess[bytes]":
    """The program as a process, with bytes on its streams."""
    return subprocess.run(
        [*PROGRAM, *words], input=stdin, capture_output=True, env={**os.environ, **environment}, check=False
    )


def test_each_format_is_for_people_for_json_or_for_utf_8() -> None:
    """As far as standard output is concerned."""
    encoded: dict[Content, list[FormatName]] = {"locale": [], "json": [], "utf-8": []}
    for name in get_args(FormatName):
        encoded[content_of(name)].append(name)
    assert (encoded["locale"], encoded["json"]) == (["table"], ["json", "jsonl", "sarif"])


class InParts(io.RawIOBase):
    """Takes 100 bytes at a time, as a file or a pipe may when a signal arrives or the disk is nearly full."""

    def __init__(self) -> None:
        self.taken = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.taken += bytes(data)[:100]
        return min(100, len(data))


def test_a_stream_without_a_buffer_gets_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with PYTHONUNBUFFERED, where Python's own text stream drops what is not taken."""
    raw = InParts()
    stream = io.TextIOWrapper(raw, "utf-8", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "__stdout__", stream)
    assert main(["audit", "--sandbox", "--format", "json"]) == 0
    assert len(json.loads(raw.taken)["workspaces"]) == 12


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_is_the_same_in_every_encoding(named: Sandbox, encoding: str) -> None:
    """It is escaped where stdout is not UTF-8, so that it is right in both."""
    raw = program("call", "/api/plugin/agents", PYTHONIOENCODING=encoding).stdout
    assert NAME in [agent["name"] for agent in json.loads(raw)["agents"]]
    assert (b"\\ud83d" in raw) == (encoding != "utf-8")


def test_other_reports_for_programs_are_utf_8(named: Sandbox) -> None:
    """With the line ends of their format."""
    report = program("audit", "--format", "sarif", PYTHONIOENCODING="ascii").stdout
    assert (json.loads(report)["version"], b"\\U0001" in report) == ("2.1.0", False)
    table = program("audit", "--format", "csv", PYTHONIOENCODING="cp1252").stdout
    assert (NAME in table.decode(), table.count(b"\r\n")) == (True, table.count(b"\n"))


FOR_PEOPLE, FOR_PROGRAMS, IN_JSON = (
    NAME.encode("ascii", "backslashreplace"),
    NAME.encode(),
    json.dumps(NAME)[1:-1].encode(),
)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("agents", FOR_PEOPLE),
        ("agents --format json", IN_JSON),
        ("agents --format jsonl", IN_JSON),
        ("domains agt_named", FOR_PROGRAMS),
        ("domains agt_named --format json", IN_JSON),
        ("call /api/plugin/agents", IN_JSON),
        ("rules --rules house.py", FOR_PEOPLE),
        ("rules --rules house.py --format json", IN_JSON),
        ("diff --db a.db", FOR_PEOPLE),
        ("diff --db a.db --format json", IN_JSON),
        ("diff --db a.db --format markdown", FOR_PROGRAMS),
    ],
)
def test_each_command_encodes_for_who_reads_it(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, expected: bytes
) -> None:
    """What standard output cannot encode is escaped for people, JSON is escaped as JSON, and the rest is UTF-8."""
    monkeypatch.chdir(tmp_path)
    Path("house.py").write_text(MINE.replace("one template", NAME), "utf-8")
    if command.startswith("diff"):
        assert main(["audit", "--db", "a.db", "--output", "report"]) == 0
    agent = sandbox["acme"].add_agent(name=NAME, domains=(NAME,))
    if command.startswith("diff"):
        assert main(["audit", "--db", "a.db", "--output", "report", "--fail-on", "never"]) == 0
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(command.replace("agt_named", agent.id).split()) == 0
    assert expected in stream.buffer.getvalue()  # type: ignore[attr-defined]


def test_files_are_utf_8_whatever_the_locale_is(named: Sandbox, tmp_path: Path) -> None:
    """Each that an audit writes."""
    report, page, listed = (tmp_path / name for name in ("report.csv", "page.html", "listed.toml"))
    files = ("--format", "csv", "--output", report, "--html", page, "--write-expect", listed)
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert program("audit", *map(str, files), **ascii_only).stdout == b""
    assert [NAME in file.read_text("utf-8") for file in (report, page)] == [True, True]
    assert listed.read_text("utf-8").startswith("#")


@pytest.mark.parametrize(("encoding", "mark"), [("cp1252", b""), ("cp1252", b"\xef\xbb\xbf"), ("utf-8", b"")])
def test_standard_input_is_utf_8(encoding: str, mark: bytes) -> None:
    """With or without a byte order mark, whatever the locale is."""
    line = mark + json.dumps({"name": NAME, "key_env": "KEY"}, ensure_ascii=False).encode() + b"\n"
    ran = program("audit", "-", "--dry-run", "--format", "json", stdin=line, PYTHONIOENCODING=encoding)
    assert json.loads(ran.stdout)["workspaces"][0]["name"] == NAME


@pytest.mark.parametrize(
    ("raw", "reason"),
    [("\xff".encode("latin-1"), "Standard input is not UTF-8 text"), (b"", "standard input: holds no workspace")],
)
def test_standard_input_that_cannot_be_used_is_told(raw: bytes, reason: str) -> None:
    """One line, status 2."""
    ran = program("audit", "-", stdin=raw)
    assert (ran.returncode, ran.stdout) == (2, b"")
    assert ran.stderr.decode().startswith(f"error: {reason}")


def test_standard_input_that_fails_is_one_line(chatloom: Chatloom, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason that the operating system gives."""

    class Broken(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, _: object) -> int:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Broken())))
    assert chatloom("audit", "-") == Ran(
        2, "", "error: Standard input cannot be read: Input/output error. Redirect it from a file or a pipe.\n"
    )


def shell(words: str, redirections: str = "") -> "subprocess.CompletedProcess[str]":
    """The program in a shell that redirects its streams."""
    line = f"{shlex.quote(sys.executable)} -m chatloom_async {words} {redirections}"
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60, check=False)


CLOSED = "Standard output is closed. Redirect it to a file or a pipe.\n"
FULL = "No space left on device (while reading or writing a file)\n"


@pytest.mark.parametrize(
    ("words", "redirections", "status", "message"),
    [
        ("agents", ">&-", 2, CLOSED),
        ("audit --format json", ">&-", 2, CLOSED),
        ("audit --format json -o /dev/stdout", ">&-", 2, CLOSED),
        ("audit --html /dev/fd/1 -o /dev/null", ">&-", 2, CLOSED),
        ("agents -o /proc/self/fd/1", ">&-", 2, CLOSED),
        ("completion bash", ">&-", 2, CLOSED),
        ("--version", ">&-", 2, CLOSED),
        ("--help", ">&-", 2, CLOSED),
        ("audit --help", ">&-", 2, CLOSED),
        ("--version", ">/dev/full", 4, FULL),
        ("--help", ">/dev/full", 4, FULL),
        ("completion fish", ">/dev/full", 4, FULL),
        ("audit -", "<&-", 2, "Standard input is closed. Redirect it from a file or a pipe.\n"),
        ("agents --key-file -", "<&-", 2, "Standard input is closed. Redirect it from a file or a pipe.\n"),
    ],
)
def test_a_stream_that_is_needed_and_closed_is_one_line(
    sandbox: Sandbox, words: str, redirections: str, status: int, message: str
) -> None:
    """Not a defect."""
    ran = shell(words, redirections)
    assert (ran.returncode, ran.stdout, ran.stderr) == (status, "", f"error: {message}")


@pytest.mark.parametrize("words", ["--version", "--help", "completion bash"])
def test_output_that_nobody_reads_has_a_status_of_its_own(words: str) -> None:
    """As shells report SIGPIPE."""
    reader, writer = os.pipe()
    os.close(reader)
    ran = subprocess.run([*PROGRAM, *words.split()], stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (141, b"")


def test_messages_that_nobody_reads_do_not_end_an_audit(sandbox: Sandbox) -> None:
    """The report is whole."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [*PROGRAM, "audit", "--format", "json"]
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=writer, timeout=60, check=False)
    os.close(writer)
    assert (ran.returncode, json.loads(ran.stdout)["summary"]["workspaces"]["ok"]) == (0, 1)


def test_a_command_may_exit_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its status is kept."""
    monkeypatch.setattr("chatloom_async.cli.app._run", lambda *_: sys.exit(7))
    with pytest.raises(SystemExit, match=r"^7"):
        main(["rules"])


@pytest.mark.parametrize("redirections", ["<&- >&- 2>&-", ">&-", "2>/dev/full", "2>&-"])
def test_a_stream_that_is_not_needed_may_be_closed(sandbox: Sandbox, tmp_path: Path, redirections: str) -> None:
    """As under cron: the report goes to a file, and the database is not written to by mistake."""
    report, db = tmp_path / "r.json", tmp_path / "a.db"
    ran = shell(f"audit --format json --output {report} --db {db}", redirections)
    assert (ran.returncode, json.loads(report.read_text())["summary"]["workspaces"]["ok"]) == (0, 1)
    assert shell(f"runs --db {db} --format json").returncode == 0


@pytest.mark.parametrize(
    ("columns", "words"),
    [("0", "agents"), ("1", "audit"), ("1", "audit --help"), ("abc", "--help"), ("-5", "rules"), ("999999", "rules")],
)
def test_any_width_will_do(sandbox: Sandbox, columns: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """COLUMNS is whatever somebody put there."""
    monkeypatch.setenv("COLUMNS", columns)
    ran = shell(words)
    assert (ran.returncode, "defect" in ran.stderr, bool(ran.stdout)) == (0, False, True)


def test_a_defect_shows_its_traceback_where_that_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without keys, and the line says how to get it."""

    def broken(*_: object, **__: object) -> None:
        raise LookupError(f"surprise {KEY}")

    monkeypatch.setattr("chatloom_async.cli.sources.make_sandbox", broken)
    assert main(["audit", "--sandbox"]) == 4
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert err.endswith(" This is a defect: please report it. CHATLOOM_TRACEBACK=1 shows the traceback.\n")
    monkeypatch.setenv("CHATLOOM_TRACEBACK", "1")
    assert main(["audit", "--sandbox"]) == 4
    err = capsys.readouterr().err
    assert "Traceback (most recent call last):\n" in err
    assert "LookupError: surprise clf_***\n" in err
    assert KEY not in err
    assert err.endswith(" This is a defect: please report it with the traceback above.\n")


@pytest.mark.parametrize("problem", [OSError(24, "Too many open files"), OSError(13, "Permission denied", "a.db")])
def test_trouble_of_the_machine_is_not_a_defect(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, problem: OSError
) -> None:
    """It names the file, if the operating system did."""

    def refuse(*_: object, **__: object) -> None:
        raise problem

    monkeypatch.setattr("chatloom_async.cli.sources.make_sandbox", refuse)
    assert main(["audit", "--sandbox"]) == 4
    where = "a.db: " if problem.filename else ""
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {where}{problem.strerror}")


def test_a_key_may_come_with_the_line_ends_of_windows(
    chatloom: Chatloom, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the first line is read."""
    monkeypatch.setattr(sys, "stdin", stdin_of(f"\ufeff{sandbox['acme'].key.reveal()}\r\nmore\r\n"))
    assert chatloom("agents", "--key-file", "-").status == 0


@pytest.mark.parametrize(("terminal", "lines"), [("1", 4), ("", 1)])
def test_an_error_is_folded_between_words_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, terminal: str, lines: int
) -> None:
    """In a log it is one line."""
    for name, value in {"FORCE_COLOR": terminal, "TERM": "xterm", "COLUMNS": "40", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    error_line("a sentence that is " + "very " * 20 + "long")
    written = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().err)
    assert (written.count("\n"), " ".join(written.split())[-9:]) == (lines, "very long")


def test_a_line_to_people_has_no_colours_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rich would paint numbers and paths."""
    for name, value in {"TTY_COMPATIBLE": "1", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    notice("12 workspaces in /tmp/w.toml [red]")
    assert capsys.readouterr().err == "12 workspaces in /tmp/w.toml [red]\n"


@pytest.mark.skipif(sys.platform == "win32", reason="has no such names and no bash")
def test_a_command_to_copy_names_every_file(capsys: pytest.CaptureFixture[str]) -> None:
    """Also a name that is not UTF-8, or that no terminal should show as it is."""
    names = (b"r\xe9 7.db", b"it's \\ \x1b[1m\xff7.db", b"a\xc2\xad.db", b"my db", b"plain.db")
    notice(shell_command(*map(os.fsdecode, names)), command=True)
    line = capsys.readouterr().err
    assert line.startswith(r"chatloom $'r\351 7.db' $'it\047s \134 \033[1m\3777.db' ")
    ran = subprocess.run(
        ["bash", "-c", f"chatloom() {{ printf '%s\\0' \"$@\"; }}\n{line}"], stdout=subprocess.PIPE, check=True
    )
    assert tuple(ran.stdout.split(b"\0")[:-1]) == names
