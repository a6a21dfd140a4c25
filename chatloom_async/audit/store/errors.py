"""The errors of an audit's database, and how SQLite's own errors become one of them.

Rows that were acknowledged before an error stay in the file.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...wire.errors import ChatloomError, ConfigurationError, UsageError


class StoreError(ChatloomError):
    """The database of an audit failed. Rows that were acknowledged are still in it."""

    hint = "Check the disk, then continue with --resume; what was acknowledged is kept."


class StoreFullError(StoreError):
    """No space is left for the database. The rows that it refused are not in it, the earlier ones are."""

    hint = "Free some space, then continue with --resume."


class StoreLostError(StoreError):
    """The database was moved, removed or replaced while a run was written to it, so its path has no such run."""

    hint = "Run the audit again, and leave the file where it is until the audit ends."


class StoreDamagedError(StoreError):
    """The database contradicts itself, or holds a row that cannot be read."""

    hint = "Restore a copy of the file, or choose another --db."


class StoreInUseError(StoreError, ConfigurationError):
    """Another program writes to the database. It is not waited for."""

    hint = "Wait until the other audit ends, or choose another --db."


class StoreAccessError(StoreError, ConfigurationError):
    """The database is not there, or cannot be opened or written where it is."""

    hint = (
        "Check the path of --db; `chatloom audit --db PATH` makes a database, on a local disk and in a directory that "
        "you may write to."
    )


class StoreFormatError(StoreError, ConfigurationError):
    """The file is not a database of audits, or one of another version. It was not changed."""

    hint = "Choose another --db, such as one that `chatloom audit --db PATH` made."


class NoSuchRunError(StoreError, ConfigurationError):
    """The database holds no such run."""

    hint = "`chatloom runs --db PATH` lists the runs that it holds."


class NothingToResumeError(StoreError, ConfigurationError):
    """No run is unfinished, and no workspace of the last one failed. Nothing was sent."""

    hint = "Leave --resume out to start a run."


class ConfigurationChangedError(StoreError, ConfigurationError):
    """The unfinished run was begun with another configuration; the message says what changed. Nothing was sent."""

    hint = "Undo the change to continue that run, or leave --resume out to start another."


class StoreUsageError(StoreError, UsageError):
    """The store was used in a way that its documentation rules out, or after it was closed."""

    hint = "See the documentation of chatloom_async.audit.store."


KINDS: dict[int, type[StoreError]] = {
    sqlite3.SQLITE_BUSY: StoreInUseError,
    sqlite3.SQLITE_LOCKED: StoreInUseError,
    sqlite3.SQLITE_FULL: StoreFullError,
    sqlite3.SQLITE_NOTADB: StoreFormatError,
    sqlite3.SQLITE_CORRUPT: StoreDamagedError,
    sqlite3.SQLITE_CANTOPEN: StoreAccessError,
    sqlite3.SQLITE_READONLY: StoreAccessError,
    sqlite3.SQLITE_PERM: StoreAccessError,
    sqlite3.SQLITE_CONSTRAINT: StoreUsageError,
}
"""By SQLite's primary result code. Any other is a StoreError."""


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raises SQLite's errors as a StoreError that names the file."""
    try:
        yield
    except sqlite3.Error as problem:
        code = getattr(problem, "sqlite_errorcode", 0)  # absent if the error is not SQLite's
        error = KINDS.get(code & 0xFF, StoreError)(f"{path}: {problem}")
    else:
        return
    raise error
