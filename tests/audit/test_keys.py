"""Key references: where a key is looked for, and what is said when it is not there. No error quotes what was read."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from chatloom_async import ApiKey, InvalidApiKeyError
from chatloom_async.audit import KeyCommand, KeyEnv, KeyFile, KeyUnavailableError
from chatloom_async.audit.keys import command_key, resolve_key
from tests.samples import KEY

SECRET = "hunter2-and-more"
PYTHON = (sys.executable, "-c")


def key_file(directory: Path, content: bytes, mode: int = 0o600) -> KeyFile:
    """A reference to a file with this content."""
    path = directory / "key"
    path.write_bytes(content)
    path.chmod(mode)
    return KeyFile(path)


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


@pytest.mark.parametrize("content", [KEY, f"{KEY}\n", f"{KEY}\r\n", f"\ufeff{KEY}\n"])
async def test_a_key_file_may_end_in_a_newline_and_begin_with_a_byte_order_mark(tmp_path: Path, content: str) -> None:
    """What editors leave behind is no part of the key."""
    assert await resolve_key(key_file(tmp_path, content.encode())) == ApiKey(KEY)


async def test_a_key_file_in_the_home_directory_may_start_with_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """~ is the user's home directory."""
    key_file(tmp_path, KEY.encode())
    monkeypatch.setenv("HOME", str(tmp_path))
    assert await resolve_key(KeyFile("~/key")) == ApiKey(KEY)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o601])
async def test_a_key_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    """Any permission for group or world will do to refuse it, and the error says how to mend it."""
    reference = key_file(tmp_path, KEY.encode(), mode)
    assert await resolve_key(reference) == KeyUnavailableError(
        f"The key file {reference.path} can be read by others: chmod 600 {reference.path}"
    )


async def test_a_key_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The operating system's reason is passed on."""
    assert await resolve_key(KeyFile(tmp_path / "none")) == KeyUnavailableError(
        f"The key file {tmp_path / 'none'} cannot be read: No such file or directory"
    )


async def test_a_key_file_must_be_text(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are not shown."""
    reference = key_file(tmp_path, b"\xff\xfe\x00")
    assert await resolve_key(reference) == KeyUnavailableError(
        f"The key file {reference.path} gives something that is not UTF-8 text"
    )


@pytest.mark.parametrize(
    "content", ["", "\n", SECRET, f"clf_{SECRET} {SECRET}", f"clf_{SECRET}\n\n", "clf_" + "x" * 5000]
)
async def test_what_cannot_be_a_key_is_refused_and_not_shown(tmp_path: Path, content: str) -> None:
    """The error names the file and the problem, never the content."""
    error = await resolve_key(key_file(tmp_path, content.encode()))
    assert isinstance(error, InvalidApiKeyError)
    assert str(error).startswith(f"Key file {tmp_path / 'key'}: The API key ")
    assert SECRET not in str(error)


async def test_a_command_gives_what_it_prints() -> None:
    """One trailing newline is no part of the key."""
    assert await resolve_key(KeyCommand([*PYTHON, f"print({KEY!r})"])) == ApiKey(KEY)


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
    """Anything else is no command."""
    assert command_key(command) == reference
