"""The record of what was measured, and the table of tests/README.md."""

import builtins
from pathlib import Path

import chatloom_async
from tests.faults.measuring import ANSWER, Measured, Seen
from tests.faults.rows import ROWS, Row
from tests.faults.summary import KINDS, summary

PAGE = Path(__file__).parent.parent / "README.md"


def fits(row: Row, seen: Seen | None) -> bool:
    """Whether this client did what the row asks for."""
    if seen is None or (seen.outcome == ANSWER) is not (row.error is None):
        return False
    kind = getattr(chatloom_async, seen.outcome, None) or getattr(builtins, seen.outcome, None)
    right = row.error is None or row.error.__name__ == seen.outcome or issubclass(kind or object, row.error)
    return right and seen.requests in (None, row.requests)


def test_the_readme_shows_the_summary_of_the_record() -> None:
    """`python -m tests.faults --record --summary` measures anew, writes the record and prints the table."""
    assert summary(Measured.recorded()) in PAGE.read_text("utf-8")


def test_the_record_is_of_these_rows_and_no_others() -> None:
    """And each is of one kind."""
    assert sorted(Measured.recorded().pairs) == sorted(row.name for row in ROWS)
    assert [row.name for rows in KINDS.values() for row in rows] == [row.name for row in ROWS]


def test_what_is_recorded_of_this_client_is_what_the_rows_ask_for() -> None:
    """test_matrix.py measures it each time; the record must not lag behind."""
    pairs = Measured.recorded().pairs
    assert [row.name for row in ROWS if not fits(row, pairs[row.name][1])] == []
