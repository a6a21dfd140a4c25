"""Every fault of the table meets the client over a real socket."""

import logging

import pytest
from attrs import evolve

from chatloom_async import ChatloomError
from tests.faults.rows import ELSEWHERE, PURE_PYTHON, ROWS, Row
from tests.faults.subjects import Ours, Outcome
from tests.secrets import found

TOLERANCE = 0.05
NO_DEADLINE = 6.0  # seconds; megabytes through a parser in pure Python take their time


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_a_fault(row: Row, caplog: pytest.LogCaptureFixture) -> None:
    """The right error after the right number of requests, in time, with nothing left open and no key shown."""
    row = evolve(row, **row.python) if PURE_PYTHON else row
    caplog.set_level(logging.NOTSET)
    logging.getLogger("asyncio").setLevel(logging.INFO)  # its only debug message tells of a selector
    async with row.scene() as scene:
        outcome = await Outcome.of(Ours, row, scene, row.drive)
        subject = outcome.subject
        acquired = subject.acquired if isinstance(subject, Ours) else 0
        if subject:
            await subject.aclose()
    seen = (
        type(outcome.result) if row.error else None,
        {name: getattr(outcome.result, name) for name in row.attributes},
        outcome.requests,
        acquired,
    )
    assert seen == (kind_of(row, outcome.result), row.attributes, row.requests, 0), repr(outcome.result)
    assert outcome.elapsed <= row.options.get("deadline", NO_DEADLINE) + TOLERANCE
    if isinstance(outcome.result, BaseException):
        assert found(row.key, outcome.result, caplog.text) == []
        assert found("proxy-password", outcome.result, caplog.text) == []
    if isinstance(outcome.result, ChatloomError):
        assert len(str(outcome.result)) < 3000
    if row.waits_at_least and isinstance(subject, Ours) and subject.clock:
        assert min(subject.clock.slept) >= row.waits_at_least


def kind_of(row: Row, result: object) -> type | None:
    """The type that the row asks for; a subclass of a status error, such as ServerError, is as good."""
    return type(result) if row.error and isinstance(result, row.error) else row.error


def test_every_fault_of_the_table_is_somewhere() -> None:
    """The table has 100 rows; each is above or says where it is tested."""
    assert sorted({row.number for row in ROWS} | set(ELSEWHERE)) == list(range(1, 101))


def test_no_two_rows_have_one_name() -> None:
    """So that a failure names its row."""
    assert len({row.name for row in ROWS}) == len(ROWS)
