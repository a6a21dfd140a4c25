"""Opens the one file of audits: checked before it is touched, locked against a second audit, set up to be durable.

Must be used and closed in one thread.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from sqlite3 import Connection

from .errors import NoDatabaseError, StoreAccessError, translated
from .schema import check, check_filled, create

PATIENCE = 1.0
"""Seconds to wait for another program's short lock, such as that of `chatloom runs` while it opens the file."""

GLANCE = 0.1
"""Seconds to wait for those that only look whether an audit runs: longer than that, it is another audit."""

SETTINGS = (
    # In WAL mode NORMAL would lose the last commits when the power fails; FULL flushes the log at every commit.
    "PRAGMA synchronous = FULL",
    # macOS: fsync alone leaves data in the drive's cache. Elsewhere without effect.
    "PRAGMA fullfsync = ON",
    "PRAGMA checkpoint_fullfsync = ON",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
)


@contextmanager
def writable(path: Path) -> Iterator[Connection]:
    """A connection for the one audit that may write. Creates the file; raises a StoreError at once if it is taken."""
    with _connected(path) as connection:
        check(connection, path)
        with _taken(path):
            _log_ahead(connection, path)
            create(connection)
            connection.execute("UPDATE runs SET state = 'interrupted' WHERE state = 'running'")  # whoever ran is gone
            for setting in SETTINGS:
                connection.execute(setting)
            yield connection


@contextmanager
def readable(path: Path) -> Iterator[Connection]:
    """A connection that cannot write; it works while an audit writes. Raises a StoreError where there is no file."""
    if not path.is_file():
        raise NoDatabaseError(f"{path}: there is no such file")
    with _connected(path) as connection:
        check_filled(connection, path)
        connection.execute("PRAGMA query_only = ON")
        yield connection


@contextmanager
def _connected(path: Path) -> Iterator[Connection]:
    with translated(path):
        connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
        try:
            yield connection
        finally:
            connection.close()


@contextmanager
def _taken(path: Path) -> Iterator[None]:
    """Holds the right to write as a lock on a file beside, which the system lets go when this process dies.

    A lock on the database itself would shut out those that read it. SQLite does it, so that it works the same on
    every system.
    """
    lock = sqlite3.connect(f"{path}-lock", timeout=GLANCE, isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        lock.close()


def is_being_written(path: Path) -> bool:
    """Whether an audit has the file open to write. One that was killed has not."""
    lock = Path(f"{path}-lock")
    if not lock.exists():
        return False
    with closing(sqlite3.connect(f"{lock.absolute().as_uri()}?mode=ro", timeout=0, uri=True)) as connection:
        try:
            connection.execute("SELECT * FROM sqlite_master")
        except sqlite3.OperationalError:  # it is locked; or not to be read, which does not mean that it is free
            return True
    return False


def _log_ahead(connection: Connection, path: Path) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreAccessError(f"{path}: write-ahead logging does not work there")
