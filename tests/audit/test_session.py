"""Whole audits from a program of one's own: mutes, baseline, resume, formats, verdict, and how they end early."""

import asyncio
import io
import json
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Collection, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import pytest

from chatloom_async import ApiKey, AsyncChatloom, ConfigurationError, Sandbox
from chatloom_async.audit import KeyEnv, Workspace, audit
from chatloom_async.audit import session as session_module
from chatloom_async.audit.mutes import Mute, Mutes
from chatloom_async.audit.rules import Judge
from chatloom_async.audit.rules.overlap import OverlapIndex
from chatloom_async.audit.session import (
    AuditOutcome,
    FailOn,
    FormatName,
    NoDatabaseGivenError,
    Output,
    Reader,
    open_session,
)
from chatloom_async.audit.spool import DiskList
from chatloom_async.audit.store import NoSuchRunError, NothingToResumeError, Run, StoreAccessError, open_store
from chatloom_async.audit.values import Failure, Finding, Row, Summary
from tests.audit.rules.cases import audited
from tests.samples import KEY

URL = "https://chatloom.app"
LOCAL = Finding("f1", "domain-local", "error", "agt_1", "localhost", "It is this machine.")
EMPTY = Finding("f2", "domains-empty", "warning", "agt_2", "", "The list is empty.")
ROWS = {
    "acme": Row("acme", "ok", findings=(LOCAL,), requests=2),
    "birch": Row("birch", "ok", findings=(EMPTY,), requests=3),
    "cedar": Row("cedar", "failed", error=Failure("KeyUnavailableError", "There is none."), requests=0),
}


def workspaces(*names: str) -> tuple[Workspace, ...]:
    """All that there are rows for, or those named."""
    return tuple(Workspace(name, ApiKey(KEY)) for name in names or ROWS)


def reader(rows: dict[str, Row]) -> Reader:
    """Gives these rows, each committed first."""

    async def read(
        pending: AsyncGenerator[Workspace, None], /, *, judge: Judge, run: Run | None
    ) -> AsyncGenerator[Row, None]:
        async for workspace in pending:
            if run is not None:
                await run.commit(rows[workspace.name])
            yield rows[workspace.name]

    return read


async def test_a_session_does_what_the_command_does(tmp_path: Path) -> None:
    """Real calls, kept, compared with an earlier run, in two formats at once."""
    fleet = Sandbox(seed=7)
    acme = fleet.add_workspace("acme", agents=2)
    listed = [Workspace("acme", acme.key)]
    async with AsyncChatloom(acme.key, transport=fleet.transport()) as chatloom:
        read = partial(audit, client=chatloom)
        async with open_session(listed, read, db=tmp_path / "a.db") as session:
            first = [row async for row in session.rows()]
        acme.add_agent(name="Wild", domains=("localhost",))
        names: tuple[FormatName, ...] = ("jsonl", "html", "sarif", "github")
        texts = {name: io.StringIO() for name in names}
        async with open_session(listed, read, db=tmp_path / "a.db", baseline=1) as session:
            outcome = await session.write(*(Output(session.format(name), texts[name]) for name in names))
    assert [row.state for row in first] == ["ok"]
    (document,) = map(json.loads, texts["jsonl"].getvalue().splitlines())
    assert (document["workspace"], len(document["agents"])) == ("acme", 3)
    assert "1 finding is new since run 1, and marked as new." in texts["html"].getvalue()
    results = json.loads(texts["sarif"].getvalue())["runs"][0]["results"]
    assert [result["baselineState"] for result in results].count("new") == 1
    assert texts["github"].getvalue().count("title=acme%3A new ") == 1
    assert (outcome.run, outcome.baseline, outcome.new, outcome.exit_status) == (2, 1, Counter(error=1), 1)
    async with open_store(tmp_path / "a.db", write=False) as store:
        assert [run.state for run in await store.runs()] == ["finished", "finished"]


@pytest.mark.parametrize(
    ("names", "fail_on", "status"),
    [
        (["acme"], "error", 1),
        (["acme"], "never", 0),
        (["birch"], "error", 0),
        (["birch"], "warning", 1),
        (["acme", "cedar"], "error", 3),
        (["cedar"], "error", 4),
    ],
)
async def test_the_exit_status_is_that_of_the_command(names: list[str], fail_on: FailOn, status: int) -> None:
    """Nothing read outweighs something missing, and that outweighs findings."""
    async with open_session(workspaces(*names), reader(ROWS), fail_on=fail_on) as session:
        assert (await session.write()).exit_status == status


