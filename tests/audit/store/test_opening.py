"""Opening the file: what cannot be used is refused at once, unchanged, and with what to do about it."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import blake2b
from pathlib import Path

import pytest

from chatloom_async.audit.store import (
    StoreAccessError,
    StoreError,
    StoreFormatError,
    StoreInUseError,
    open_store,
    sqlite,
)
from chatloom_async.audit.store.errors import translated
from chatloom_async.audit.store.locking import is_being_written, write_lock
from chatloom_async.audit.store.sqlite import APPLICATION_ID, TABLES, VERSION, create, readable, writable
from tests.audit.store.samples import config, row

HOLD = """
import asyncio, sys
from chatloom_async.audit.store import open_store
async def main():
    async with open_store(sys.argv[1]) as store:
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.read)
asyncio.run(main())
"""


async def refusal(path: Path, *, write: bool = True) -> StoreError:
    """What opening the file raises."""
    with pytest.raises(StoreError) as caught:
        async with open_store(path, write=write):
            pass
    return caught.value


@contextmanager
def held_by_another_process(path: Path) -> Iterator[None]:
    """Another process has the store open to write."""
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"open\n"
        yield
        process.communicate(timeout=30)
    assert process.returncode == 0


async def test_a_second_audit_is_refused_while_readers_are_not(tmp_path: Path) -> None:
    """The lock ends with the process that holds it."""
    path = tmp_path / "a.db"
    with held_by_another_process(path):
        error = await refusal(path)
        assert str(error) == (
            f"{path}: another audit is writing to it. Wait until the other audit ends, or choose another --db."
        )
        assert type(error) is StoreInUseError
        async with open_store(path, write=False) as store:
            assert await store.runs() == []
    async with open_store(path) as store:
        assert await store.runs() == []


async def test_a_second_audit_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    """The first one is none the worse for it."""
    async with open_store(tmp_path / "a.db") as store:
        assert isinstance(await refusal(tmp_path / "a.db"), StoreInUseError)
        run = await store.begin(config("a"))
        await run.commit(row("a"))


@pytest.mark.skipif(sys.platform == "win32", reason="needs rights to make links")
async def test_no_other_path_to_the_file_gets_around_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a symbolic link, nor a second name, nor another spelling. Each one finds the audit that is alive."""
    path, directory = tmp_path / "a.db", tmp_path / "other"
    directory.mkdir()
    with held_by_another_process(path):
        (tmp_path / "link.db").symlink_to("a.db")
        (tmp_path / "links").symlink_to(tmp_path)
        (directory / "a.db").hardlink_to(path)
        monkeypatch.chdir(directory)
        for name in (tmp_path / "link.db", tmp_path / "links" / "a.db", Path("a.db"), Path("../a.db")):
            error = await refusal(name)
            assert error == StoreInUseError(f"{name}: another audit is writing to it")
    async with open_store("a.db") as store:
        assert await store.runs() == []


def open_files() -> int:
    """How many this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def is_locked(path: Path) -> bool:
    """Whether SQLite has a lock on the file. The right to write is a lock of another kind."""
    locks = Path("/proc/locks").read_text().splitlines()
    return any(" POSIX " in lock and f":{path.stat().st_ino} " in lock for lock in locks)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_looking_for_an_audit_opens_no_more_and_more_files(tmp_path: Path) -> None:
    """And leaves SQLite its own locks, which closing a file would take away."""
    path = tmp_path / "a.db"
    async with open_store(path) as store:
        await store.begin(config("a"))
        async with open_store(path, write=False) as reader:
            await reader.runs()
            before = open_files()
            for _ in range(5):
                assert [info.state for info in await reader.runs()] == ["running"]
            assert open_files() == before
            assert is_locked(path)
    assert not is_locked(path)


async def test_a_database_that_is_gone_has_no_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads a removed file still sees what was in it; the path that was given counts from where it was opened."""
    monkeypatch.chdir(tmp_path)
    async with open_store("a.db") as store:
        await store.begin(config("a"))
    async with open_store("a.db", write=False) as reader:
        monkeypatch.chdir("/")
        assert [info.state for info in await reader.runs()] == ["interrupted"]
        (tmp_path / "a.db").unlink()
        assert [info.state for info in await reader.runs()] == ["interrupted"]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_file_without_a_connection_is_looked_at_and_closed(tmp_path: Path) -> None:
    """It may be another one than the file that was opened, if somebody replaced it."""
    path = tmp_path / "a.db"
    path.touch()
    before = open_files()
    assert not is_being_written(path)
    assert open_files() == before


