"""Every fault of the table meets the client over a real socket."""

import asyncio
import logging
from functools import partial

import pytest

from chatloom_async import AsyncChatloom, ChatloomError, Sandbox
from tests.faults.rows import ELSEWHERE, ROWS, Row
from tests.faults.subjects import Ours, Outcome
from tests.faults.variants import VARIANTS, row_for
from tests.secrets import found
from tests.transports.kinds import installed, transport_class

TOLERANCE = 0.05
NO_DEADLINE = 6.0  # seconds; megabytes through a parser in pure Python take their time


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The rows with each transport that --transport names, by default with aiohttp."""
    if "row" in metafunc.fixturenames:
        asked = metafunc.config.getoption("--transport") or ["aiohttp"]
        rows = [(transport, row_for(transport, row)) for transport in asked for row in ROWS]
        names = [row.name if transport == "aiohttp" else f"{row.name}, {transport}" for transport, row in rows]
        metafunc.parametrize(("transport", "row"), rows, ids=names)


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """The first call of a process imports what it needs, which may take longer than a row of the table."""

    async def call() -> None:
        sandbox = Sandbox(seed=7)
        async with sandbox.serve() as url, AsyncChatloom(sandbox.add_workspace("acme").key, base_url=url) as chatloom:
            await chatloom.list_agents()

    asyncio.run(call())


async def test_a_fault(transport: str, row: Row, caplog: pytest.LogCaptureFixture) -> None:
    """The right error after the right number of requests, in time, with nothing left open and no key shown."""
    carrier = transport_class(transport) if installed(transport) else pytest.skip(f"{transport} is not installed")
    caplog.set_level(logging.NOTSET)
    logging.getLogger("asyncio").setLevel(logging.INFO)  # its only debug message tells of a selector
    async with row.scene() as scene:
        outcome = await Outcome.of(partial(Ours, carrier=carrier), row, scene, row.drive)
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


def test_every_variant_is_of_a_row() -> None:
    """What another transport does differently names a fault of the table."""
    known = {row.name for row in ROWS}
    assert [name for changes in VARIANTS.values() for name in changes if name not in known] == []
