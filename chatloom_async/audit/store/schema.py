"""The tables of an audit's database. A file of another version is refused, with what to do about it."""

import secrets
from pathlib import Path
from sqlite3 import Connection

from .errors import StoreFormatError, StoreVersionError

APPLICATION_ID = int.from_bytes(b"CLAU", "big")
"""In the file's header, so that `file` and this package can tell it from the databases of other programs."""

VERSION = 1

TABLES = (
    "CREATE TABLE store (salt BLOB NOT NULL)",
    """CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        started TEXT NOT NULL, finished TEXT,
        state TEXT NOT NULL CHECK (state IN ('running', 'finished', 'interrupted')),
        digest BLOB NOT NULL, options TEXT NOT NULL, version TEXT NOT NULL, origin TEXT NOT NULL,
        command TEXT NOT NULL, paused REAL NOT NULL DEFAULT 0)""",
    """CREATE TABLE planned (
        run INTEGER NOT NULL REFERENCES runs, name TEXT NOT NULL, reference BLOB NOT NULL, expect BLOB NOT NULL,
        PRIMARY KEY (run, name)) WITHOUT ROWID""",
    """CREATE TABLE unselected (
        run INTEGER NOT NULL REFERENCES runs, name TEXT NOT NULL, PRIMARY KEY (run, name)) WITHOUT ROWID""",
    """CREATE TABLE rows (
        run INTEGER NOT NULL, name TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('ok', 'partial', 'failed')),
        fingerprint TEXT, document BLOB NOT NULL,
        UNIQUE (run, name), FOREIGN KEY (run, name) REFERENCES planned)""",
    "CREATE INDEX rows_by_state ON rows (run, state)",
    """CREATE TABLE findings (
        run INTEGER NOT NULL, workspace TEXT NOT NULL, position INTEGER NOT NULL,
        id TEXT NOT NULL, rule TEXT NOT NULL, severity TEXT NOT NULL,
        agent_id TEXT, subject TEXT NOT NULL, message TEXT NOT NULL,
        PRIMARY KEY (run, workspace, position),
        FOREIGN KEY (run, workspace) REFERENCES planned) WITHOUT ROWID""",
    "CREATE INDEX findings_by_id ON findings (run, id)",
    "CREATE INDEX findings_by_rule ON findings (run, severity, rule)",
)
"""`planned` holds what a run should read, `rows` what came of it, `unselected` what else was on the list. `findings`
repeats the rows' findings, for queries. Key references, expectations and keys are there as salted digests only."""


def check(connection: Connection, path: Path) -> None:
    """Raises StoreFormatError for another program's database, StoreVersionError for one with another schema.

    Nothing is written. An empty file passes.
    """
    if _is_empty(connection):
        return
    if _number(connection, "PRAGMA application_id") != APPLICATION_ID:
        raise StoreFormatError(f"{path}: it is an SQLite database of another program")
    version = _number(connection, "PRAGMA user_version")
    if version != VERSION:
        raise StoreVersionError(f"{path}: its schema has version {version}, and this package uses version {VERSION}")


def check_filled(connection: Connection, path: Path) -> None:
    """For a database that is only read: an empty file is refused too."""
    if _is_empty(connection):
        raise StoreFormatError(f"{path}: it is empty")
    check(connection, path)


def create(connection: Connection) -> None:
    """Makes the tables in an empty file: all of them, or, where that fails, none."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        if not _is_empty(connection):
            return
        for statement in TABLES:
            connection.execute(statement)
        connection.execute("INSERT INTO store (salt) VALUES (?)", (secrets.token_bytes(32),))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _is_empty(connection: Connection) -> bool:
    """Whether nobody has made a database of the file yet."""
    queries = ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    return not any(_number(connection, query) for query in queries)


def _number(connection: Connection, query: str) -> int:
    number: int = connection.execute(query).fetchone()[0]
    return number
