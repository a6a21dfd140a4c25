"""Reads and writes of the tables, as functions of a connection. No thread and no event loop here."""

import json
from datetime import datetime
from sqlite3 import Connection, IntegrityError
from typing import Any

from ..values import Row
from .documents import decode_row, encode_row
from .errors import NoSuchRunError, StoreDamagedError, StoreUsageError
from .values import RunInfo, Stored

PAGE = 64

RUNS = """SELECT id, started, finished, state, version, options, command, paused,
    (SELECT count(*) FROM planned WHERE run = runs.id), (SELECT count(*) FROM unselected WHERE run = runs.id)
    FROM runs WHERE id = :run OR :run IS NULL ORDER BY id"""
STATES = "SELECT state, count(*) FROM rows WHERE run = ? GROUP BY state"
SEVERITIES = "SELECT severity, count(*) FROM findings WHERE run = ? GROUP BY severity"
PAGES = """SELECT planned.name AS name, document, fingerprint, 1
    FROM planned LEFT JOIN rows ON rows.run = planned.run AND rows.name = planned.name
    WHERE planned.run = :run AND {0}
    UNION ALL SELECT unselected.name, NULL, NULL, 0 FROM unselected WHERE unselected.run = :run AND {1}
    ORDER BY name LIMIT :most"""
FIRST_PAGE = PAGES.format("TRUE", "TRUE")
NEXT_PAGE = PAGES.format("planned.name > :after", "unselected.name > :after")
DONE = "SELECT 1 FROM rows WHERE run = ? AND name = ? AND state <> 'failed'"
KNOWN = "SELECT 1 FROM findings WHERE run = ? AND id = ?"
UPSERT = """INSERT INTO rows (run, name, state, fingerprint, document) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (run, name) DO UPDATE SET
    state = excluded.state, fingerprint = excluded.fingerprint, document = excluded.document"""


def runs(connection: Connection, run: int | None = None) -> list[RunInfo]:
    """All, oldest first; or the one, where `run` is given."""
    return [_run(connection, values) for values in connection.execute(RUNS, {"run": run}).fetchall()]


def one_run(connection: Connection, run: int) -> RunInfo:
    """Raises NoSuchRunError."""
    for info in runs(connection, run):
        return info
    raise NoSuchRunError(f"There is no run {run}")


def _run(connection: Connection, values: tuple[Any, ...]) -> RunInfo:
    run, started, finished, state, version, options, command, paused, planned, unselected = values
    read = json.loads(options)
    return RunInfo(
        id=run,
        started=datetime.fromisoformat(started),
        finished=None if finished is None else datetime.fromisoformat(finished),
        state=state,
        version=version,
        base_url=read["base_url"],
        rules=read["rules"],
        command=json.loads(command),
        paused=paused,
        planned=planned,
        unselected=unselected,
        **dict(connection.execute(STATES, (run,)).fetchall()),
        **dict(connection.execute(SEVERITIES, (run,)).fetchall()),
    )


def put_row(connection: Connection, run: int, row: Row, fingerprint: str | None) -> None:
    """Puts the row in the place of its workspace's, if there is one. Raises StoreUsageError for a stranger's."""
    try:
        connection.execute(UPSERT, (run, row.workspace, row.state, fingerprint, encode_row(row)))
    except IntegrityError:
        reason = f"Workspace {row.workspace!r} is not one of run {run}"
    else:
        connection.execute("DELETE FROM findings WHERE run = ? AND workspace = ?", (run, row.workspace))
        texts = (
            (run, row.workspace, place, *map(_storable, (f.id, f.rule, f.severity, f.agent_id, f.subject, f.message)))
            for place, f in enumerate(row.findings)
        )
        connection.executemany("INSERT INTO findings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", texts)
        return
    raise StoreUsageError(reason)


def page(connection: Connection, run: int, after: str | None) -> list[Stored]:
    """The workspaces that follow `after` in the order of their names; None: the first ones."""
    query = FIRST_PAGE if after is None else NEXT_PAGE
    found = connection.execute(query, {"run": run, "after": after, "most": PAGE})
    return [_stored(run, *values) for values in found]


def _stored(run: int, name: str, document: bytes | None, fingerprint: str | None, selected: int) -> Stored:
    if document is None:
        return Stored(name, selected=bool(selected))
    try:
        row = decode_row(document)
    except ValueError as problem:
        reason = str(problem)
    else:
        return Stored(name, row, fingerprint)
    raise StoreDamagedError(f"The row of workspace {name!r} in run {run} cannot be read: {reason}")


def undone(connection: Connection, run: int, names: list[str]) -> frozenset[str]:
    """Those of the names that have no row in the run, or only a failed one."""
    return frozenset(name for name in names if not connection.execute(DONE, (run, name)).fetchone())


def known_findings(connection: Connection, run: int, ids: frozenset[str]) -> frozenset[str]:
    """Those of the ids under which something was found in the run, in whatever workspace."""
    return frozenset(each for each in ids if connection.execute(KNOWN, (run, each)).fetchone())


def _storable(text: str | None) -> str | None:
    """SQLite holds Unicode text only; the row's document holds the rest."""
    return None if text is None else text.encode(errors="backslashreplace").decode()