@pytest.mark.skipif(sys.platform == "win32", reason="the system names another reason")
def test_a_path_that_cannot_be_opened_cannot_be_locked(tmp_path: Path) -> None:
    """The error names the path and the system's reason."""
    with pytest.raises(StoreAccessError) as caught, write_lock(tmp_path):
        raise AssertionError("it is a directory")
    assert caught.value == StoreAccessError(f"{tmp_path}: Is a directory")


async def test_where_no_thread_can_start_there_is_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error at once, not a wait for ever."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    path = tmp_path / "a.db"
    assert await asyncio.wait_for(refusal(path), 10) == StoreError(f"{path}: no thread can be started for the database")


async def test_a_file_that_another_program_locks_is_not_waited_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a shell of SQLite with an open transaction."""
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT", 0.05)
    path = tmp_path / "a.db"
    async with open_store(path) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreInUseError, match="database is locked"):
                await store.begin(config("a"))


def names(directory: Path) -> list[str]:
    """What is in it."""
    return sorted(each.name for each in directory.iterdir())


async def test_what_is_no_database_stays_as_it_is(tmp_path: Path) -> None:
    """No lock is left beside it either."""
    path = tmp_path / "notes.txt"
    path.write_text("Not a database, but somebody's notes.\n" * 200)
    assert await refusal(path) == StoreFormatError(f"{path}: file is not a database")
    assert await refusal(path, write=False) == StoreFormatError(f"{path}: file is not a database")
    assert names(tmp_path) == ["notes.txt"]
    assert path.read_text() == "Not a database, but somebody's notes.\n" * 200


@pytest.mark.parametrize("statement", ["CREATE TABLE t (x)", "PRAGMA application_id = 7", "PRAGMA user_version = 1"])
async def test_another_programs_database_stays_as_it_is(tmp_path: Path, statement: str) -> None:
    """Whatever tells that it is somebody else's."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)
    content = path.read_bytes()
    assert await refusal(path) == StoreFormatError(f"{path}: it is an SQLite database of another program")
    assert path.read_bytes() == content


def test_another_schema_has_another_version() -> None:
    """If this fails, raise VERSION and change both here: a file of the version before is then refused at once."""
    digest = blake2b("\n".join(" ".join(statement.split()) for statement in TABLES).encode(), digest_size=8)
    assert (VERSION, digest.hexdigest()) == (2, "a1cced161d061a96")


@pytest.mark.parametrize("version", [0, VERSION - 1, VERSION + 1])
async def test_another_version_is_not_touched(tmp_path: Path, version: int) -> None:
    """Neither to write nor to read; what an unknown schema means is not guessed, and the error says what to do."""
    path = tmp_path / "a.db"
    async with open_store(path):
        pass
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    content = path.read_bytes()
    for write in (True, False):
        error = await refusal(path, write=write)
        assert type(error) is StoreFormatError
        assert str(error) == (
            f"{path}: its schema has version {version}, and this package uses version {VERSION}: use the version of "
            "chatloom-async that wrote it. Choose another --db, such as one that `chatloom audit --db PATH` made."
        )
    assert path.read_bytes() == content


def test_a_database_is_made_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a statement fails, the file is as empty as before, and the next attempt works."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        monkeypatch.setattr(sqlite, "TABLES", (*TABLES, "no SQL"))
        with pytest.raises(sqlite3.OperationalError, match="syntax error"):
            create(connection)
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
        monkeypatch.undo()
        create(connection)
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_an_opened_database_keeps_its_salt(tmp_path: Path) -> None:
    """Or no fingerprint of an earlier run would mean anything any more."""
    salts = []
    for _ in range(2):
        with writable(tmp_path / "a.db") as connection:
            salts += connection.execute("SELECT salt FROM store").fetchall()
    assert (len(salts), len(set(salts))) == (2, 1)


