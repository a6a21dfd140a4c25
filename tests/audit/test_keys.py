"""Key references: where a key is looked for, and what is said when it is not there. No error quotes what was read."""

import asyncio
import errno
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from chatloom_async import ApiKey, ConfigurationError, InvalidApiKeyError
from chatloom_async.audit import KeyCommand, KeyEnv, KeyFile, KeyJson, KeyUnavailableError, Workspace, load_workspaces
from chatloom_async.audit import keys as keys_module
from chatloom_async.audit.keys import PRINTED, _close_pipe, command_key, printed_bytes, resolve_key
from tests.descriptors import back_to, open_descriptors, opened_below
from tests.samples import KEY, OTHER_KEY

SECRET = "hunter2-and-more"
PYTHON = (sys.executable, "-c")


def key_file(directory: Path, content: bytes, mode: int = 0o600) -> KeyFile:
    """A reference to a file with this content."""
    path = directory / "key"
    path.write_bytes(content)
    path.chmod(mode)
    return KeyFile(path)


def written(content: str | bytes, mode: int = 0o600) -> Callable[[Path], object]:
    """Makes a file with this content."""
    return lambda path: key_file(path.parent, content.encode() if isinstance(content, str) else content, mode)


def linked(mode: int) -> Callable[[Path], object]:
    """Makes a symbolic link to a file with a key."""

    def make(path: Path) -> None:
        target = path.with_name("target")
        target.mkdir()
        path.symlink_to(key_file(target, KEY.encode(), mode).path)

    return make


async def test_a_key_in_code_is_itself() -> None:
    """An ApiKey needs no resolving."""
    key = ApiKey(KEY)
    assert await resolve_key(key) is key


async def test_an_environment_variable_gives_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is read when the key is needed."""
    monkeypatch.setenv("ACME_KEY", KEY)
    assert await resolve_key(KeyEnv("ACME_KEY")) == ApiKey(KEY)


async def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error tells which variable is not set."""
    monkeypatch.delenv("ACME_KEY", raising=False)
    assert await resolve_key(KeyEnv("ACME_KEY")) == KeyUnavailableError("The environment variable ACME_KEY is not set")


OBJECT = "The JSON object in environment variable KEYS"
MEMBER = "member 'acme' of the JSON object in environment variable KEYS"
VARIABLE = "The environment variable KEYS"
JSON: dict[str, tuple[str | None, str]] = {
    "no variable": (None, f"{VARIABLE} is not set"),
    "an empty variable": ("", f"{VARIABLE} is empty"),
    "a bare key": (f"clf_{SECRET}", f"{VARIABLE} holds no JSON: see line 1, column 1"),
    "broken JSON": (f'{{"acme": "clf_{SECRET}"\n;}}', f"{VARIABLE} holds no JSON: see line 2, column 1"),
    "JSON in JSON in ...": ("[" * 100_000, f"{VARIABLE} holds no JSON that can be read"),
    "an enormous number": ("9" * 10_000, f"{VARIABLE} holds no JSON that can be read"),
    "a list": (f'["clf_{SECRET}"]', f"{VARIABLE} holds JSON, but not an object such as {{\"acme\": KEY}}"),
    "a text": (f'"clf_{SECRET}"', f"{VARIABLE} holds JSON, but not an object such as {{\"acme\": KEY}}"),
    "another member": (f'{{"globex": "clf_{SECRET}"}}', f"{OBJECT} has no member 'acme'"),
    "two members": (f'{{"acme": "clf_{SECRET}", "acme": "{KEY}"}}', f"{OBJECT} has 2 members 'acme'"),
    "no text": (f'{{"acme": {{"key": "clf_{SECRET}"}}}}', f"The {MEMBER} is not a text"),
    "null": ('{"acme": null}', f"The {MEMBER} is not a text"),
}  # fmt: skip
"""What the variable may hold in place of an object with the key, and what is said of it."""


async def test_a_member_of_a_json_object_gives_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """One variable holds the keys of many workspaces, by whatever names."""
    monkeypatch.setenv("KEYS", json.dumps({"acme": KEY, "größer #1": OTHER_KEY, "other": [None, {}]}))
    found = [await resolve_key(KeyJson("KEYS", name)) for name in ("acme", "größer #1")]
    assert found == [ApiKey(KEY), ApiKey(OTHER_KEY)]


