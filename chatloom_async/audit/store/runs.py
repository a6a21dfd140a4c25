"""Runs as values: the configuration of a run, and what a database says about the run and its workspaces.

Keys, key references and expectations are stored as digests only. They are salted with random bytes of the database, so
two databases cannot be compared with each other, and a key of the length that Chatloom gives cannot be guessed.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from sqlite3 import Connection, IntegrityError
from typing import Any, Literal

import msgspec
from attrs import field, frozen

from ...wire.auth import ApiKey
from ..keys import KeyEnv, KeyFile, KeyJson, KeyReference
from ..spool import from_json
from ..values import DomainMatching, Row, Summary, Workspace
from .errors import StoreUsageError

RunState = Literal["running", "finished", "interrupted"]


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


@frozen(kw_only=True)
class RunConfig:
    """What a run is about, and what must be the same for it to be continued.

    `base_url` is a normalized address, `rules` are the ids of the rules that are applied, and `matching` is what they
    know about what a domain stands for. A workspace counts by its name, the reference to its key and its `expect`; its
    tags do not count, since they only select. `listed` are the names of the whole list, so that a comparison can tell a
    workspace that was left out from one that is gone; empty: all were selected. It does not count for continuing.
    """

    workspaces: Collection[Workspace]
    base_url: str
    rules: tuple[str, ...] = field(default=(), converter=_sorted)
    matching: DomainMatching = "unknown"
    listed: Collection[str] = ()


@frozen(kw_only=True)
class RunInfo:
    """One run of a database.

    `state` is "interrupted" also if the audit was killed: a run is "running" only while a process holds the write
    lock. `finished` is None until the end is recorded. `planned` is the number of workspaces; `ok`, `partial` and
    `failed` of them have a row, and the others were not reached. `unselected` more were on the list. `paused` is the
    seconds between an end and the resumption that followed it; it is unknown for a killed run. `error`, `warning` and
    `info` count findings.
    """

    id: int
    started: datetime
    finished: datetime | None
    state: RunState
    version: str
    base_url: str
    rules: tuple[str, ...] = field(converter=_sorted)
    paused: float = 0.0
    planned: int
    unselected: int = 0
    ok: int = 0
    partial: int = 0
    failed: int = 0
    error: int = 0
    warning: int = 0
    info: int = 0

    @property
    def pending(self) -> int:
        return self.planned - self.ok - self.partial - self.failed

    @property
    def complete(self) -> bool:
        """Whether it read everything that it was asked to: it is finished, and every workspace is "ok"."""
        return self.state == "finished" and self.ok == self.planned

    @property
    def resumable(self) -> bool:
        """Whether `Store.resume` would continue it, if it is the last one: it was interrupted, or workspaces failed."""
        return self.state == "interrupted" or (self.state == "finished" and self.failed > 0)


@frozen
class StoredWorkspace:
    """One workspace of a run: its row, or None if it was not reached, and the salted fingerprint of its key.

    A workspace that is not `selected` was on the list, but the run was not to read it. `expects`: the list says what
    its agents should allow.
    """

    workspace: str
    row: Row | None = None
    key: str | None = None
    selected: bool = True
    expects: bool = False


@frozen
class KeptRow:
    """The row of a workspace that was read, as the database has it: a JSON document, which is not decoded.

    `sites` and `key` are for `Judge.remember_sites`. It is `amended` if it has findings that follow from other rows.
    """

    workspace: str
    document: bytes
    key: str | None
    sites: bytes
    totals: Summary
    amended: bool

    @property
    def row(self) -> Row:
        return from_json(self.document, ROWS)


ROWS = msgspec.json.Decoder(Row)

SIZE = 16
"""Bytes of a digest."""


def key_fingerprint(key: ApiKey, salt: bytes) -> str:
    """The same for the same key in one database. It is never the process-wide `ApiKey.fingerprint`."""
    return blake2b(key.reveal().encode(), key=salt, digest_size=SIZE).hexdigest()


def reference_digest(reference: KeyReference, salt: bytes) -> bytes:
    """The same for the same place of a key; for a key in code, the same for the same key.

    A relative path counts from the working directory. A command's arguments may be secrets, so they are digested too.
    """
    match reference:
        case ApiKey():
            words: tuple[str, ...] = ("key", key_fingerprint(reference, salt))
        case KeyEnv():
            words = ("env", reference.name)
        case KeyJson():
            words = ("json", reference.variable, reference.member)
        case KeyFile(path):
            words = ("file", str(path if str(path).startswith("~") else Path.cwd() / path))
        case _:
            words = ("command", *reference.argv)
    return words_digest(words, salt)


def expectation_digest(expect: tuple[str, ...] | None, salt: bytes) -> bytes:
    """The same for the same expected domains in the same order; None: nothing is expected."""
    return words_digest(("nothing",) if expect is None else ("domains", *expect), salt)


def words_digest(words: tuple[str, ...], salt: bytes) -> bytes:
    """The same for the same texts in the same order; where one ends and the next begins counts too."""
    digest = blake2b(key=salt, digest_size=SIZE)
    for word in words:
        raw = word.encode(errors="surrogatepass")
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.digest()


ROW_SCHEMA = 1
"""Raised whenever a stored row of the version before cannot be read as a row of this one."""

NAMES_SHOWN = 3

WORKSPACES = {
    "added": "SELECT name FROM asked EXCEPT SELECT name FROM planned WHERE run = :run",
    "removed": "SELECT name FROM planned WHERE run = :run EXCEPT SELECT name FROM asked",
    "with another key reference": """SELECT name FROM asked JOIN planned USING (name)
        WHERE run = :run AND asked.reference <> planned.reference""",
    "with other expected domains": """SELECT name FROM asked JOIN planned USING (name)
        WHERE run = :run AND asked.expect <> planned.expect""",
}
"""What may have changed among the workspaces, and a query for the names."""


@frozen
class Plan:
    """A configuration, digested with the salt of one database."""

    config: RunConfig
    salt: bytes

    @property
    def options(self) -> str:
        """What people may read of the configuration, as JSON."""
        config = self.config
        options = {"base_url": config.base_url, "rules": config.rules, "row_schema": ROW_SCHEMA}
        matching = {} if config.matching == "unknown" else {"domain_matching": config.matching}
        return json.dumps(options | matching)

    @property
    def digest(self) -> bytes:
        """The same for the same configuration, in any order of its workspaces."""
        digest = blake2b(self.options.encode(), key=self.salt, digest_size=SIZE)
        for name, reference, expect in sorted(self.entries()):
            digest.update(words_digest((name,), self.salt) + reference + expect)
        return digest.digest()

    def entries(self) -> Iterator[tuple[str, bytes, bytes]]:
        """Name, digest of the key reference and digest of what is expected, for each workspace."""
        nothing = expectation_digest(None, self.salt)
        for workspace in self.config.workspaces:
            expect = nothing if workspace.expect is None else expectation_digest(workspace.expect, self.salt)
            yield workspace.name, reference_digest(workspace.key, self.salt), expect

    def insert(self, connection: Connection, run: int) -> None:
        """Raises StoreUsageError for a name that occurs twice or is not valid Unicode."""
        _put(connection, "INSERT INTO planned VALUES (?, ?, ?, ?)", ((run, *entry) for entry in self.entries()))
        others = frozenset(self.config.listed).difference(workspace.name for workspace in self.config.workspaces)
        _put(connection, "INSERT INTO unselected VALUES (?, ?)", ((run, name) for name in others))

    def changes(self, connection: Connection, run: int, options: str) -> Iterator[str]:
        """The differences from the run's own plan, in words. Raises like `insert`."""
        old, new = json.loads(options), json.loads(self.options)
        for name in new | old:
            before, now = (_shown(side.get(name, "unknown")) for side in (old, new))
            if before != now:
                yield f"{name} was {before} and is {now}"
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


def _shown(option: object) -> str:
    return (", ".join(option) or "none") if isinstance(option, list) else str(option)
