"""Output files: none destroys what the user still needs, and each takes the place of the old one only when whole."""

import contextlib
import errno
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chatloom_async.audit import entries
from chatloom_async.cli import files, inherited, note_descriptors
from chatloom_async.cli.files import OutputError, check_outputs, database_files, open_output
from chatloom_async.cli.terminal import CommandLineError
from chatloom_async.sandbox import Sandbox
from tests.cli.conftest import PROGRAM, Ran

Chatloom = Callable[..., Ran]
LIST = 'workspaces = [{name = "acme", key_file = "acme.key"}]\n'
MUTES = '[[mutes]]\nrule = "domain-local"\nreason = "r"\nuntil = 2099-01-01\n'
PRECIOUS = ("w.toml", "m.toml", "rules.py", "acme.key", "a.db")


@pytest.fixture
def folder(sandbox: Sandbox, chatloom: Chatloom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with inputs of every kind, and a database with one run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.toml").write_text(LIST)
    (tmp_path / "m.toml").write_text(MUTES)
    (tmp_path / "rules.py").write_text(
        "from chatloom_async.audit.rules import CheckedAgent, rule\n\n"
        '@rule("mine", severity="info", why="w", fix="f")\ndef mine(checked: CheckedAgent):\n    return ()\n'
    )
    key = tmp_path / "acme.key"
    key.touch(0o600)
    key.write_text(sandbox["acme"].key.reveal())
    assert chatloom("audit", "w.toml", "--db", "a.db").status == 0
    return tmp_path


@pytest.mark.parametrize("option", ["", "--mutes", "--rules"])
def test_an_input_without_an_end_is_refused(
    folder: Path, chatloom: Chatloom, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it fills the memory."""
    (folder / "endless.toml").symlink_to("/dev/zero")
    ran = chatloom(*filter(None, ("audit", option, "endless.toml", "--sandbox" if option else "")))
    assert (ran.status, "It has more than 256 MiB" in ran.err) == (2, True)
    monkeypatch.setattr(entries, "MAX_BYTES", len(LIST) - 1)
    with (folder / "w.toml").open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert "Standard input cannot be read: It has more than" in chatloom("audit", "-").err


def every_spelling(path: Path) -> Iterator[str]:
    """Other names of the same file: relative, absolute, through links, and through an open descriptor."""
    yield path.name
    yield str(path)
    yield f"./sub/../{path.name}"
    symbolic, hard = path.with_name(f"symbolic-{path.name}"), path.with_name(f"hard-{path.name}")
    symbolic.symlink_to(path)
    hard.hardlink_to(path)
    yield from (symbolic.name, hard.name)


@pytest.mark.parametrize("option", ["--output", "--html", "-o"])
@pytest.mark.parametrize("precious", PRECIOUS)
def test_no_report_overwrites_an_input(chatloom: Chatloom, folder: Path, precious: str, option: str) -> None:
    """By whatever name: status 2, before anything is sent, and the file is as it was."""
    (folder / "sub").mkdir()
    before = (folder / precious).read_bytes()
    command = ("audit", "w.toml", "--db", "a.db", "--mutes", "m.toml", "--rules", "rules.py", "--format", "json")
    for name in every_spelling(folder / precious):
        ran = chatloom(*command, option, name)
        assert (ran.status, ran.out, (folder / precious).read_bytes()) == (2, "", before)
        assert "which would be overwritten. Choose another file to write to.\n" in ran.err


@pytest.mark.parametrize("name", ["a.db-wal", "a.db-shm", "a.db-journal", "new.db", "NEW.db", "dangling"])
def test_no_report_takes_the_place_of_a_file_that_a_database_will_have(
    chatloom: Chatloom, folder: Path, name: str
) -> None:
    """Also of one that does not exist yet; case does not count, since some file systems ignore it."""
    Path("dangling").symlink_to("new.db")
    db = "a.db" if name.startswith("a.db") else "new.db"
    ran = chatloom("audit", "w.toml", "--db", db, "--format", "json", "--output", name)
    assert (ran.status, Path("new.db").exists(), Path("NEW.db").exists()) == (2, False, False)


@pytest.mark.parametrize(
    ("output", "page"), [("r", "./r"), ("r", "linked"), ("new", "dangling"), ("new", "NEW"), ("r", "hard")]
)
def test_two_reports_do_not_share_a_file(chatloom: Chatloom, folder: Path, output: str, page: str) -> None:
    """Whether it is there yet or not."""
    Path("r").write_text("the last one")
    Path("linked").symlink_to("r")
    Path("hard").hardlink_to("r")
    Path("dangling").symlink_to("new")
    ran = chatloom("audit", "w.toml", "--output", output, "--html", page)
    assert (ran.status, Path("r").read_text(), Path("new").exists()) == (2, "the last one", False)
    assert ran.err == (
        f"error: --html {Path(page)} is the same file as --output {output}: one would overwrite the other. "
        "Choose another file to write to.\n"
    )


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (("diff", "--db", "a.db", "-o", "a.db"), "the database of --db"),
        (("runs", "--db", "a.db", "--output", "a.db-wal"), "a file of the database of --db"),
        (("agents", "--key-file", "acme.key", "-o", "acme.key"), "the file of --key-file"),
        (("domains", "agt_1", "--key-file", "acme.key", "-o", "acme.key"), "the file of --key-file"),
        (("call", "/api/plugin/agents", "--key-file", "acme.key", "-o", "acme.key"), "the file of --key-file"),
        (("rules", "--rules", "rules.py", "-o", "rules.py"), "a file of --rules"),
        (("doctor", "--key-file", "acme.key", "--report", "acme.key"), "the file of --key-file"),
    ],
)
def test_other_commands_spare_their_inputs_too(
    chatloom: Chatloom, folder: Path, command: tuple[str, ...], what: str
) -> None:
    """The same check, and the same words."""
    before = {name: (folder / name).read_bytes() for name in PRECIOUS}
    ran = chatloom(*command)
    assert (ran.status, ran.out) == (2, "")
    assert f" is {what}, which would be overwritten. " in ran.err
    assert {name: (folder / name).read_bytes() for name in PRECIOUS} == before


def test_standard_streams_are_files_as_well(folder: Path) -> None:
    """An output that is the redirected input, or a list that stdout is appended to."""
    text = '{"name": "acme", "key_env": "CHATLOOM_API_KEY"}\n'
    Path("w.ndjson").write_text(text)

    def shell(line: str) -> int:
        program = subprocess.run(["sh", "-c", f'"$0" -m chatloom_async {line}', sys.executable], check=False)
        return program.returncode

    assert shell("audit - --format json -o w.ndjson < w.ndjson 2>/dev/null") == 2
    assert shell("audit w.ndjson --format json >> w.ndjson 2>/dev/null") == 2
    assert shell("audit w.ndjson --format json -o /proc/self/fd/3 3<> w.ndjson 2>/dev/null") == 2
    assert Path("w.ndjson").read_text() == text
    assert shell("audit w.ndjson --format json --html /dev/stdout > r.json 2>/dev/null") == 2
    assert shell("agents --format json -o /dev/stdout > agents.json") == 0
    assert Path("agents.json").read_text().startswith("{")
    assert shell("agents --format json -o /dev/stdout >> agents.json") == 0
    assert Path("agents.json").read_text().count('"count"') == 2


def test_a_report_has_the_mode_and_the_links_of_the_old_one(folder: Path) -> None:
    """The symbolic link stays, and its target gets the text; a new file gets what the umask says."""
    Path("reports").mkdir()
    target, link = Path("reports/today"), Path("latest")
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to("reports/today")
    with open_output(link, content="utf-8") as file:
        file.write("new\r\n\N{SNOWMAN}\ud800")
        file.flush()
        assert target.read_text() == "old"
    assert (link.is_symlink(), target.read_bytes()) == (True, b"new\r\n\xe2\x98\x83\\ud800")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    umask = os.umask(0o027)
    try:
        with open_output(Path("new"), content="utf-8") as file:
            file.write("x")
    finally:
        os.umask(umask)
    assert stat.S_IMODE(Path("new").stat().st_mode) == 0o640
    assert sorted(path.name for path in Path("reports").iterdir()) == ["today"]


def test_a_report_that_fails_leaves_the_last_one(folder: Path) -> None:
    """And nothing else."""
    Path("r").write_text("the last one")
    with contextlib.suppress(RuntimeError), open_output(Path("r"), content="utf-8") as file:
        file.write("half")
        raise RuntimeError
    assert Path("r").read_text() == "the last one"
    assert (files.unfinished, [path for path in folder.iterdir() if path.name.startswith(".")]) == (set(), [])


@pytest.mark.parametrize("refusing", ["mkstemp", "replace"])
def test_where_no_file_can_be_made_beside_it_the_old_one_is_filled(
    folder: Path, monkeypatch: pytest.MonkeyPatch, refusing: str
) -> None:
    """As with a file that is mounted into a container; only once the report is whole."""
    Path("r").write_text("the last one, which is longer")

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EBUSY, "busy")

    if refusing == "mkstemp":
        monkeypatch.setattr(files.tempfile, "mkstemp", refuse)
    else:
        monkeypatch.setattr(Path, "replace", refuse)
    with open_output(Path("r"), content="utf-8") as file:
        file.write("new")
        file.flush()
        assert Path("r").read_text() == "the last one, which is longer"
    assert Path("r").read_text() == "new"
    with (
        pytest.raises(CommandLineError if refusing == "mkstemp" else OutputError),
        open_output(Path("other"), content="utf-8"),
    ):
        pass
    assert not Path("other").exists()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("no/such/folder", "No such file or directory"),
        (".", "Is a directory"),
        ("x" * 300, "File name too long"),
        ("loop", "Too many levels of symbolic links"),
        ("/proc/self/fd/999", "Bad file descriptor"),
        ("nul\0", "embedded null "),
    ],
)
def test_a_path_that_cannot_be_written_is_refused_before_anything_is_sent(folder: Path, path: str, reason: str) -> None:
    """With the reason, and no file is left behind."""
    Path("loop").symlink_to("loop")
    before = sorted(folder.iterdir())
    with pytest.raises(CommandLineError) as caught:
        check_outputs([("--output", Path(path))], ())
    assert reason in caught.value.message.partition(" cannot be written: ")[2]
    assert sorted(folder.iterdir()) == before


def test_a_descriptor_of_a_closed_stream_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if its number leads somewhere: nobody asked for that place."""
    monkeypatch.setattr(sys, "stdout", None)
    with (
        pytest.raises(CommandLineError, match=r"^Standard output is closed"),
        open_output(Path("/dev/fd/1"), content="utf-8"),
    ):
        pass


def test_a_descriptor_of_another_process_is_not_one_of_this() -> None:
    """It is opened by its path."""
    assert files._descriptor(Path("/proc/self/fd/1")) == 1
    assert files._descriptor(Path("/proc/1/fd/1")) is None


@pytest.mark.parametrize(
    "command", ["agents", "domains agt_1", "call /api/plugin/agents", "diff --db a.db", "runs --db a.db", "audit"]
)
def test_a_descriptor_that_the_program_opened_itself_is_refused(
    chatloom: Chatloom, sandbox: Sandbox, folder: Path, command: str
) -> None:
    """The event loop gets the number that a shell user forgot to open."""
    number = os.dup(0)
    os.close(number)
    before = sandbox["acme"].requests
    ran = chatloom(*command.split(), "-o", f"/dev/fd/{number}")
    assert (ran.status, ran.out, sandbox["acme"].requests) == (2, "", before)
    assert ran.err.startswith(f"error: --output /dev/fd/{number} cannot be written: Bad file descriptor. ")


def test_a_descriptor_that_was_open_at_the_start_is_written(chatloom: Chatloom, folder: Path) -> None:
    """Unless it is open for reading only."""
    with Path("r.json").open("w") as writable, Path("w.toml").open() as readable:
        assert chatloom("agents", "--format", "json", "-o", f"/dev/fd/{writable.fileno()}").status == 0
        ran = chatloom("audit", "-o", f"/proc/self/fd/{readable.fileno()}")
    assert Path("r.json").read_text().startswith("{")
    ours, theirs = os.pipe()
    with os.fdopen(ours) as piped:
        assert chatloom("agents", "--format", "json", "-o", f"/dev/fd/{theirs}").status == 0
        os.close(theirs)
        assert piped.read() == Path("r.json").read_text()
    assert (ran.status, "cannot be written: It is open for reading only. " in ran.err) == (2, True)


def test_a_system_without_a_list_of_descriptors_accepts_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as Windows, where no path stands for one."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", os.readlink)  # raises OSError for a directory
        note_descriptors()
        assert inherited == set()
    note_descriptors()
    assert 2 in inherited


@pytest.mark.skipif(sys.platform != "linux", reason="has another /proc")
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/proc/version", "Permission denied"),
        ("socket", "No such device or address"),
        ("pipe", "Permission denied"),
        ("/dev/null", None),
    ],
)
def test_a_special_file_is_tried_before_anything_is_sent(
    folder: Path, monkeypatch: pytest.MonkeyPatch, path: str, reason: str | None
) -> None:
    """Except a pipe, since opening it would end its reader."""
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    if path == "pipe":
        monkeypatch.setattr(os, "access", lambda *_: False)
    with contextlib.nullcontext() if reason is None else pytest.raises(CommandLineError, match=reason):
        check_outputs([("--output", Path(path))], ())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_file_that_may_not_be_written_is_not_replaced(folder: Path) -> None:
    """Though its directory would allow it."""
    Path("r").touch(0o400)
    with pytest.raises(CommandLineError):
        check_outputs([("--output", Path("r"))], ())


