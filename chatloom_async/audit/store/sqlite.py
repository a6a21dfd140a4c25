"""The database of audits in SQLite: its schema, how it is opened and locked, and how rows are stored and read.

A row is stored as compressed JSON: 1.1 KB for a workspace of twelve agents instead of 4.1 KB. Everything here is a
function of a connection, which must be used and closed in one thread.
"""

import json
import secrets
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from itertools import chain
from pathlib import Path
from sqlite3 import Connection, IntegrityError
from typing import Any

import msgspec
from attrs import frozen

from ..rules.overlap import site_digests
from ..spool import from_json
from ..values import Row, Summary
from .errors import (
    NoSuchRunError,
    StoreAccessError,
    StoreDamagedError,
    StoreFormatError,
    StoreUsageError,
    translated,
)
from .locking import connected_to, write_lock
from .runs import ROWS, KeptRow, RunInfo, StoredWorkspace

APPLICATION_ID = int.from_bytes(b"CLAU", "big")
"""In the header of the file. `file` and this package recognise a database of audits by it."""

VERSION = 2
"""Raised whenever TABLES changes, so that an older file is refused before anything is sent."""

TABLES = (
    "CREATE TABLE store (salt BLOB NOT NULL)",
    """CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        started TEXT NOT NULL, finished TEXT,
        state TEXT NOT NULL CHECK (state IN ('running', 'finished', 'interrupted')),
        digest BLOB NOT NULL, options TEXT NOT NULL, version TEXT NOT NULL, origin TEXT NOT NULL,
        paused REAL NOT NULL DEFAULT 0)""",
    """CREATE TABLE planned (
        run INTEGER NOT NULL REFERENCES runs, name TEXT NOT NULL, reference BLOB NOT NULL, expect BLOB NOT NULL,
        PRIMARY KEY (run, name)) WITHOUT ROWID""",
    """CREATE TABLE unselected (
        run INTEGER NOT NULL REFERENCES runs, name TEXT NOT NULL, PRIMARY KEY (run, name)) WITHOUT ROWID""",
    """CREATE TABLE rows (
        run INTEGER NOT NULL, name TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('ok', 'partial', 'failed')),
        fingerprint TEXT, sites BLOB NOT NULL, totals TEXT NOT NULL, document BLOB NOT NULL,
        amended INTEGER NOT NULL DEFAULT 0,
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
"""`planned` has the workspaces that a run should read, `rows` the results, `unselected` the rest of the list.
A row has digests of the `sites` that the workspace allows, and its `totals` in the order of `Summary`; it is `amended`
if it has findings that follow from other rows. `findings` repeats the rows' findings, for queries. Key references,
expectations and keys are stored as salted digests only."""


def check(connection: Connection, path: Path) -> None:
    """Raises StoreFormatError for another program's database, and for one with another schema. It writes nothing."""
    if _number(connection, "PRAGMA application_id") != APPLICATION_ID:
        raise StoreFormatError(f"{path}: it is an SQLite database of another program")
    version = _number(connection, "PRAGMA user_version")
    if version != VERSION:
        raise StoreFormatError(
            f"{path}: its schema has version {version}, and this package uses version {VERSION}: "
            "use the version of chatloom-async that wrote it"
        )


def create(connection: Connection) -> None:
    """Creates the tables in an empty file: all of them, or none if that fails."""
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
    """Whether the file is empty."""
    queries = ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    return not any(_number(connection, query) for query in queries)


def _number(connection: Connection, query: str) -> int:
    number: int = connection.execute(query).fetchone()[0]
    return number


BUSY_TIMEOUT = 1.0
"""Seconds to wait for another program's short lock, such as that of `chatloom runs` while it opens the file."""

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
    """A connection for the only audit that may write. Creates the file. Raises StoreError at once if it is in use."""
    with _connected(path) as connection:
        if not _is_empty(connection):
            check(connection, path)
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreAccessError(f"{path}: write-ahead logging does not work there")
        with write_lock(path):
            create(connection)
            connection.execute("UPDATE runs SET state = 'interrupted' WHERE state = 'running'")  # its process has ended
            for setting in SETTINGS:
                connection.execute(setting)
            yield connection


@contextmanager
def readable(path: Path) -> Iterator[Connection]:
    """A connection that cannot write; it works while an audit writes. Raises StoreError if there is no file."""
    if not (path.is_file() or path.is_dir()):
        raise StoreAccessError(f"{path}: there is no such file")
    with _connected(path) as connection:
        if _is_empty(connection):
            raise StoreFormatError(f"{path}: it is empty")
        check(connection, path)
        connection.execute("PRAGMA query_only = ON")
        yield connection


@contextmanager
def _connected(path: Path) -> Iterator[Connection]:
    if path.exists() and not path.is_file():
        raise StoreAccessError(f"{path}: it is {'a directory' if path.is_dir() else 'no regular file'}")
    with translated(path):
        # A cached statement keeps the rows that it was last given, and the rows of a batch may be large.
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, cached_statements=0)
        with connected_to(path), closing(connection):
            yield connection