async def test_muted_findings_are_taken_out_and_counted() -> None:
    """They are in no report and not in the verdict; a mute that matched nothing is named."""
    used = Mute(rule="domain-local", reason="known", until=date(2099, 1, 1))
    idle = Mute(rule="domain-ip", reason="known", until=date(2099, 1, 1), place="entry 2")
    async with open_session(workspaces("acme", "birch"), reader(ROWS), mutes=(used, idle)) as session:
        rows = [row async for row in session.rows()]
    assert [row.findings for row in rows] == [(), (EMPTY,)]
    outcome = session.outcome
    assert (outcome.muted, outcome.new, outcome.gating, outcome.exit_status) == (1, Counter(warning=1), 0, 0)
    assert [text.partition(":")[0] for text in outcome.unused_mutes] == ["The mute entry 2 matches no finding"]
    assert (outcome.worst, outcome.failing) == (["birch"], [])


async def test_unused_mutes_are_found_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of mutes and thousands of workspaces take seconds."""
    threads = list[str]()

    def unused(mutes: Mutes, workspaces: Collection[str]) -> tuple[str, ...]:
        threads.append(threading.current_thread().name)
        return ("one",)

    monkeypatch.setattr(Mutes, "unused", unused)
    async with open_session(workspaces("acme"), reader(ROWS)) as session:
        assert (await session.write()).unused_mutes == ("one",)
    assert threading.current_thread().name not in threads


async def test_a_selection_cannot_tell_which_mutes_are_unused() -> None:
    """A mute may be for a workspace that was left out."""
    mute = Mute(rule="domain-ip", reason="known", until=date(2099, 1, 1))
    async with open_session(workspaces("acme"), reader(ROWS), mutes=(mute,), listed=("acme", "birch")) as session:
        assert (await session.write()).unused_mutes == ()


async def test_a_stopped_session_is_resumed_with_what_is_missing(tmp_path: Path) -> None:
    """The report is whole, the run is interrupted, and nothing is read twice."""
    db, names = tmp_path / "a.db", ("acme", "birch")
    report = io.StringIO()
    async with open_session(workspaces(*names), reader(ROWS), db=db) as session:
        outcome = await session.write(Output(session.format("json"), report), on_row=lambda _: session.stop.set())
    assert (outcome.stopped, outcome.exit_status, outcome.summary.interrupted) == (True, 130, True)
    assert [row["workspace"] for row in json.loads(report.getvalue())["workspaces"]] == ["acme"]
    async with open_session(workspaces(*names), reader({"birch": ROWS["birch"]}), db=db, resume=True) as session:
        rows = [row async for row in session.rows()]
    assert [row.workspace for row in rows] == ["acme", "birch"]
    assert (session.outcome.resumed, session.outcome.summary.requests) == (Summary(ok=1, error=1, requests=2), 5)
    assert session.outcome.worst == ["acme", "birch"]
    async with open_store(db, write=False) as store:
        assert [run.state for run in await store.runs()] == ["finished"]


@pytest.mark.parametrize("name", ["table", "json"])
async def test_a_resumed_run_decodes_a_row_once(
    tmp_path: Path, name: FormatName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the report. What workspaces share is looked up by name."""
    names = [f"w{number}" for number in range(100)]
    rows = {name: Row(name, "ok", requests=1) for name in names}
    db, looks = tmp_path / "a.db", Counter[str]()
    async with open_session(workspaces(*names), reader(rows), db=db) as session:
        await session.write(on_row=lambda outcome: outcome.summary.ok == 99 and session.stop.set())

    def counted(kind: type[object], method: str) -> None:
        original = getattr(kind, method)

        def look(*args: object) -> object:
            looks[method] += 1
            return original(*args)

        monkeypatch.setattr(kind, method, look)

    counted(DiskList, "__getitem__")
    counted(OverlapIndex, "shares")
    async with open_session(workspaces(*names), reader(rows), db=db, resume=True) as session:
        outcome = await session.write(Output(session.format(name), io.StringIO()))
    assert (outcome.resumed.ok, outcome.summary.ok) == (99, 100)
    assert looks == {"__getitem__": len(names), "shares": len(names)}


