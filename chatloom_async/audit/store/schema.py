"""The tables of an audit's database, and how a file of an earlier version becomes one of this.

A new version is one more script at the end of MIGRATIONS; a script that was released is never changed.
"""

import secrets
from pathlib import Path
from sqlite3 import Connection

from .errors import StoreFormatError, StoreVersionError

APPLICATION_ID = int.from_bytes(b"CLAU", "big")
"""In the file's header, so that `file` and this package can tell it from the databases of other programs."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE store (salt BLOB NOT NULL)",
        """CREATE TABLE runs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            started TEXT NOT NULL, finished TEXT,
            state TEXT NOT NULL CHECK (state IN ('running', 'finished', 'interrupted')),
            digest BLOB NOT NULL, options TEXT NOT NULL, version TEXT NOT NULL, origin TEXT NOT NULL)""",
        """CREATE TABLE planned (
            run INTEGER NOT NULL REFERENCES runs, name TEXT NOT NULL, reference BLOB NOT NULL, expect BLOB NOT NULL,
            PRIMARY KEY (run, name)) WITHOUT ROWID""",
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
    ),
    (
        """CREATE TABLE unselected (
            run INTEGER NOT NULL REFERENCES runs, name TEXT NOT NULL, PRIMARY KEY (run, name)) WITHOUT ROWID""",
        "ALTER TABLE runs ADD COLUMN command TEXT NOT NULL DEFAULT '[]'",
    ),
    ("ALTER TABLE runs ADD COLUMN paused REAL NOT NULL DEFAULT 0",),
)
"""`planned` holds what a run should read, `rows` what came of it, `unselected` what else was on the list. `findings`
repeats the rows' findings, for queries. Key references, expectations and keys are there as salted digests only."""

VERSION = len(MIGRATIONS)


def check(connection: Connection, path: Path) -> None:
    """Raises StoreFormatError for another program's database, and StoreVersionError for one from a later version.

    Nothing is written. An empty file is welcome.
    """
    identity, version = _number(connection, "PRAGMA application_id"), _number(connection, "PRAGMA user_version")
    tables = _number(connection, "SELECT count(*) FROM sqlite_master")
    if identity != APPLICATION_ID and (identity or version or tables):
        raise StoreFormatError(f"{path}: it is an SQLite database of another program")
    if version > VERSION:
        raise StoreVersionError(f"{path}: its schema has version {version}, and this package knows up to {VERSION}")


def check_current(connection: Connection, path: Path) -> None:
    """For a database that is only read: raises, where it is empty or would have to be migrated first."""
    check(connection, path)
    version = _number(connection, "PRAGMA user_version")
    if version == 0:
        raise StoreFormatError(f"{path}: it is empty")
    if version < VERSION:
        raise StoreVersionError(f"{path}: its schema has version {version}; the next audit makes that {VERSION}")


def migrate(connection: Connection, migrations: tuple[tuple[str, ...], ...] = MIGRATIONS) -> None:
    """Brings the schema up to date: all of it, or, where that fails, nothing of it."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        done = _number(connection, "PRAGMA user_version")
        for script in migrations[done:]:
            for statement in script:
                connection.execute(statement)
        if done == 0:
            connection.execute("INSERT INTO store (salt) VALUES (?)", (secrets.token_bytes(32),))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")


def _number(connection: Connection, query: str) -> int:
    number: int = connection.execute(query).fetchone()[0]
    return number