async def test_a_reader_needs_a_file_and_does_not_make_one(tmp_path: Path) -> None:
    """A typo in a path leaves no empty database behind; an empty file is said to be empty."""
    path = tmp_path / "a.db"
    assert await refusal(path, write=False) == StoreAccessError(f"{path}: there is no such file")
    assert not path.exists()
    path.touch()
    assert await refusal(path, write=False) == StoreFormatError(f"{path}: it is empty")


async def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    """As `mktemp` makes one."""
    path = tmp_path / "a.db"
    path.touch()
    async with open_store(path) as store:
        assert await store.runs() == []


async def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    """It is not created: it is most likely a typo."""
    path = tmp_path / "none" / "a.db"
    assert await refusal(path) == StoreAccessError(f"{path}: unable to open database file")


@contextmanager
def read_only_directory(content: bytes | None = None) -> Iterator[Path]:
    """With `a.db` in it. The superuser may write everywhere, so it stops being one for a while."""
    with tempfile.TemporaryDirectory() as name:
        if content is not None:
            Path(name, "a.db").write_bytes(content)
            Path(name, "a.db").chmod(0o444)
        Path(name).chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            os.seteuid(user)
            Path(name).chmod(0o700)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX permissions")
async def test_a_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """With or without a database in it, since a log must be written beside it."""
    async with open_store(tmp_path / "a.db"):
        pass
    with read_only_directory() as directory:
        path = directory / "a.db"
        assert await refusal(path) == StoreAccessError(f"{path}: unable to open database file")
    with read_only_directory((tmp_path / "a.db").read_bytes()) as directory:
        path = directory / "a.db"
        for write in (True, False):
            error = await refusal(path, write=write)
            assert type(error) is StoreAccessError
            assert "in a directory that you may write to" in error.hint


async def test_where_there_is_no_write_ahead_log_there_is_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in memory, or on many network drives: nothing would be durable there, or nobody could read along."""
    monkeypatch.chdir(tmp_path)
    assert await refusal(Path(":memory:")) == StoreAccessError(":memory:: write-ahead logging does not work there")


def test_a_commit_is_flushed_to_the_disk(tmp_path: Path) -> None:
    """WAL with synchronous=FULL: NORMAL would survive the process, but not the power."""
    with writable(tmp_path / "a.db") as connection:
        names = ("journal_mode", "synchronous", "fullfsync", "foreign_keys", "application_id", "user_version")
        values = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]
    assert values == ["wal", 2, 1, 1, APPLICATION_ID, VERSION]


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    """Not even by mistake."""
    with writable(tmp_path / "a.db"):
        pass
    with (
        pytest.raises(StoreAccessError, match="attempt to write a readonly database"),
        readable(tmp_path / "a.db") as connection,
    ):
        connection.execute("DELETE FROM runs")


def test_an_error_that_sqlite_gives_no_code_is_a_store_error(tmp_path: Path) -> None:
    """As that of a closed connection."""
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.close()
    with pytest.raises(StoreError) as caught, translated(tmp_path / "a.db"):
        connection.execute("SELECT 1")
    assert caught.value == StoreError(f"{tmp_path / 'a.db'}: Cannot operate on a closed database.")


async def test_being_cancelled_while_it_opens_leaves_no_lock(tmp_path: Path) -> None:
    """The thread ends by itself, and the file can be opened again."""
    path = tmp_path / "a.db"

    async def use() -> None:
        async with open_store(path):
            raise AssertionError("it was cancelled before")

    task = asyncio.create_task(use())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with open_store(path) as store:
        assert await store.runs() == []


@pytest.mark.parametrize("path", ["/dev/null", "pipe"])
async def test_a_device_or_a_pipe_is_no_database(path: str, tmp_path: Path) -> None:
    """It is not even opened, since that may wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreAccessError, match=r": it is no regular file"):
        async with open_store(tmp_path / path):
            pass
