"""Rows on disk: any order in, the order of the list out."""

import errno
import sys
from datetime import datetime, timedelta, timezone
from itertools import permutations
from tempfile import gettempdir
from unittest.mock import Mock

import pytest
from attrs import evolve

from chatloom_async.audit import AuditedAgent, Row, spool
from chatloom_async.audit.spool import IN_MEMORY, DiskList, RowSpool
from tests.audit.formats.reported import HOSTILE, ROWS, hostile_rows

NAMES = [row.workspace for row in ROWS]
EARLY = evolve(ROWS[0].agents[0].agent, created_at=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))))


def test_rows_come_out_in_the_order_of_the_list() -> None:
    """Whatever order they came in."""
    for order in permutations(ROWS):
        spool = RowSpool(NAMES)
        for row in order:
            spool.add(row)
        assert list(spool) == list(ROWS)
        assert (spool[1], spool[1:3], len(spool)) == (ROWS[1], list(ROWS[1:3]), 4)


def test_a_row_that_is_missing_leaves_no_gap() -> None:
    """As where an audit was interrupted. Workspaces that the list does not have come last."""
    spool = RowSpool(NAMES)
    stranger = Row("stranger", "ok")
    for row in (stranger, ROWS[3], ROWS[0]):
        spool.add(row)
    assert list(spool) == [ROWS[0], ROWS[3], stranger]
    spool.add(ROWS[2])
    assert list(spool) == [ROWS[0], ROWS[2], ROWS[3], stranger]


def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file itself has no name."""
    rows = DiskList(Row)

    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(rows._file, "write", full)
    with pytest.raises(OSError, match=rf"^\[Errno 28\] No space left on device: '{gettempdir()}'$"):
        rows.append(ROWS[0])


def test_a_disk_that_is_full_for_a_while_damages_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does an assignment to a place that does not exist, or a time that UTC does not have."""
    monkeypatch.setattr(spool, "IN_MEMORY", 0)
    rows, first = DiskList(Row), evolve(ROWS[0], agents=(AuditedAgent(EARLY, ()),))
    rows.append(first)
    with pytest.raises(IndexError):
        rows[1] = ROWS[1]
    rows.append(ROWS[1])
    write = rows._file.write
    monkeypatch.setattr(rows._file, "write", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        rows.append(ROWS[2])
    monkeypatch.setattr(rows._file, "write", write)
    rows.append(ROWS[3])
    assert list(rows) == [first, ROWS[1], ROWS[3]]


def test_a_list_goes_quietly_when_its_disk_is_full() -> None:
    """What was not written yet is not needed any more."""
    rows = DiskList(Row)
    close, refused = rows._file.close, Mock(side_effect=OSError(errno.ENOSPC, "No space left on device"))
    rows._file.close = refused
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "excepthook", loud := Mock())
        patch.setattr(sys, "unraisablehook", loud)
        del rows
    assert (refused.call_count, loud.call_count) == (1, 0)
    close()


def test_a_row_can_be_replaced() -> None:
    """The others stay where they are."""
    spool = RowSpool(NAMES)
    for row in reversed(ROWS):
        spool.add(row)
    spool[1] = evolve(ROWS[1], findings=())
    assert list(spool) == [ROWS[0], evolve(ROWS[1], findings=()), *ROWS[2:]]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_every_text_comes_back_as_it_was(text: str) -> None:
    """Also one that is not Unicode."""
    values = DiskList(Row)
    for row in hostile_rows(text):
        values.append(row)
    assert list(values) == list(hostile_rows(text))
    assert values[-1:] == list(hostile_rows(text))


def test_a_long_list_lies_on_disk() -> None:
    """And reads the same."""
    values = DiskList(Row)
    rows = [Row(f"w{number}" * 10_000, "ok") for number in range(2 * IN_MEMORY // 40_000)]
    for row in rows:
        values.append(row)
    assert values[0] == rows[0]
    assert list(values) == rows
    with pytest.raises(IndexError):
        values[len(rows)]


def test_a_list_equals_any_sequence_of_equal_values() -> None:
    """And nothing else."""
    values = DiskList(Row)
    for row in ROWS:
        values.append(row)
    assert values == list(ROWS)
    assert values == ROWS
    assert values != list(ROWS[:-1])
    assert values != [*ROWS[:-1], ROWS[0]]
    assert values != len(ROWS)
