"""Parks rows and texts in a temporary file, and gives them back in any order. In memory stay `ROOM` bytes at most."""

import pickle
from tempfile import SpooledTemporaryFile

from attrs import frozen

from ...values import Row

ROOM = 4 << 20  # enough for some hundred workspaces, which then never touch the disk


@frozen
class Piece:
    """Where something is parked, in bytes."""

    start: int
    size: int


class Spool:
    """Close it when the pieces have been taken; the file, which never had a name, is gone then."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(ROOM)  # noqa: SIM115 - closed by close()
        self._end = 0

    def park(self, raw: bytes) -> Piece:
        self._file.seek(self._end)
        self._file.write(raw)
        piece = Piece(self._end, len(raw))
        self._end += len(raw)
        return piece

    def take(self, piece: Piece) -> bytes:
        self._file.seek(piece.start)
        return self._file.read(piece.size)

    def park_row(self, row: Row) -> Piece:
        return self.park(pickle.dumps(row, pickle.HIGHEST_PROTOCOL))

    def take_row(self, piece: Piece) -> Row:
        row: Row = pickle.loads(self.take(piece))  # noqa: S301 - nobody else can write this file
        return row

    def close(self) -> None:
        self._file.close()