@pytest.mark.parametrize("seconds", [-1.0, 3600.0])
async def test_the_end_of_an_audit_pauses_by_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """After any row, not after a number of them. The database is amended in batches."""
    names = [f"w{number}" for number in range(10)]
    rows = {name: Row(name, "ok", (audited("shop.example"),)) for name in names}
    turns, at_rows, batches = 0, list[int](), list[int]()

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def shares(index: OverlapIndex, workspace: str) -> bool:
        at_rows.append(turns)
        return True

    async def amend(run: Run, amended: Sequence[Row]) -> None:
        batches.append(len(amended))

    monkeypatch.setattr(session_module, "SLICE", seconds)
    monkeypatch.setattr(session_module, "BATCH", 4)
    monkeypatch.setattr(OverlapIndex, "shares", shares)
    monkeypatch.setattr(Run, "amend", amend)

    async def remembered(
        pending: AsyncGenerator[Workspace, None], /, *, judge: Judge, run: Run | None
    ) -> AsyncGenerator[Row, None]:
        async for row in reader(rows)(pending, judge=judge, run=run):
            judge.remember(row)
            yield row

    async with open_session(workspaces(*names), remembered, db=tmp_path / "a.db") as session:
        counting = asyncio.create_task(count())
        outcome = await session.write()
        counting.cancel()
    assert (outcome.summary.info, batches) == (10, [4, 4, 2])
    assert len(set(at_rows)) == (10 if seconds < 0 else 1)


@pytest.mark.parametrize("muted", [None, "domain-shared", "domain-local"])
async def test_a_resumed_run_is_like_one_that_was_not_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, muted: str | None
) -> None:
    """Rows, totals and database: findings about what workspaces share are made anew, and muted ones are taken out."""
    fleet = Sandbox(seed=7)
    allowed = {"acme": ("x.de", "localhost"), "birch": ("x.de",), "cedar": ("x.de", "y.de"), "dale": ("y.de",)}
    for name, domains in allowed.items():
        workspace = fleet.add_workspace(name, agents=0)
        workspace.add_agent(name=name, domains=domains)
        monkeypatch.setenv(f"{name.upper()}_KEY", workspace.key.reveal())
    listed = [Workspace(name, KeyEnv(f"{name.upper()}_KEY")) for name in allowed]
    until = date(2099, 1, 1)
    mutes = [Mute(rule=muted, workspace=name, reason="known", until=until) for name in ("acme", "birch") if muted]

    async def result(db: str, *, resume: bool) -> tuple[list[Row], AuditOutcome, list[Row]]:
        async with AsyncChatloom(KEY, transport=fleet.transport()) as chatloom:
            read = partial(audit, client=chatloom)
            async with open_session(listed, read, db=tmp_path / db, mutes=mutes, resume=resume) as session:
                rows = [row async for row in session.rows()]
        async with open_store(tmp_path / db, write=False) as store:
            return rows, session.outcome, [row async for row in store.rows(1)]

    whole, outcome, stored = await result("whole.db", resume=False)
    with monkeypatch.context() as without:
        without.delenv("CEDAR_KEY")
        await result("parts.db", resume=False)
    rows, resumed, kept = await result("parts.db", resume=True)
    assert (rows, kept) == (whole, stored)
    totals = (outcome.summary, outcome.new, outcome.muted, outcome.worst)
    assert totals == (resumed.summary, resumed.new, resumed.muted, resumed.worst)
    assert (resumed.resumed.ok, outcome.muted) == (3, {"domain-shared": 2, "domain-local": 1, None: 0}[muted])


async def never(
    pending: AsyncGenerator[Workspace, None], /, *, judge: Judge, run: Run | None
) -> AsyncGenerator[Row, None]:
    """Reads the first workspace and waits for ever."""
    async for workspace in pending:
        yield ROWS[workspace.name]
        await asyncio.Event().wait()


async def test_an_aborted_session_completes_its_report() -> None:
    """What is under way is given up; aborting twice, or after the end, does nothing more."""
    report = io.StringIO()
    async with open_session(workspaces(), never) as session:

        def abort(outcome: AuditOutcome) -> None:
            for _ in range(2):
                asyncio.get_running_loop().call_soon(session.abort)

        outcome = await session.write(Output(session.format("json"), report), on_row=abort)
        session.abort()
    assert (outcome.exit_status, json.loads(report.getvalue())["summary"]["interrupted"]) == (130, True)


async def test_a_small_report_is_written_at_once() -> None:
    """Row by row, a stream might need a system call for each."""
    stream = Mock()
    async with open_session(workspaces(), reader(ROWS)) as session:
        await session.write(Output(session.format("json"), stream))
    (written,) = (call.args[0] for call in stream.write.mock_calls)
    assert len(json.loads(written)["workspaces"]) == len(ROWS)


async def test_an_aborted_session_passes_on_a_cancellation() -> None:
    """Which came at the same time, from somebody else."""
    async with open_session(workspaces(), never) as session:
        task = asyncio.create_task(session.write())
        await asyncio.sleep(0.01)
        session.abort()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_session_can_be_aborted_with_its_last_row() -> None:
    """By the program's own function, though the reader waits for nothing after that row."""
    report = io.StringIO()
    async with open_session(workspaces("acme"), reader(ROWS)) as session:
        outcome = await session.write(Output(session.format("json"), report), on_row=lambda _: session.abort())
    await asyncio.sleep(0)
    assert (outcome.exit_status, json.loads(report.getvalue())["summary"]["interrupted"]) == (1, False)


