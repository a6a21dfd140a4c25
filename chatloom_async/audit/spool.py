"""Keeps values on disk while a report is made, so that memory does not grow with the number of workspaces.

The file has no name and is gone when its list is. A few hundred rows stay in memory and never touch the disk.
"""

import json
import pickle
import weakref
from array import array
from collections.abc import Iterable, Sequence
from contextlib import suppress
from tempfile import SpooledTemporaryFile, gettempdir
from typing import Any, ClassVar, Generic, TypeVar, cast, overload

import msgspec

from .values import Row

T = TypeVar("T")

IN_MEMORY = 4 << 20
"""Bytes of a list that stay in memory."""

BUFFER = 1 << 16
"""Bytes of a file that are read or written at once: some thirty rows."""


def from_json(raw: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """The value of a JSON document. Raises ValueError."""
    try:
        return decoder.decode(raw)
    except msgspec.DecodeError:  # half of a surrogate pair, which msgspec does not read
        return msgspec.convert(json.loads(raw), decoder.type)  # type: ignore[no-any-return]


class OnDisk:
    """Adds the directory to an OSError. The system does not say where it was, since the file has no name.

    A function with `contextmanager` would take four times as long."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError):
            error.filename = gettempdir()


def _closed(file: Any) -> None:
    with suppress(OSError):  # what was not written yet is not needed any more
        file.close()


class DiskList(Sequence[T], Generic[T]):
    """A sequence of attrs values of one class. Values are decoded each time they are read."""

    def __init__(self, kind: type[T]) -> None:
        self._file = SpooledTemporaryFile(IN_MEMORY, buffering=BUFFER)  # noqa: SIM115 - closed with the list
        weakref.finalize(self, _closed, self._file)
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder, self._json_decoder = msgspec.msgpack.Decoder(kind), msgspec.json.Decoder(kind)
        self._starts, self._sizes = array("Q"), array("L")
        self._end = self._position = 0

    def append(self, value: T) -> None:
        """Adds a value at the end."""
        self.append_json(self._encoded(value))

    def append_json(self, raw: bytes) -> None:
        """Adds the value of a JSON document, which is decoded when it is read."""
        self._starts.append(self._written(raw))
        self._sizes.append(len(raw))

    def __setitem__(self, place: int, value: T) -> None:
        raw = self._encoded(value)
        self._starts[place], self._sizes[place] = self._written(raw), len(raw)

    def _written(self, raw: bytes) -> int:
        """Writes the bytes at the end, and returns where they begin."""
        start = self._end
        with OnDisk():
            self._seek(start)
            self._file.write(raw)
        self._end = self._position = start + len(raw)
        return start

    def _seek(self, position: int) -> None:
        """Goes there. Where the file is there already, its buffer stays: one system call for many values."""
        if position != self._position:
            self._file.seek(position)
        self._position = -1  # unknown, until what follows is done

    def __len__(self) -> int:
        return len(self._starts)

    def __eq__(self, other: object) -> bool:
        """Equal to any sequence of equal values."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # it can change

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[T]: ...
    def __getitem__(self, place: int | slice) -> T | Sequence[T]:
        if isinstance(place, slice):
            return [self[index] for index in range(*place.indices(len(self)))]
        start, size = self._starts[place], self._sizes[place]  # an IndexError ends an iteration
        with OnDisk():
            self._seek(start)
            raw = self._file.read(size)
        self._position = start + size
        match raw[:1]:  # no MessagePack map begins like JSON or a pickle
            case b"{":
                return from_json(raw, self._json_decoder)
            case b"\x80":
                return cast("T", pickle.loads(raw))  # noqa: S301 - our own file
        return self._decoder.decode(raw)

    def _encoded(self, value: Any) -> bytes:
        try:
            return self._encoder.encode(value)
        except (UnicodeEncodeError, OverflowError):  # half of a surrogate pair; a time before the year 1 in UTC
            return pickle.dumps(value)


class RowSpool(Sequence[Row]):
    """The rows of an audit in the order of its list of workspaces, added in any order.

    `names` are those of the list. A row of any other workspace comes after them.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._places = {name: place for place, name in enumerate(names)}
        self._names = list(self._places)
        self._rows = DiskList(Row)
        self._arrived = array("L")
        self._order: array[int] | None = None

    def add(self, row: Row) -> None:
        """Puts the row in its place."""
        self._rows.append(row)
        self._note(row.workspace)

    def add_json(self, workspace: str, raw: bytes) -> None:
        """The same for a row as the database has it."""
        self._rows.append_json(raw)
        self._note(workspace)

    def _note(self, workspace: str) -> None:
        place = self._places.setdefault(workspace, len(self._places))
        if place == len(self._names):
            self._names.append(workspace)
        self._arrived.append(place)
        self._order = None

    def workspace(self, place: int) -> str:
        """The name of the workspace whose row is in this place."""
        return self._names[self._arrived[self._sorted()[place]]]

    def __setitem__(self, place: int, row: Row) -> None:
        self._rows[self._sorted()[place]] = row

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Row]: ...
    def __getitem__(self, place: int | slice) -> Row | Sequence[Row]:
        order = self._sorted()
        return [self._rows[number] for number in order[place]] if isinstance(place, slice) else self._rows[order[place]]

    def _sorted(self) -> "array[int]":
        """The rows' numbers of arrival, in the order of the list."""
        if self._order is None:
            self._order = array("L", sorted(range(len(self._rows)), key=self._arrived.__getitem__))
        return self._order