ENCODE = msgspec.json.Encoder().encode
TOTALS = msgspec.json.Decoder(list[int])
COMPRESSION = 1
"""A row of twelve agents takes 10 % more bytes than with zlib's default level, and half the time."""


def encode_row(row: Row) -> bytes:
    """The whole row. Its checksum is inside."""
    try:
        raw = ENCODE(row)
    except UnicodeEncodeError:  # half of a surrogate pair, which msgspec does not write
        raw = json.dumps(msgspec.to_builtins(row), separators=(",", ":")).encode()
    return zlib.compress(raw, COMPRESSION)


def decode_row(compressed: bytes) -> Row:
    """The row. Raises ValueError for invalid bytes."""
    try:
        return from_json(zlib.decompress(compressed), ROWS)
    except Exception as problem:  # zlib, json and msgspec each have their own
        reason = f"{type(problem).__name__}: {problem}"
    raise ValueError(reason)


PAGE = 64

RUNS = """SELECT id, started, finished, state, version, options, paused,
    (SELECT count(*) FROM planned WHERE run = runs.id), (SELECT count(*) FROM unselected WHERE run = runs.id)
    FROM runs WHERE id = :run OR :run IS NULL ORDER BY id"""
STATES = "SELECT state, count(*) FROM rows WHERE run = ? GROUP BY state"
SEVERITIES = "SELECT severity, count(*) FROM findings WHERE run = ? GROUP BY severity"
PAGES = """SELECT planned.name AS name, document, fingerprint, 1, expect <> :nothing
    FROM planned LEFT JOIN rows ON rows.run = planned.run AND rows.name = planned.name
    WHERE planned.run = :run AND {0}
    UNION ALL SELECT unselected.name, NULL, NULL, 0, 0 FROM unselected WHERE unselected.run = :run AND {1}
    ORDER BY name LIMIT :most"""
FIRST_PAGE = PAGES.format("TRUE", "TRUE")
NEXT_PAGE = PAGES.format("planned.name > :after", "unselected.name > :after")
COMPARABLE = (
    "SELECT (SELECT origin FROM runs WHERE id = :run) = (SELECT origin FROM runs WHERE id = :earlier)",
    """SELECT EXISTS (SELECT 1 FROM planned JOIN planned AS others USING (name)
        WHERE planned.run = :run AND others.run = :earlier)""",
    """SELECT NOT EXISTS (SELECT 1 FROM unselected JOIN planned USING (name)
        WHERE unselected.run = :earlier AND planned.run = :run)""",
)
DONE = "SELECT name FROM rows WHERE run = ? AND state <> 'failed' AND name IN ({0})"
KNOWN = "SELECT id FROM findings WHERE run = ? AND id IN ({0})"
IDS = 500  # that one query asks for
INSERT = """INSERT INTO rows (run, name, state, fingerprint, sites, totals, document) VALUES {0}
    ON CONFLICT (run, name) DO NOTHING"""
REPLACE = """UPDATE rows SET state = ?, fingerprint = ?, sites = ?, totals = ?, document = ?, amended = 0
    WHERE run = ? AND name = ?"""
AMEND = "UPDATE rows SET totals = ?, document = ?, amended = 1 WHERE run = ? AND name = ?"
REMOVE_FINDINGS = "DELETE FROM findings WHERE run = ? AND workspace = ?"
KEPT = """SELECT name, document, fingerprint, sites, totals, amended FROM rows
    WHERE run = :run AND state <> 'failed' AND {0} ORDER BY name LIMIT :most"""
FIRST_KEPT, NEXT_KEPT = KEPT.format("TRUE"), KEPT.format("name > :after")


def runs(connection: Connection, run: int | None = None) -> list[RunInfo]:
    """All runs, oldest first, or only the one with this number."""
    return [_run(connection, values) for values in connection.execute(RUNS, {"run": run}).fetchall()]


def one_run(connection: Connection, run: int) -> RunInfo:
    """Raises NoSuchRunError."""
    with suppress(OverflowError):  # SQLite's integers have 64 bits
        for info in runs(connection, run):
            return info
    raise NoSuchRunError(f"There is no run {run}")


def _run(connection: Connection, values: tuple[Any, ...]) -> RunInfo:
    run, started, finished, state, version, options, paused, planned, unselected = values
    read = json.loads(options)
    return RunInfo(
        id=run,
        started=datetime.fromisoformat(started),
        finished=None if finished is None else datetime.fromisoformat(finished),
        state=state,
        version=version,
        base_url=read["base_url"],
        rules=read["rules"],
        paused=paused,
        planned=planned,
        unselected=unselected,
        **dict(connection.execute(STATES, (run,)).fetchall()),
        **dict(connection.execute(SEVERITIES, (run,)).fetchall()),
    )


@frozen
class NewRow:
    """A row to be stored, with the fingerprint of the workspace's key."""

    run: int
    row: Row
    fingerprint: str | None

    @property
    def values(self) -> tuple[Any, ...]:
        row = self.row
        return self.run, row.workspace, row.state, self.fingerprint, site_digests(row), _totals(row), encode_row(row)


