"""What a run is meant to read, as stored, and how it differs from what is asked for now."""

import json
from collections.abc import Iterator
from hashlib import blake2b
from sqlite3 import Connection, IntegrityError
from typing import Any

from attrs import frozen

from .documents import ROW_SCHEMA
from .errors import StoreUsageError
from .fingerprints import SIZE, reference_digest, words_digest
from .values import RunConfig

NAMES_SHOWN = 3

WORKSPACES = {
    "added": "SELECT name FROM asked EXCEPT SELECT name FROM planned WHERE run = :run",
    "removed": "SELECT name FROM planned WHERE run = :run EXCEPT SELECT name FROM asked",
    "with another key reference": """SELECT name FROM asked JOIN planned USING (name)
        WHERE run = :run AND asked.reference <> planned.reference""",
    "with other expected domains": """SELECT name FROM asked JOIN planned USING (name)
        WHERE run = :run AND asked.expect <> planned.expect""",
}
"""What may have changed among the workspaces, and the names for which it did."""


@frozen
class Plan:
    """A configuration, digested with the salt of one database."""

    config: RunConfig
    salt: bytes

    @property
    def options(self) -> str:
        """What people may read of it, as JSON."""
        options = {"base_url": self.config.base_url, "rules": self.config.rules, "row_schema": ROW_SCHEMA}
        return json.dumps(options)

    @property
    def digest(self) -> bytes:
        """The same for the same configuration, in whatever order its workspaces come."""
        digest = blake2b(self.options.encode(), key=self.salt, digest_size=SIZE)
        for name, reference, expect in sorted(self.entries()):
            digest.update(words_digest((name,), self.salt) + reference + expect)
        return digest.digest()

    def entries(self) -> Iterator[tuple[str, bytes, bytes]]:
        """Name, digest of the key reference and digest of what is expected, for each workspace."""
        for each in self.config.workspaces:
            expect = ("nothing",) if each.expect is None else ("domains", *each.expect)
            yield each.name, reference_digest(each.key, self.salt), words_digest(expect, self.salt)

    def insert(self, connection: Connection, run: int) -> None:
        """Raises StoreUsageError for a name that comes twice, or that is no Unicode text."""
        _put(connection, "INSERT INTO planned VALUES (?, ?, ?, ?)", ((run, *entry) for entry in self.entries()))
        others = frozenset(self.config.listed).difference(each.name for each in self.config.workspaces)
        _put(connection, "INSERT INTO unselected VALUES (?, ?)", ((run, name) for name in others))

    def changes(self, connection: Connection, run: int, options: str) -> list[str]:
        """What differs from the run's own plan, in words; empty where nothing does. Raises like `insert`."""
        return [*_changed(json.loads(options), json.loads(self.options)), *self._changed_workspaces(connection, run)]

    def _changed_workspaces(self, connection: Connection, run: int) -> Iterator[str]:
        connection.execute("CREATE TEMP TABLE asked (name TEXT PRIMARY KEY, reference, expect) WITHOUT ROWID")
        _put(connection, "INSERT INTO asked VALUES (?, ?, ?)", self.entries())
        for what, query in WORKSPACES.items():
            names = sorted(name for (name,) in connection.execute(query, {"run": run}))
            more = ", ..." if len(names) > NAMES_SHOWN else ""
            if names:
                yield f"workspaces {what}: {len(names)} ({', '.join(names[:NAMES_SHOWN])}{more})"
        connection.execute("DROP TABLE asked")


def _put(connection: Connection, statement: str, rows: Iterator[tuple[Any, ...]]) -> None:
    try:
        connection.executemany(statement, rows)
    except IntegrityError:
        reason = "Two workspaces have the same name"
    except UnicodeEncodeError as problem:
        reason = f"The name {problem.object!r} is not Unicode text"
    else:
        return
    raise StoreUsageError(reason)


def _changed(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for name, value in new.items():
        if old[name] != value:
            yield f"{name} was {_told(old[name])} and is {_told(value)}"


def _told(value: object) -> str:
    return (", ".join(value) or "none") if isinstance(value, list) else str(value)
