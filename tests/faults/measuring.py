"""Meets the faults with plain aiohttp and with this client, and says in a few words what came of it."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from tests.faults.rows import PURE_PYTHON, ROWS, Row
from tests.faults.subjects import Ours, Outcome, Plain

RECORD = Path(__file__).with_name("measured.json")
ANSWER = "an answer"


@frozen
class Seen:
    """What came of a fault: `outcome` is ANSWER or the exception's type, `detail` its reason or the answer's begin.

    `requests` counts those that reached the server; None where there is no server to count them.
    """

    outcome: str
    requests: int | None = None
    detail: str = ""

    def __str__(self) -> str:
        spent = "" if self.requests is None else f"{self.requests} x "
        return f"{spent}{self.outcome}{f' ({self.detail})' if self.detail else ''}"


async def measured(row: Row, subject: Any) -> Seen | None:
    """What comes of it now; None where it cannot happen to this subject."""
    row = evolve(row, **row.python) if PURE_PYTHON else row
    async with row.scene() as scene:
        if scene.transport and subject is Plain:
            return None
        outcome = await Outcome.of(subject, row, scene, row.drive)
        if outcome.subject:
            await outcome.subject.aclose()
    requests = outcome.requests if scene.server else None
    if not isinstance(outcome.result, BaseException):
        return Seen(ANSWER, requests, repr(outcome.result)[:28])
    reason = getattr(outcome.result, "reason", "") if subject is not Plain else ""
    return Seen(type(outcome.result).__name__, requests, reason)


@frozen
class Measured:
    """Plain aiohttp, of this version, and this client, by the name of the row."""

    aiohttp: str
    pairs: dict[str, tuple[Seen | None, Seen | None]]

    @classmethod
    async def now(cls) -> "Measured":
        """Meets every fault twice."""
        return cls(
            version("aiohttp"), {row.name: (await measured(row, Plain), await measured(row, Ours)) for row in ROWS}
        )

    @classmethod
    def recorded(cls) -> "Measured":
        """What was measured when the record was written, without details."""
        document: Any = json.loads(RECORD.read_text("utf-8"))
        return cls(
            document["aiohttp"],
            {name: (plain and Seen(*plain), ours and Seen(*ours)) for name, (plain, ours) in document["rows"].items()},
        )

    def record(self) -> None:
        """Writes it down, a line for each row."""
        rows = ",\n".join(
            f"    {json.dumps(name)}: {json.dumps([each and [each.outcome, each.requests] for each in pair])}"
            for name, pair in self.pairs.items()
        )
        RECORD.write_text(f'{{\n  "aiohttp": "{self.aiohttp}",\n  "rows": {{\n{rows}\n  }}\n}}\n', "utf-8")

    def without_details(self) -> "Measured":
        """As it would be recorded."""
        pairs = {name: tuple(each and evolve(each, detail="") for each in pair) for name, pair in self.pairs.items()}
        return evolve(self, pairs=pairs)
