"""The same data gives the same report, whatever the timing of the network and however often the run was resumed."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, date, datetime
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, get_args

import pytest
from attrs import evolve

from chatloom_async import ApiKey, AsyncChatloom, MockTransport, Request, Response
from chatloom_async.audit import KeyEnv, Row, Workspace, audit
from chatloom_async.audit.diff import diff_runs
from chatloom_async.audit.mutes import Mute
from chatloom_async.audit.rules import Judge
from chatloom_async.audit.session import AuditOutcome, FormatName, Output, open_session
from chatloom_async.audit.store import Run, open_store
from chatloom_async.testing import VirtualClock
from tests.samples import AGENT, OTHER_KEY, answer

WHEN = datetime(2026, 3, 5, 14, 30, tzinfo=UTC)
KEYS = {f"clf_{name}{'0' * 28}": name for name in ("acme", "birch", "cedar", "fjord", "heron")}
LISTED = [
    *(Workspace(name, ApiKey(key)) for key, name in KEYS.items()),
    Workspace("twin", ApiKey(next(iter(KEYS)))),
    Workspace("nobody", KeyEnv("NOBODYS_KEY")),
][::-1]
MUTES = (
    Mute(rule="domain-shared", workspace="b*", reason="Known", until=date(2999, 1, 1)),
    Mute(rule="key-duplicate", workspace="twin", reason="Known", until=date(2020, 1, 1)),
)
NAMES: tuple[FormatName, ...] = tuple(name for name in get_args(FormatName) if name != "jsonl")


def answers(request: Request) -> Response:
    """Every workspace allows a site of its own, most a common one, and one is refused."""
    name = KEYS[request.headers["Authorization"].removeprefix("Bearer ")]
    if name == "heron":
        return answer({"error": "Invalid API key."}, status=401)
    if request.url.endswith("/allowed-domains"):
        return answer({"domains": ["*", f"{name}.example", *(["agency.example"] if name != "cedar" else [])]})
    return answer({"agents": [{**AGENT, "id": f"agt_{name}"}], "count": 1})


def delayed(seed: int) -> Callable[[Request], Any]:
    """Answers that come in an order of their own for each seed."""
    dice = random.Random(seed)

    async def handler(request: Request) -> Response:
        await asyncio.sleep(dice.random() * 0.01)
        return answers(request)

    return handler


def few(count: int) -> Any:
    """A reader that ends after so many rows, as one that lost its workers."""

    async def read(
        workspaces: AsyncGenerator[Workspace, None], /, *, judge: Judge, run: Run | None, client: AsyncChatloom
    ) -> AsyncGenerator[Row, None]:
        left = count
        async with aclosing(audit(workspaces, client=client, judge=judge, run=run, concurrency=1)) as rows:
            async for row in rows:
                yield row
                left -= 1
                if not left:
                    return

    return read


async def reported(
    seed: int, *, db: Path | None = None, resume: bool = False, read: Any = audit
) -> tuple[dict[str, str], AuditOutcome]:
    """Every report of one audit, and its verdict."""
    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(delayed(seed)), clock=VirtualClock())
    streams = {name: StringIO() for name in (*NAMES, "jsonl")}
    async with open_session(
        LISTED, partial(read, client=client), mutes=MUTES, fail_on="info", db=db, resume=resume
    ) as session:
        session.context = evolve(session.context, when=WHEN)
        outcome = await session.write(
            *(Output(session.format(name), stream) for name, stream in streams.items())  # type: ignore[arg-type]
        )
    return {name: stream.getvalue() for name, stream in streams.items()}, outcome


def verdict(outcome: AuditOutcome) -> Any:
    """What does not hang on time."""
    return (
        *(outcome.summary, outcome.new, outcome.muted, outcome.failing, outcome.worst, outcome.unused_mutes),
        outcome.exit_status,
    )


async def test_the_order_of_answers_changes_no_report() -> None:
    """Byte for byte, with findings that concern several workspaces. JSON Lines have the same lines."""
    (first, outcome), *others = [await reported(seed) for seed in range(4)]
    orders = {text["jsonl"] for text, _ in (*others, (first, outcome))}
    assert len(orders) > 1
    for texts, other in others:
        assert {name: texts[name] for name in NAMES} == {name: first[name] for name in NAMES}
        assert sorted(texts["jsonl"].splitlines()) == sorted(first["jsonl"].splitlines())
        assert verdict(other) == verdict(outcome)
    for rule in ("domain-shared", "key-duplicate", "mute-expired"):
        assert rule in first["json"]
        assert rule not in first["jsonl"]
    assert (outcome.exit_status, outcome.muted) == (3, 1)


async def test_reports_are_in_the_order_of_the_list() -> None:
    """Also the lines of the table."""
    texts, _ = await reported(1)
    order = [workspace.name for workspace in LISTED]
    assert [line.split()[0] for line in texts["table"].splitlines()[1 : len(order) + 1]] == order
    begins = {"json": '"workspace":"', "junit": '<testsuite name="', "html": '<th scope="row" dir="auto">'}
    begins = {"json": '"workspace":"', "junit": '<testsuite name="', "html": '<th scope="row" dir="auto">'}
    for name, begin in begins.items():
        found = [piece.split('"')[0].split("<")[0] for piece in texts[name].split(begin)[1:]]
        assert found == order


@pytest.mark.parametrize("count", [1, 3, 5])
async def test_a_resumed_run_gives_the_report_of_a_whole_one(tmp_path: Path, count: int) -> None:
    """Wherever it was interrupted. A comparison of the two runs finds no change."""
    db = tmp_path / "audits.db"
    whole, outcome = await reported(1, db=db)
    _, part = await reported(2, db=db, read=few(count))
    assert part.summary.interrupted
    resumed, other = await reported(3, db=db, resume=True)
    for name in NAMES:
        if name != "html":  # it shows the earlier run, too
            assert resumed[name] == whole[name]
    assert verdict(other) == verdict(outcome)
    async with open_store(db, write=False) as store:
        diff = await diff_runs(
            await store.run_info(1), await store.run_info(2), store.workspaces(1), store.workspaces(2)
        )
    assert [change.workspace for change in diff.changes if change.kind == "changed"] == []


async def test_the_database_has_what_the_report_has(tmp_path: Path) -> None:
    """Findings that concern several workspaces included, so that a later run can be compared with it."""
    db = tmp_path / "audits.db"
    _, outcome = await reported(1, db=db)
    async with open_store(db, write=False) as store:
        (info,) = await store.runs()
        rows = [row async for row in store.rows(1)]
    shared = {row.workspace: [found.rule for found in row.findings if found.rule == "domain-shared"] for row in rows}
    assert shared == {
        "acme": ["domain-shared"] * 2,
        "twin": ["domain-shared"] * 2,
        **{name: ["domain-shared"] for name in ("birch", "fjord")},
        **{name: [] for name in ("cedar", "heron", "nobody")},
    }
    assert info.info == outcome.summary.info + outcome.muted


async def test_rows_can_be_taken_without_a_report() -> None:
    """In the order of the list, complete, without muted findings."""
    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(delayed(1)), clock=VirtualClock())
    async with open_session(LISTED, partial(audit, client=client), mutes=MUTES) as session:
        rows = [row async for row in session.rows()]
    assert [row.workspace for row in rows] == [workspace.name for workspace in LISTED]
    shared = [row.workspace for row in rows if any(found.rule == "domain-shared" for found in row.findings)]
    assert shared == ["twin", "fjord", "acme"]


async def test_json_lines_say_how_many_findings_are_left_out() -> None:
    """Those that concern several workspaces are not known yet when a line is written."""
    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(delayed(1)), clock=VirtualClock())
    warnings: list[str] = []
    async with open_session(LISTED, partial(audit, client=client), warn=warnings.append) as session:
        await session.write(Output(session.format("jsonl"), StringIO()), Output(session.format("csv"), StringIO()))
    assert warnings == ["jsonl has no findings that concern several workspaces: 8 left out, --format json has all."]