@pytest.mark.parametrize("what", JSON)
async def test_a_json_object_without_the_key_is_told(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """The variable and the member are named; nothing that the variable holds is shown."""
    content, told = JSON[what]
    monkeypatch.delenv("KEYS", raising=False)
    if content is not None:
        monkeypatch.setenv("KEYS", content)
    assert await resolve_key(KeyJson("KEYS", "acme")) == KeyUnavailableError(told)


async def test_a_member_that_is_no_key_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the words that are said of any key that is none."""
    monkeypatch.setenv("KEYS", json.dumps({"acme": SECRET}))
    error = await resolve_key(KeyJson("KEYS", "acme"))
    assert isinstance(error, InvalidApiKeyError)
    assert str(error).startswith(f"M{MEMBER[1:]}: The API key ")
    assert SECRET not in str(error)


async def test_a_key_file_in_the_home_directory_may_start_with_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """~ is the user's home directory."""
    key_file(tmp_path, KEY.encode())
    monkeypatch.setenv("HOME", str(tmp_path))
    assert await resolve_key(KeyFile("~/key")) == ApiKey(KEY)


LOOSE = "can be read by others: chmod 600 {}"
LINES = "gives {} lines instead of the key alone"
FILES: dict[str, tuple[Callable[[Path], object], str | None]] = {
    "a key": (written(KEY), None),
    "a key and a newline": (written(f"{KEY}\n"), None),
    "a key and Windows' newline": (written(f"{KEY}\r\n"), None),
    "a byte order mark": (written(f"\ufeff{KEY}\n"), None),
    "readable by its owner only": (written(KEY, 0o400), None),
    **{f"mode {mode:o}": (written(KEY, mode), LOOSE) for mode in (0o640, 0o604, 0o620, 0o644, 0o601)},
    "a link": (linked(0o600), None),
    "a link to a loose file": (linked(0o644), LOOSE),
    "a link to nothing": (lambda path: path.symlink_to("gone"), "cannot be read: No such file or directory"),
    "a link to itself": (lambda path: path.symlink_to(path), "cannot be read: Too many levels of symbolic links"),
    "nothing": (lambda path: None, "cannot be read: No such file or directory"),
    "a directory": (lambda path: path.mkdir(0o700), "is a directory, not a file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "is a device, not a file"),
    "a pipe without a writer": (
        lambda path: os.mkfifo(path, 0o600), "cannot be read: nothing was written to this pipe in time"
    ),
    "two keys": (written(f"{KEY}\n{KEY}\n"), LINES.format(2)),
    "a comment": (written(f"# {SECRET}\n\n{KEY}\n"), LINES.format(3)),
    "two newlines": (written(f"{KEY}\n\n"), LINES.format(2)),
    "enormous": (written("clf_" + SECRET * 1_000_000), "holds more than 4096 bytes, and so no key"),
    "no text": (written(b"\xff\xfe\x00"), "gives something that is not UTF-8 text"),
}  # fmt: skip
"""What may stand where the key file should be, and what is said of it; None: it gives the key."""


@pytest.mark.skipif(os.name == "nt", reason="has neither these permissions nor pipes in directories")
@pytest.mark.parametrize("what", FILES)
async def test_a_key_file_gives_its_key_or_a_clear_error(tmp_path: Path, what: str) -> None:
    """Whatever is there: nothing is waited for without end, nothing of it is shown, and the file is named."""
    (put, problem), path = FILES[what], tmp_path / "key"
    put(path)
    told = None if problem is None else KeyUnavailableError(f"The key file {path} {problem.format(path)}")
    assert await resolve_key(KeyFile(path, patience=0.05)) == (told or ApiKey(KEY))


async def test_a_path_that_no_system_has_is_refused() -> None:
    """Rather than failing as a defect."""
    refused = await resolve_key(KeyFile("a\0b"))
    assert isinstance(refused, KeyUnavailableError)
    assert re.match(r"The key file a b cannot be read: .*embedded null", str(refused))  # in each Python's own words


@pytest.mark.skipif(os.name == "nt", reason="has no /dev/fd")
async def test_a_key_may_come_through_a_pipe() -> None:
    """As from `<(pass show chatloom)`: it is waited for until its writer is done."""
    ours, theirs = os.pipe()

    def write() -> None:
        os.write(theirs, KEY.encode()[:7])
        time.sleep(0.02)
        os.write(theirs, KEY.encode()[7:])
        os.close(theirs)

    key, _ = await asyncio.gather(resolve_key(KeyFile(f"/dev/fd/{ours}", patience=10)), asyncio.to_thread(write))
    os.close(ours)
    assert key == ApiKey(KEY)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors, which Linux lists there")
async def test_pipes_that_nobody_writes_to_hold_up_no_thread(tmp_path: Path) -> None:
    """Names are resolved by the same pool as ever, and other key files are read meanwhile."""
    for number in range(64):
        os.mkfifo(tmp_path / f"pipe{number}", 0o600)
    dead = [asyncio.create_task(resolve_key(KeyFile(tmp_path / f"pipe{number}"))) for number in range(64)]
    async with asyncio.timeout(10):
        assert await resolve_key(key_file(tmp_path, KEY.encode())) == ApiKey(KEY)
        assert await asyncio.get_running_loop().getaddrinfo("localhost", 80)
    assert await opened_below(tmp_path, 64) == 64
    assert not any(task.done() for task in dead)
    for task in dead:
        task.cancel()
    await asyncio.wait(dead)
    assert await opened_below(tmp_path, 0) == 0


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors, which Linux lists there")
async def test_a_pipe_that_is_opened_for_nobody_is_closed(tmp_path: Path) -> None:
    """The wait for a key file may be cancelled while a thread opens it."""
    os.mkfifo(tmp_path / "key", 0o600)
    for _ in range(20):
        reading = asyncio.create_task(resolve_key(KeyFile(tmp_path / "key")))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    await resolve_key(KeyFile(tmp_path / "nothing"))  # its thread was busy with the others before
    assert await opened_below(tmp_path, 0) == 0


def test_only_a_pipe_is_left_to_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a thread has opened the key file of a wait that was cancelled."""
    closed: list[int] = []
    monkeypatch.setattr(os, "close", closed.append)
    outcomes: list[Future[bytes | str | int]] = [Future() for _ in range(5)]
    cancelled, failed, regular, refused, pipe = outcomes
    cancelled.cancel()
    failed.set_exception(FileNotFoundError())
    regular.set_result(b"clf_0123456789")
    refused.set_result("is a directory, not a file")
    pipe.set_result(-7)
    for outcome in outcomes:
        _close_pipe(outcome)
    assert closed == [-7]


@pytest.mark.parametrize("content", ["", "\n", " ", SECRET, f"#{SECRET}", f"clf_{SECRET} {SECRET}", "clf_" + "x" * 300])
async def test_what_cannot_be_a_key_is_refused_and_not_shown(tmp_path: Path, content: str) -> None:
    """The error names the file and the problem, never the content."""
    error = await resolve_key(key_file(tmp_path, content.encode()))
    assert isinstance(error, InvalidApiKeyError)
    assert str(error).startswith(f"Key file {tmp_path / 'key'}: The API key ")
    assert SECRET not in str(error)


async def test_a_command_gives_what_it_prints() -> None:
    """One trailing newline is no part of the key."""
    assert await resolve_key(KeyCommand([*PYTHON, f"print({KEY!r})"])) == ApiKey(KEY)


async def test_a_command_waits_for_a_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other workspaces have them all for a moment; after its time it says so."""
    missing, start = [2], keys_module._start

    async def starved(argv: Sequence[str]) -> Any:
        missing[0] -= 1
        if missing[0] >= 0:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return await start(argv)

    monkeypatch.setattr(keys_module, "_start", starved)
    assert await KeyCommand(("echo", KEY)).read() == KEY
    missing[0] = 10**9
    failure = await KeyCommand(("echo", KEY), timeout=0.1).read()
    assert failure == KeyUnavailableError("The key command echo cannot be started: Too many open files")


async def test_a_command_is_not_run_by_a_shell() -> None:
    """Its words arrive as they are."""
    echo = "import sys; print(sys.argv[1])"
    error = await resolve_key(KeyCommand([*PYTHON, echo, "$HOME; `id`"]))
    assert isinstance(error, InvalidApiKeyError)


async def test_a_command_that_fails_is_quoted_without_control_characters_and_keys() -> None:
    """Its own complaint is the best explanation there is."""
    complain = f"import sys; print('\\x1b[31mlocked, {KEY}', file=sys.stderr); sys.exit(3)"
    assert await resolve_key(KeyCommand([*PYTHON, complain])) == KeyUnavailableError(
        f"The key command {sys.executable} ended with status 3: [31mlocked, clf_***"
    )


async def test_a_command_that_fails_in_silence_says_nothing() -> None:
    """The status alone is told then."""
    assert await resolve_key(KeyCommand([*PYTHON, "import sys; sys.exit(1)"])) == KeyUnavailableError(
        f"The key command {sys.executable} ended with status 1: it said nothing"
    )


async def test_a_command_runs_where_the_program_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a shell; the path of a key file counts from the folder of the list that names it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lists").mkdir()
    for folder, key in ((tmp_path, KEY), (tmp_path / "lists", OTHER_KEY)):
        key_file(folder, key.encode())
    (tmp_path / "lists/w.csv").write_text("name,key_file,key_command\na,key,\nb,,cat key\n")
    keys = [await resolve_key(each.key) for each in load_workspaces(Path("lists/w.csv"))]
    assert keys == [ApiKey(OTHER_KEY), ApiKey(KEY)]


async def test_a_command_that_is_not_there_is_named() -> None:
    """The operating system's reason is passed on; the command's arguments are not."""
    assert await resolve_key(KeyCommand(["/no/such/program", SECRET])) == KeyUnavailableError(
        "The key command /no/such/program cannot be started: No such file or directory"
    )


async def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    """A grandchild that holds the pipe open does not hold the audit up."""
    hang = f"echo $$ > {tmp_path}/pid; sleep 600 & sleep 600"
    reference = KeyCommand(["/bin/sh", "-c", hang], timeout=0.3)
    assert await resolve_key(reference) == KeyUnavailableError("The key command /bin/sh did not finish within 0.3 s")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


OWN_GROUP = f"{sys.executable} -c 'import os, time; os.setsid(); time.sleep(5)'"  # macOS has no program setsid


@pytest.mark.parametrize("child", ["sleep 5", OWN_GROUP], ids=["of its group", "of its own group"])
async def test_a_command_that_ends_before_its_children_leaves_nothing_open(child: str) -> None:
    """They hold its output open, so it is not over; what is still of its group is killed."""
    before = open_descriptors()
    reference = KeyCommand(["/bin/sh", "-c", f"{child} & echo {KEY}"], timeout=0.3)
    assert await resolve_key(reference) == KeyUnavailableError("The key command /bin/sh did not finish within 0.3 s")
    assert await back_to(before) <= before  # other tests may leave garbage


async def test_of_what_a_command_prints_only_the_beginning_is_kept() -> None:
    """However much it is, in no more memory."""
    printed = await printed_bytes(["/bin/sh", "-c", "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2"], 30.0)
    assert printed == bytes(PRINTED)


async def test_a_command_that_leaves_a_daemon_behind_does_not_hold_the_audit_up(tmp_path: Path) -> None:
    """The daemon holds the pipes open, in a session of its own, where nobody finds it."""
    made, pid = tmp_path / "pid.new", tmp_path / "pid"
    code = f"import os, signal; os.setsid(); open({str(made)!r}, 'w').write(str(os.getpid())); "
    code += f"os.rename({str(made)!r}, {str(pid)!r}); signal.pause()"
    command = ["/bin/sh", "-c", f'{sys.executable} -S -c "$0" & sleep 60', code]
    task = asyncio.create_task(KeyCommand(command, timeout=60.0).read())
    while not pid.exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.005)
    task.cancel()
    _, waiting = await asyncio.wait([task], timeout=10.0)
    os.kill(int(pid.read_text()), signal.SIGKILL)
    assert (waiting, task.cancelled()) == (set(), True)


async def test_a_command_ends_with_the_audit_that_stops_while_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before it runs, but as soon as it does."""
    made, create = list[Any](), asyncio.create_subprocess_exec

    async def slow(*argv: str, **options: Any) -> Any:
        made.append(await create(*argv, **options))
        await asyncio.sleep(0.05)
        return made[0]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", slow)
    task = asyncio.create_task(KeyCommand(["/bin/sh", "-c", "sleep 60 & sleep 60"]).read())
    while not made:  # noqa: ASYNC110 - it is another task's
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert made[0].returncode == -signal.SIGKILL


@pytest.mark.parametrize("turns", range(12))
async def test_a_command_ends_with_its_children_whenever_it_is_cancelled(tmp_path: Path, turns: int) -> None:
    """Also while it is being started, and when it is asked twice to go."""
    fifo = tmp_path / "held"
    os.mkfifo(fifo)
    ours = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    task = asyncio.create_task(KeyCommand(["/bin/sh", "-c", f"exec 3> {fifo}; sleep 600 & wait"]).read())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 30)
    async with asyncio.timeout(30):
        while is_held(ours):  # noqa: ASYNC110 - other processes end
            await asyncio.sleep(0.01)
    os.close(ours)


async def test_a_command_that_cannot_be_started_can_be_cancelled() -> None:
    """There is nothing to end then."""
    task = asyncio.create_task(KeyCommand(["/no/such/program"]).read())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def is_held(pipe: int) -> bool:
    """Whether a process has the other end open."""
    try:
        return os.read(pipe, 1) != b""
    except BlockingIOError:
        return True


async def test_a_command_ends_with_the_audit_that_waits_for_it(tmp_path: Path) -> None:
    """Cancelling kills it."""
    pid = tmp_path / "pid"
    task = asyncio.create_task(
        KeyCommand(["/bin/sh", "-c", f"echo $$ > {pid}.new; mv {pid}.new {pid}; sleep 600"]).read()
    )
    while not pid.exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


@pytest.mark.parametrize(
    ("command", "reference"),
    [
        ("pass show 'chat loom'", KeyCommand(["pass", "show", "chat loom"])),
        (["pass", "show"], KeyCommand(["pass", "show"])),
        ("", None),
        ("pass 'open", None),
        ([], None),
        ([""], None),
        (["pass", 7], None),
        (7, None),
    ],
)
def test_a_command_is_a_list_of_words_or_a_line_that_is_split_like_a_shell_would(
    command: object, reference: KeyCommand | None
) -> None:
    """Anything else is no command. In code, too, where it is an error."""
    assert command_key(command) == reference
    if reference is None:
        with pytest.raises(ConfigurationError, match=r"^argv must be a command, as a list of words or one line"):
            KeyCommand(command)  # type: ignore[arg-type]
    else:
        assert KeyCommand(command) == reference  # type: ignore[arg-type]


REFERENCE = "key must be a KeyEnv, KeyJson, KeyFile, KeyCommand or ApiKey"


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (lambda: KeyEnv(5), "name must be the name of a variable, not 5"),  # type: ignore[arg-type]
        (lambda: KeyEnv(""), "name must be the name of a variable, not a value of the type str"),
        (lambda: Workspace("a", KEY), f"{REFERENCE}, not a value of the type s"),  # type: ignore[arg-type]
        (lambda: Workspace("a", KeyEnv), f"{REFERENCE}, not the class KeyEnv"),  # type: ignore[arg-type]
        (lambda: Workspace(5, KeyEnv("A")), "name must be a text, not 5"),  # type: ignore[arg-type]
        (lambda: Workspace("a", KeyEnv("A"), tags="eu"), "tags must be a tuple of texts, not a value of the type str"),  # type: ignore[arg-type]
        (lambda: Workspace("a", KeyEnv("A"), expect="b"), "expect must be a tuple of texts, not a value of the type"),  # type: ignore[arg-type]
    ],
)
def test_a_workspace_that_cannot_be_audited_is_refused_where_it_is_made(made: Callable[[], Any], problem: str) -> None:
    """Not in its row; and a key that is given as a text is not shown."""
    with pytest.raises(ConfigurationError) as caught:
        made()
    assert caught.value.message.startswith(problem)
    assert KEY not in str(caught.value)
