"""One run that is being audited: takes its rows, says which workspaces are still to be read, and ends it."""

from collections.abc import AsyncGenerator, Callable, Iterable
from datetime import datetime
from functools import partial
from itertools import islice
from sqlite3 import Connection
from typing import Literal

from attrs import field, frozen

from ...wire.auth import ApiKey
from ..values import Row, Workspace
from . import queries
from .errors import StoreUsageError
from .fingerprints import key_fingerprint
from .thread import DatabaseThread

CHUNK = 500


@frozen(eq=False)
class Run:
    """Made by `Store.begin` and `Store.resume`. `id` is its number in the store.

    `salt` is what the file's fingerprints are made with (`key_fingerprint`), for those who read a key elsewhere.
    """

    id: int
    _thread: DatabaseThread
    salt: bytes = field(repr=False)
    _now: Callable[[], datetime]

    def fingerprint(self, key: ApiKey) -> str:
        """What stands for the key in this file: the same in every run, and in no other file."""
        return key_fingerprint(key, self.salt)

    async def commit(self, row: Row, key: ApiKey | None = None) -> None:
        """Returns when the row is durable: it survives the end of the process and of the power from then on.

        A workspace has one row in a run; another one takes its place. `key` is what it was read with: only a
        fingerprint of it is stored. Many may wait at once, and should: they share one commit. Where it is
        cancelled, the row is stored or not. Raises StoreUsageError for a workspace that the run was not begun
        with, and StoreError, such as StoreFullError.
        """
        await self.put(row, None if key is None else self.fingerprint(key))

    async def put(self, row: Row, fingerprint: str | None) -> None:
        """As `commit`, with a fingerprint that was made with `salt` where the key is; the key itself stays there."""
        await self._thread.write(partial(queries.put_row, run=self.id, row=row, fingerprint=fingerprint))

    async def pending(self, workspaces: Iterable[Workspace]) -> AsyncGenerator[Workspace, None]:
        """Those that have no row yet, or only a failed one, in the order given; it asks for 500 at a time.

        An ok or a partial row is kept: what was read once is not given up for an attempt that may read less.
        """
        source = iter(workspaces)
        while chunk := list(islice(source, CHUNK)):
            names = [each.name for each in chunk]
            wanted = await self._thread.call(partial(queries.undone, run=self.id, names=names))
            for workspace in chunk:
                if workspace.name in wanted:
                    yield workspace

    async def finish(self, state: Literal["finished", "interrupted"] = "finished") -> None:
        """Ends the run; an interrupted one can be resumed. A run that is not ended counts as interrupted later on.

        Raises StoreUsageError where it should be "finished" and a workspace has no row.
        """
        await self._thread.call(partial(self._finish, state=state))

    def _finish(self, connection: Connection, state: str) -> None:
        missing = queries.one_run(connection, self.id).pending
        if state == "finished" and missing:
            raise StoreUsageError(f"Run {self.id} cannot be finished: {missing} workspaces have no row")
        end = (self._now().isoformat(), state, self.id)
        connection.execute("UPDATE runs SET finished = ?, state = ? WHERE id = ?", end)