def put_rows(connection: Connection, new_rows: Sequence[NewRow]) -> None:
    """Adds the rows, or replaces those of the same workspaces. Raises StoreUsageError if one is not part of its run.

    All are added by one statement, because Python lets another thread run at each statement.
    """
    last = {(new.run, new.row.workspace): new for new in new_rows}.values()
    values = [new.values for new in last]
    statement = INSERT.format(",".join(["(?, ?, ?, ?, ?, ?, ?)"] * len(values)))
    try:
        added = connection.execute(statement, list(chain.from_iterable(values))).rowcount
    except IntegrityError:
        names = " or ".join([repr(new.row.workspace) for new in last])
        reason = f"Workspace {names} is not one of run {new_rows[0].run}"
    else:
        if added < len(values):
            connection.executemany(REPLACE, [(*result, run, name) for run, name, *result in values])
            connection.executemany(REMOVE_FINDINGS, [(run, name) for run, name, *_ in values])
        _add_findings(connection, [(new.run, new.row) for new in last])
        return
    raise StoreUsageError(reason)


def amend_rows(connection: Connection, run: int, rows: Sequence[Row]) -> None:
    """Replaces the rows of these workspaces. The fingerprints of their keys stay."""
    connection.executemany(AMEND, [(_totals(row), encode_row(row), run, row.workspace) for row in rows])
    connection.executemany(REMOVE_FINDINGS, [(run, row.workspace) for row in rows])
    _add_findings(connection, [(run, row) for row in rows])


def _totals(row: Row) -> str:
    return ENCODE(Summary.of(row).numbers).decode()


def _add_findings(connection: Connection, rows: Sequence[tuple[int, Row]]) -> None:
    values = (
        (run, row.workspace, place, *map(_storable, (f.id, f.rule, f.severity, f.agent_id, f.subject, f.message)))
        for run, row in rows
        for place, f in enumerate(row.findings)
    )
    connection.executemany("INSERT INTO findings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)


def page(connection: Connection, run: int, after: str | None, nothing: bytes) -> list[StoredWorkspace]:
    """The workspaces that follow `after` in the order of their names; None: the first ones.

    `nothing` is the digest of an expectation that the list does not have.
    """
    query = FIRST_PAGE if after is None else NEXT_PAGE
    rows = connection.execute(query, {"run": run, "after": after, "most": PAGE, "nothing": nothing})
    return [_stored(run, values) for values in rows]


def kept_page(connection: Connection, run: int, after: str | None) -> list[KeptRow]:
    """The rows that were read, and follow the workspace `after` in the order of names; None: the first ones."""
    query = FIRST_KEPT if after is None else NEXT_KEPT
    rows = connection.execute(query, {"run": run, "after": after, "most": PAGE})
    return [_kept(run, values) for values in rows]


def _kept(run: int, values: tuple[str, bytes, str | None, bytes, str, int]) -> KeptRow:
    name, document, fingerprint, sites, totals, amended = values
    try:
        counts = Summary.of_numbers(TOTALS.decode(totals))
        return KeptRow(name, zlib.decompress(document), fingerprint, sites, counts, bool(amended))
    except (zlib.error, ValueError) as problem:
        reason = f"{type(problem).__name__}: {problem}"
    raise StoreDamagedError(f"The row of workspace {name!r} in run {run} cannot be read: {reason}")


def _stored(run: int, values: tuple[str, bytes | None, str | None, int, int]) -> StoredWorkspace:
    name, document, fingerprint, selected, expects = values
    try:
        row = None if document is None else decode_row(document)
    except ValueError as problem:
        reason = str(problem)
    else:
        return StoredWorkspace(name, row, fingerprint, selected=bool(selected), expects=bool(expects))
    raise StoreDamagedError(f"The row of workspace {name!r} in run {run} cannot be read: {reason}")


def undone(connection: Connection, run: int, names: list[str]) -> frozenset[str]:
    """The names that have no row in the run, or only a failed one."""
    done = connection.execute(DONE.format(_places(names)), (run, *names))
    return frozenset(names).difference(name for (name,) in done)


def _places(values: Sequence[str]) -> str:
    return ",".join("?" * len(values))


def known_findings(connection: Connection, run: int, ids: Sequence[str]) -> frozenset[str]:
    """The ids that a finding of the run has, in any workspace."""
    known = set[str]()
    for start in range(0, len(ids), IDS):
        some = ids[start : start + IDS]
        known.update(name for (name,) in connection.execute(KNOWN.format(_places(some)), (run, *some)))
    return frozenset(known)


def are_comparable(connection: Connection, run: int, earlier: int) -> bool:
    """Whether the runs have the address and a workspace in common, and no filter of `earlier` left out one of the
    workspaces of `run`."""
    runs = {"run": run, "earlier": earlier}
    return all(connection.execute(query, runs).fetchone()[0] for query in COMPARABLE)


def _storable(text: str | None) -> str | None:
    """The text as Unicode, which is all that SQLite stores. The row's document has the original."""
    return None if text is None else text.encode(errors="backslashreplace").decode()
