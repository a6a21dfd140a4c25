"""Finds what workspaces of one audit have in common (sites that several allow, keys that several use), with its rules.

The answer depends on every workspace, so it is known only once all of them are read. It does not depend on the order
in which they were read. The index lies in a temporary SQLite database, so memory does not grow with the audit.
"""

import sqlite3
import weakref
from collections.abc import Callable, Iterable
from functools import lru_cache
from threading import Lock

from attrs import define, field

from .hostname import quoted
from .rule import Found, rule
from .subjects import CheckedOverlap, OtherWorkspaces

NAMED = 3
"""Other workspaces that a finding names; the rest is counted."""

ADDED_AT_ONCE = 500
"""Sites that are added under one lock: less than a millisecond."""

KEY, DOMAIN = "k", "d"

TABLE = "CREATE TABLE held (thing TEXT, workspace BLOB)"
PREPARE = (
    "DROP TABLE IF EXISTS shared",
    "CREATE INDEX IF NOT EXISTS held_by_thing ON held (thing, workspace)",
    """CREATE TABLE shared AS SELECT DISTINCT workspace, thing, holders FROM held
        JOIN (SELECT thing, count(DISTINCT workspace) AS holders FROM held
            GROUP BY thing HAVING min(workspace) < max(workspace)) USING (thing)""",
    "CREATE INDEX shared_by_workspace ON shared (workspace)",
)
"""The table has no index while it grows: sorting it once takes less time."""

SHARED = "SELECT thing, holders FROM shared WHERE workspace = ? ORDER BY thing"
HOLDERS = "SELECT DISTINCT workspace FROM held WHERE thing = ? ORDER BY workspace LIMIT ?"
HOLDERS_CACHED = 4096
"""Things whose first holders stay in memory: all workspaces that share a thing are told the same names."""


def _connect() -> sqlite3.Connection:
    """A database that SQLite keeps in memory while it is small, and in an unnamed file when it is not."""
    connection = sqlite3.connect("", check_same_thread=False)  # `prepare` may run in a thread of its own
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute(TABLE)
    return connection


@define(eq=False)
class OverlapIndex:
    """Which workspaces allow which sites and use which key. Call `add` for all of them, then `of`.

    Several threads may call `add`, and do not block each other for long.
    """

    _connection: sqlite3.Connection = field(factory=_connect, init=False)
    _lock: Lock = field(factory=Lock, init=False)
    _prepared: bool = field(default=False, init=False)
    _holders: Callable[[str], tuple[str, ...]] = field(init=False)

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
                self._connection.executemany("INSERT INTO held VALUES (?, ?)", rows)
        self._prepared = False

    def prepare(self) -> None:
        """Finds what is shared. `of` does it when needed; in a thread, it does not hold up an event loop."""
        if not self._prepared:
            for statement in PREPARE:
                self._connection.execute(statement)
            self._holders = lru_cache(HOLDERS_CACHED)(self._first_holders)
            self._prepared = True

    def of(self, workspace: str) -> CheckedOverlap:
        """What the workspace has in common with others, which are named in the order of their names."""
        self.prepare()
        name = _stored(workspace)
        domains, key = dict[str, OtherWorkspaces](), OtherWorkspaces()
        for thing, holders in self._connection.execute(SHARED, (name,)):
            others = OtherWorkspaces(
                tuple(other for other in self._holders(thing) if other != workspace)[:NAMED], holders - 1
            )
            if thing.startswith(KEY):
                key = others
            else:
                domains[thing[1:]] = others
        return CheckedOverlap(workspace, domains, key)

    def _first_holders(self, thing: str) -> tuple[str, ...]:
        rows = self._connection.execute(HOLDERS, (thing, NAMED + 1))
        return tuple(name.decode(errors="surrogatepass") for (name,) in rows)


def _stored(workspace: str) -> bytes:
    """SQLite's texts cannot hold every Python string; bytes can."""
    return workspace.encode(errors="surrogatepass")


@rule(
    "domain-shared",
    severity="info",
    why="Agents of several workspaces can be shown on one site. That is right for a shared site, but may be left "
    "over from a former site or agency.",
    fix="Check that each of the workspaces still belongs on that site, and remove the domain from the others.",
)
def domain_shared(checked: CheckedOverlap) -> Iterable[Found]:
    """In every workspace that allows the domain."""
    for key, others in checked.domains.items():
        yield Found(f"{quoted(key)} is also allowed in {others}.", key)


@rule(
    "key-duplicate",
    severity="warning",
    why="Two entries of the list have the same API key, so both read the same workspace, and the other workspace is "
    "not audited.",
    fix="Correct the key reference of one of them, or remove the entry.",
)
def key_duplicate(checked: CheckedOverlap) -> Iterable[str]:
    """In every workspace with the key."""
    if checked.key.count:
        yield f"The key is the same as that of {checked.key}."
