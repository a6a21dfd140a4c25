"""Finds what workspaces of one audit have in common: sites that several of them allow, and keys that several use.

The answer depends on every workspace, so it is known only once all of them are read. It does not depend on the order
in which they were read. The index lies in a temporary SQLite database, so memory does not grow with the audit.
"""

import sqlite3
import weakref
from collections.abc import Iterable
from threading import Lock

from attrs import define, field

from .subjects import CheckedOverlap, OtherWorkspaces

NAMED = 3
"""Other workspaces that a finding names; the rest is counted."""

ADDED_AT_ONCE = 500
"""Sites that are added without letting another thread in: less than a millisecond."""

KEY, DOMAIN = "k", "d"

TABLE = "CREATE TABLE held (thing TEXT, workspace BLOB, PRIMARY KEY (thing, workspace)) WITHOUT ROWID"
SHARED = """CREATE TABLE shared AS SELECT workspace, thing, holders FROM held
    JOIN (SELECT thing, count(*) AS holders FROM held GROUP BY thing HAVING count(*) > 1) USING (thing)"""
INDEX = "CREATE INDEX shared_by_workspace ON shared (workspace)"
HELD_WITH_OTHERS = "SELECT thing, holders FROM shared WHERE workspace = ? ORDER BY thing"
OTHERS = "SELECT workspace FROM held WHERE thing = ? AND workspace <> ? ORDER BY workspace LIMIT ?"


def _connect() -> sqlite3.Connection:
    """A database that SQLite keeps in memory while it is small, and in an unnamed file when it is not."""
    connection = sqlite3.connect("", check_same_thread=False)  # `prepare` may run in a thread of its own
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute(TABLE)
    return connection


@define(eq=False)
class OverlapIndex:
    """Which workspaces allow which sites and use which key. Call `add` for all of them, then `of`.

    Several threads may call `add`; none waits long for another one.
    """

    _connection: sqlite3.Connection = field(factory=_connect, init=False)
    _lock: Lock = field(factory=Lock, init=False)
    _prepared: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        weakref.finalize(self, self._connection.close)

    def add(self, workspace: str, domains: Iterable[str], key: str | None) -> None:
        """Notes the sites that a workspace allows, and the fingerprint of its key."""
        things = [DOMAIN + domain for domain in domains]
        if key is not None:
            things.append(KEY + key)
        name = _stored(workspace)
        for start in range(0, len(things), ADDED_AT_ONCE):
            with self._lock:
                rows = [(thing, name) for thing in things[start : start + ADDED_AT_ONCE]]
                self._connection.executemany("INSERT OR IGNORE INTO held VALUES (?, ?)", rows)
        self._prepared = False

    def prepare(self) -> None:
        """Finds what is shared. `of` does it when needed; in a thread, it does not hold up an event loop."""
        if not self._prepared:
            self._connection.execute("DROP TABLE IF EXISTS shared")
            self._connection.execute(SHARED)
            self._connection.execute(INDEX)
            self._prepared = True

    def of(self, workspace: str) -> CheckedOverlap:
        """What the workspace has in common with others, which are named in the order of their names."""
        self.prepare()
        name = _stored(workspace)
        found = {
            thing: OtherWorkspaces(self._others(thing, name), holders - 1)
            for thing, holders in self._connection.execute(HELD_WITH_OTHERS, (name,)).fetchall()
        }
        domains = {thing[1:]: others for thing, others in found.items() if thing.startswith(DOMAIN)}
        keys = (others for thing, others in found.items() if thing.startswith(KEY))
        return CheckedOverlap(workspace, domains, next(keys, OtherWorkspaces()))

    def _others(self, thing: str, name: bytes) -> tuple[str, ...]:
        rows = self._connection.execute(OTHERS, (thing, name, NAMED))
        return tuple(other.decode(errors="surrogatepass") for (other,) in rows)


def _stored(workspace: str) -> bytes:
    """SQLite's texts cannot hold every Python string; bytes can."""
    return workspace.encode(errors="surrogatepass")