def test_a_file_that_may_not_be_written_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the operating system tells it."""
    Path("r").touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(CommandLineError) as caught:
        check_outputs([("--output", Path("r"))], ())
    assert caught.value.message == "--output r cannot be written: Permission denied"


def test_a_pipe_gets_the_text_as_it_comes(folder: Path) -> None:
    """It is not opened to see whether it could be, since that would be all that its reader gets."""
    os.mkfifo("pipe")
    pieces: list[str] = []
    reader = threading.Thread(target=lambda: pieces.append(Path("pipe").read_text()))
    reader.start()
    check_outputs([("--output", Path("pipe"))], ())
    with open_output(Path("pipe"), content="utf-8") as file:
        file.write("one\n")
    reader.join(10)
    assert (pieces, Path("pipe").is_fifo()) == (["one\n"], True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no /dev/full")
@pytest.mark.parametrize(
    "command",
    [
        ("agents",),
        ("rules",),
        ("runs", "--db", "a.db"),
        ("audit", "w.toml", "--format", "json"),
        ("audit", "w.toml", "--output", "/dev/full"),
        ("audit", "w.toml", "--html", "/dev/full", "--format", "json", "--output", "r.json"),
        ("--help",),
    ],
)
def test_a_full_disk_is_told_as_such(folder: Path, command: tuple[str, ...]) -> None:
    """One line, status 4, no defect; another report of the same run is whole."""
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run([*PROGRAM, *command], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ran.returncode == 4
    assert ran.stderr.splitlines()[-1].startswith("error: ")
    assert ("No space left on device" in ran.stderr, "defect" in ran.stderr) == (True, False)
    assert ("r.json" not in command) or Path("r.json").read_text().endswith("}\n")


def test_the_files_of_a_linked_database_are_those_of_its_target(folder: Path) -> None:
    """SQLite makes them there."""
    Path("elsewhere").mkdir()
    Path("link.db").symlink_to("elsewhere/b.db")
    names = {path for _, path in database_files(Path("link.db"))}
    assert {Path("link.db"), Path("link.db-wal"), folder / "elsewhere/b.db-wal"} <= names


@pytest.mark.parametrize("command", ["./getkey.sh", "sh getkey.sh", ["sh", "getkey.sh"]])
def test_a_file_of_a_key_command_is_not_overwritten(chatloom: Chatloom, folder: Path, command: object) -> None:
    """The program, and every word that is a file."""
    Path("getkey.sh").write_text("#!/bin/sh\necho key\n")
    Path("getkey.sh").chmod(0o700)
    Path("w.json").write_text(json.dumps([{"name": "a", "key_command": command}]))
    for option in ("--output", "--html", "--db"):
        ran = chatloom("audit", "w.json", option, "getkey.sh")
        assert (ran.status, "is a file of the key command of workspace a, which would be" in ran.err) == (2, True)
    assert Path("getkey.sh").read_text() == "#!/bin/sh\necho key\n"


@pytest.mark.parametrize("option", ["--mutes", "--rules", "list"])
def test_the_database_is_no_input(chatloom: Chatloom, folder: Path, option: str) -> None:
    """An empty file would become a database without a word."""
    Path("input.toml").touch()
    words = ["input.toml"] if option == "list" else [option, "input.toml"]
    ran = chatloom("audit", *words, "--db", "./input.toml")
    assert (ran.status, Path("input.toml").read_bytes()) == (2, b"")
