"""The strict reader's two converters: one that is fast, and one that names the place of a misfit."""

from datetime import UTC, datetime
from typing import Any

import attrs
import cattrs
import pytest

from chatloom_async.wire.structure import WrongTypeError, _converter


@attrs.frozen
class Room:
    room_name: str


FITS: list[tuple[Any, Any, Any]] = [
    ("x", str, "x"),
    (7, int, 7),
    (True, bool, True),
    (1.5, float, 1.5),
    (7, float, 7),
    ("2026-01-15T09:00:00Z", datetime, datetime(2026, 1, 15, 9, tzinfo=UTC)),
    ({"roomName": "x"}, Room, Room("x")),
    ({"a": {"roomName": "x"}}, dict[str, Room], {"a": Room("x")}),
    ([{"roomName": "x"}], tuple[Room, ...], (Room("x"),)),
]
MISFITS: list[tuple[Any, Any]] = [
    (None, str),
    ("7", int),
    (True, int),
    (1, bool),
    ("1.5", float),
    (True, float),
    (1768467600, datetime),
    ("2026-01-15T09:00:00", datetime),
    ("x", Room),
    (["a"], dict[str, Room]),
    ("ab", tuple[str, ...]),
]


@pytest.mark.parametrize("detailed", [False, True])
@pytest.mark.parametrize(("document", "returns", "value"), FITS)
def test_both_take_the_same(document: Any, returns: Any, value: Any, *, detailed: bool) -> None:
    """With the same value, of the very type."""
    taken = _converter(detailed=detailed).structure(document, returns)
    assert (type(taken), taken) == (type(value), value)


@pytest.mark.parametrize("detailed", [False, True])
@pytest.mark.parametrize(("document", "returns"), MISFITS)
def test_both_refuse_the_same(document: Any, returns: Any, *, detailed: bool) -> None:
    """The second pass would otherwise take what the first has refused."""
    with pytest.raises(WrongTypeError):
        _converter(detailed=detailed).structure(document, returns)


def test_only_one_names_the_place() -> None:
    """The fast one ends at the misfit; the other collects the places on the way out."""
    with pytest.raises(WrongTypeError, match=r"^expected a string, got null"):
        _converter(detailed=False).structure([{"roomName": None}], list[Room])
    with pytest.raises(cattrs.IterableValidationError) as caught:
        _converter(detailed=True).structure([{"roomName": None}], list[Room])
    assert [type(each) for each in caught.value.exceptions] == [cattrs.ClassValidationError]
