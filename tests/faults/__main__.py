"""Prints the fault table, measured now: `python -m tests.faults`.

Both columns come from the same scripts. A number after an error counts the requests that reached the server.
"""

import asyncio
import logging
import warnings
from typing import Any

from attrs import evolve
from rich.console import Console
from rich.table import Table

from tests.faults.rows import PURE_PYTHON, ROWS, Row
from tests.faults.scenes import only_loopback, replaced
from tests.faults.subjects import Ours, Outcome, Plain


async def measured(row: Row, subject: Any) -> str:
    """What came of it, in a few words."""
    async with row.scene() as scene:
        if scene.transport and subject is Plain:
            return "-"
        outcome = await Outcome.of(subject, row, scene, row.drive)
        if outcome.subject:
            await outcome.subject.aclose()
    result, spent = outcome.result, f"{outcome.requests} x" if scene.server else ""
    if not isinstance(result, BaseException):
        return f"{spent} answers {str(result)[:30]!r}".strip()
    reason = getattr(result, "reason", "") if subject is Ours else ""
    return f"{spent} {type(result).__name__}{f' ({reason})' if reason else ''}".strip()


async def main() -> None:
    """Meets every fault twice."""
    parser = "pure Python" if PURE_PYTHON else "C"
    table = Table("row", "fault", "plain aiohttp", "chatloom_async", title=f"aiohttp's parser: {parser}")
    for row in ROWS:
        asked = evolve(row, **row.python) if PURE_PYTHON else row
        table.add_row(str(row.number), row.fault, await measured(asked, Plain), await measured(asked, Ours))
    Console(width=140).print(table)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable()
    with replaced(asyncio.BaseEventLoop, "getaddrinfo", only_loopback):  # plain aiohttp would go where it is sent
        asyncio.run(main())