async def test_a_cancellation_by_the_caller_is_passed_on(tmp_path: Path) -> None:
    """It is not taken for a wish to end well."""
    async with open_session(workspaces(), never) as session:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await session.write()


async def test_a_reader_that_ends_early_leaves_a_run_to_resume(tmp_path: Path) -> None:
    """As when workers are lost: the verdict is that not all was read, not that somebody stopped it."""

    async def lost(
        pending: AsyncGenerator[Workspace, None], /, *, judge: Judge, run: Run | None
    ) -> AsyncGenerator[Row, None]:
        async for row in reader(ROWS)(pending, judge=judge, run=run):
            yield row
            return

    async with open_session(workspaces("acme", "birch"), lost, db=tmp_path / "a.db") as session:
        outcome = await session.write()
    assert (outcome.exit_status, outcome.stopped) == (3, False)
    async with open_store(tmp_path / "a.db", write=False) as store:
        assert [run.state for run in await store.runs()] == ["interrupted"]


@pytest.mark.parametrize("name", ["table", "json", "jsonl", "csv", "markdown", "html", "github", "junit", "sarif"])
async def test_every_format_can_be_written(name: FormatName) -> None:
    """Without a terminal, a database or a file of workspaces."""
    report = io.StringIO()
    async with open_session(workspaces(), reader(ROWS), fail_on="never") as session:
        await session.write(Output(session.format(name), report))
    assert "acme" in report.getvalue() or name == "github"


@pytest.mark.parametrize(
    ("db", "resume", "baseline", "error"),
    [
        (None, True, None, NoDatabaseGivenError),
        (None, False, 1, NoDatabaseGivenError),
        ("a.db", True, None, NothingToResumeError),
        ("a.db", False, 1, StoreAccessError),
    ],
)
async def test_what_needs_a_database_is_refused_without_one(
    tmp_path: Path, db: str | None, resume: bool, baseline: int | None, error: type[Exception]
) -> None:
    """And no file is made."""
    with pytest.raises(error):
        async with open_session(workspaces(), reader(ROWS), db=db and tmp_path / db, resume=resume, baseline=baseline):
            pass
    assert not any(await asyncio.to_thread(lambda: list(tmp_path.iterdir())))


async def test_the_last_run_is_a_baseline_only_if_it_is_comparable(tmp_path: Path) -> None:
    """A run at another address comes in between."""
    listed, rows = workspaces("acme"), reader(ROWS)
    for address in (URL, "https://other.example", URL):
        async with open_session(listed, rows, db=tmp_path / "a.db", baseline="last", base_url=address) as session:
            outcome = await session.write()
    assert (outcome.run, outcome.baseline, outcome.new.total()) == (3, 1, 0)


async def test_a_baseline_that_does_not_exist_begins_no_run(tmp_path: Path) -> None:
    """The database is as before."""
    async with open_store(tmp_path / "a.db"):
        pass
    with pytest.raises(NoSuchRunError):
        async with open_session(workspaces(), reader(ROWS), db=tmp_path / "a.db", baseline=7):
            pass
    async with open_store(tmp_path / "a.db", write=False) as store:
        assert await store.runs() == []


async def test_what_is_called_back_is_not_async() -> None:
    """It would be dropped without having run, so nothing is audited."""
    called = list[object]()

    async def later(*values: object) -> None:
        called.append(values)

    with pytest.raises(ConfigurationError, match=r"^warn must be a function that is not async"):
        async with open_session(workspaces(), reader(ROWS), warn=later):  # type: ignore[arg-type]
            pass
    async with open_session(workspaces(), reader(ROWS)) as session:
        with pytest.raises(ConfigurationError, match=r"^on_row must be a function that is not async"):
            await session.write(on_row=later)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match=r"^on_read must be a function that is not async"):
            await session.write(on_read=later)  # type: ignore[arg-type]
    async with AsyncChatloom(KEY, transport=Sandbox().transport()) as chatloom:
        with pytest.raises(ConfigurationError, match=r"^on_pause must be a function that is not async"):
            await anext(audit(workspaces(), client=chatloom, on_pause=later))
    assert (called, session.outcome.summary.workspaces) == ([], 0)


async def test_a_session_that_is_stopped_before_it_begins_reads_nothing() -> None:
    """Its report is whole and empty."""
    stop, report = asyncio.Event(), io.StringIO()
    stop.set()
    async with open_session(workspaces(), reader(ROWS), stop=stop) as session:
        outcome = await session.write(Output(session.format("json"), report))
    assert (outcome.exit_status, json.loads(report.getvalue())["workspaces"]) == (130, [])
