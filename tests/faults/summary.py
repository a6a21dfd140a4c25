"""Renders what was measured as the table of tests/README.md: by kind of fault, what plain aiohttp does and we do."""

from collections.abc import Mapping

from tests.faults.measuring import ANSWER, Measured, Seen
from tests.faults.rows import BODIES, CONNECTING, HEAD, INPUT, LIFECYCLE, STATUSES, Row
from tests.faults.subjects import once

KINDS: Mapping[str, list[Row]] = {
    "connecting, TLS, proxy": CONNECTING,
    "head of the answer": HEAD,
    "body": BODIES,
    "status, redirect": STATUSES,
    "key, agent id, base URL": INPUT,
    "cancelling, closing, deadline": LIFECYCLE,
}


def several(seen: Seen | None, row: Row) -> bool:
    """Whether one call made more than one request."""
    return seen is not None and row.drive is once and (seen.requests or 0) > 1


def wrong(pairs: list[tuple[Row, Seen | None]]) -> tuple[int, int]:
    """How often an answer came where an error is due, and the other way round."""
    answers = [(row.error is None, seen.outcome == ANSWER) for row, seen in pairs if seen]
    return answers.count((False, True)), answers.count((True, False))


def cells(name: str, rows: list[Row], seen: Measured) -> list[object]:
    """A line of the table."""
    plain, ours = ([(row, seen.pairs[row.name][side]) for row in rows] for side in (0, 1))
    types = {each.outcome for _, each in plain if each} - {ANSWER}
    again = [sum(several(each, row) for row, each in side) for side in (plain, ours)]
    return [name, len(rows), *wrong(plain), again[0], len(types), *wrong(ours), again[1]]


def summary(seen: Measured) -> str:
    """The table, in Markdown, with a line for all of them."""
    plain = ("unnoticed", "good answer refused", "repeated unseen", "exception types")
    ours = ("unnoticed", "good answer refused", "retried")
    headings = [
        "fault",
        "rows",
        f"aiohttp {seen.aiohttp}: {plain[0]}",
        *plain[1:],
        f"this client: {ours[0]}",
        *ours[1:],
    ]
    kinds = {**KINDS, "all": [row for rows in KINDS.values() for row in rows]}
    lines = [headings, ["---"] * len(headings), *(cells(name, rows, seen) for name, rows in kinds.items())]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)
