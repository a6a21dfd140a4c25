"""One audit from a list of workspaces to a verdict: what `chatloom audit` does, for programs.

    async with open_session(workspaces, partial(audit, client=chatloom), db="audits.db") as session:
        with open("report.json", "w", encoding="utf-8") as file:
            outcome = await session.write(Output(session.format("json"), file))
    print(outcome.summary.findings, outcome.exit_status)

A session applies rules, mutes and a baseline, keeps and resumes runs, and writes every report format. It opens no
report file, prints nothing and handles no signal: `cli` does that around it.
"""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from attrs import define, evolve, field

from ..wire.base_url import BASE_URL, normalize_base_url
from ..wire.validation import FUNCTION
from .diff import new_findings
from .formats.interface import Format, StreamFormat
from .formats.ranking import NewFindings
from .history import Baseline, History, KnownFindings, NoDatabaseGivenError, check_database, open_history
from .mutes import Mute, Mutes
from .outcome import AuditOutcome
from .outputs import SLICE, FormatContext, Output, make_format, rule_texts
from .rules import RULES, Judge, Rule
from .rules.containment import ContainedJudge
from .spool import DiskList, RowSpool
from .store import KeptRow, Run, RunConfig, Store
from .values import DomainMatching, FailOn, Finding, FormatName, Row, Summary, Workspace

__all__ = [
    "AuditOutcome",
    "AuditSession",
    "FailOn",
    "FormatContext",
    "FormatName",
    "NoDatabaseGivenError",
    "Output",
    "Reader",
    "check_database",
    "make_format",
    "open_session",
    "rule_texts",
]

BATCH = 64
"""Rows that are amended in the database together."""


class Reader(Protocol):
    """Reads workspaces: `partial(audit, client=...)` here, `partial(audit_on, engine, ...)` on other machines.

    It yields one judged row per workspace, and commits each to `run` first. It may end early, e.g. when its workers
    are lost: the session then reports the rows so far.
    """

    def __call__(
        self, workspaces: AsyncGenerator[Workspace, None], /, *, judge: Judge, run: Run | None
    ) -> AsyncGenerator[Row, None]: ...


@define(eq=False, kw_only=True)
class AuditSession:
    """Made by `open_session`. Take its rows once, by `write` or by `rows`."""

    workspaces: Collection[Workspace]
    outcome: AuditOutcome
    context: FormatContext
    stop: asyncio.Event
    _read: Reader = field(alias="read")
    _judge: Judge = field(alias="judge")
    _mutes: Mutes = field(alias="mutes")
    _known: KnownFindings | None = field(default=None, alias="known")
    _store: Store | None = field(default=None, alias="store")
    _run: Run | None = field(default=None, alias="run")
    _resume: bool = field(default=False, alias="resume")
    _whole_list: bool = field(default=True, alias="whole_list")
    _task: "asyncio.Task[object] | None" = field(default=None, init=False)
    _originals: DiskList[Row] = field(init=False, factory=lambda: DiskList(Row))
    _original_places: dict[str, int] = field(factory=dict, init=False)
    _aborted: bool = field(default=False, init=False)
    _ended: bool = field(default=False, init=False)
    _contained: ContainedJudge = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._contained = ContainedJudge(self._judge)

    def format(
        self, name: FormatName, *, to_file: bool = False, width: int | None = None, color: bool = False
    ) -> Format | StreamFormat:
        """A report of this audit in the named format. The options are those of `FormatContext`."""
        return make_format(name, evolve(self.context, to_file=to_file, width=width, color=color))

    async def write(
        self,
        *outputs: Output,
        on_row: Callable[[AuditOutcome], None] = lambda _: None,
        on_read: Callable[[], None] = lambda: None,
    ) -> AuditOutcome:
        """Audits, writes the reports, and returns the totals.

        `jsonl` is written row by row as workspaces are read, the other reports in the order of `workspaces` once all
        of them are. `on_row` is called after each row, and `on_read` once there are no more.
        """
        FUNCTION.check("on_row", on_row)
        FUNCTION.check("on_read", on_read)
        rows = RowSpool(workspace.name for workspace in self.workspaces)
        streams = [output for output in outputs if output.streams]
        self._task = asyncio.current_task()
        cancelled = self._task.cancelling() if self._task else 0
        try:
            async with aclosing(self._judged()) as judged:
                async for row in judged:
                    shown = self._take(row, rows)
                    for output in streams:
                        output.write_row(shown if isinstance(shown, Row) else shown.row)
                    on_row(self.outcome)
            if self._aborted:  # by on_row: the reader did not wait for anything since, so the cancellation is still due
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            if not self._aborted or self._task is None or self._task.uncancel() > cancelled:
                raise
        finally:
            self._task = None
        on_read()
        written = self.outcome.summary.findings
        await self._complete(rows)
        left_out = self.outcome.summary.findings - written
        if left_out and streams:
            self.context.warn(
                f"jsonl has no findings that concern several workspaces: {left_out:,} left out, --format json has all."
            )
        problems = [await self._written(output, rows) for output in outputs]
        await self.end()
        for problem in filter(None, problems):
            raise problem
        return self.outcome

    async def _written(self, output: Output, rows: RowSpool) -> Exception | None:
        """Writes one report. Errors are returned, so that the other reports are completed as well."""
        try:
            await output.write(rows, self.outcome.summary)
        except Exception as problem:
            return problem
        return None

    async def rows(self) -> AsyncGenerator[Row, None]:
        """The rows as reports show them, in the order of `workspaces`, once all of them are read.

        Muted findings are removed. After `stop` is set, no further workspace begins, and those in progress end.
        """
        rows = RowSpool(workspace.name for workspace in self.workspaces)
        async with aclosing(self._judged()) as judged:
            async for row in judged:
                self._take(row, rows)
        await self._complete(rows)
        await self.end()
        for row in rows:
            yield row

    async def _judged(self) -> AsyncGenerator[Row | KeptRow, None]:
        """The rows of a resumed run first, then each row when it is read, without findings across workspaces."""
        started = time.monotonic()
        try:
            async for kept in self._kept():
                self.outcome.resumed.include(kept.totals)
                yield kept
            async with aclosing(self._read(self._pending(), judge=self._judge, run=self._run)) as rows:
                async for row in rows:
                    yield row
        finally:
            self.outcome.elapsed = time.monotonic() - started

    def _take(self, row: Row | KeptRow, rows: RowSpool) -> Row | KeptRow:
        """Counts a row that was read, as far as it is known by itself, and returns it as reports show it."""
        if isinstance(row, KeptRow):
            if not (row.amended or self._mutes.mutes):
                self.outcome.add(row.workspace, row.totals)
                rows.add_json(row.workspace, row.document)
                return row
            row = row.row
        own = self._judge.without_overlaps(row)
        result = self._mutes.apply(own.workspace, own.findings)
        shown = own if result.kept == own.findings else evolve(own, findings=result.kept)
        if shown is not row:
            self._original_places[row.workspace] = len(self._originals)
            self._originals.append(row)
        self.outcome.muted += len(result.muted)
        self.outcome.add(row.workspace, Summary.of(shown))
        if row.state == "failed" and row.error:
            self.outcome.cause = row.error.message
        rows.add(shown)
        return shown

    async def _complete(self, rows: RowSpool) -> None:
        """Adds findings across workspaces, and counts the findings that are new."""
        await asyncio.to_thread(self._judge.prepare_overlaps)
        amended, paused = list[Row](), time.monotonic()
        for place in range(len(rows)):
            name = rows.workspace(place)
            if name in self._original_places or self._judge.shares(name):
                amended += await self._add_overlaps(rows, place)
            if self._known and self.context.news:
                await self._count_new(rows[place].findings, self._known, self.context.news)
            if len(amended) == BATCH:
                await self._amend(amended)
                amended = []
            if time.monotonic() - paused > SLICE:
                await asyncio.sleep(0)
                paused = time.monotonic()
        await self._amend(amended)
        if self._known is None:
            self.outcome.new = self.outcome.summary.by_severity()
        await self._count_up()

    async def _amend(self, rows: list[Row]) -> None:
        if rows and self._run is not None:
            await self._run.amend(rows)

    async def _add_overlaps(self, rows: RowSpool, place: int) -> list[Row]:
        """Adds what the row in this place shares with others. Returns the row that the database should have instead
        of its own, if any."""
        row = rows[place]
        kept = self._original_places.get(row.workspace)
        original = row if kept is None else self._originals[kept]
        whole = await self._contained.with_overlaps(original)
        own = self._mutes.apply(row.workspace, self._judge.without_overlaps(original).findings)
        result = self._mutes.apply(row.workspace, whole.findings)
        if result.kept != row.findings:
            shown = rows[place] = evolve(row, findings=result.kept)
            self.outcome.replace(row, shown)
        self.outcome.muted += len(result.muted) - len(own.muted)
        return [] if whole is original else [whole]

    async def _count_new(self, findings: tuple[Finding, ...], known: KnownFindings, news: NewFindings) -> None:
        """Counts the findings that the baseline did not have."""
        if findings:
            new = new_findings(findings, await known(frozenset(finding.id for finding in findings)))
            news.findings.update(finding.id for finding in new)
            self.outcome.new.update(finding.severity for finding in new)

    def abort(self) -> None:
        """Makes a `write` that is under way finish its reports now. Workspaces that are being read are given up."""
        self.stop.set()
        if self._task is not None and not self._aborted:
            self._aborted = True
            self._task.cancel()

    async def end(self) -> None:
        """Ends the run in the database: finished, or interrupted where workspaces are missing. Safe to call twice."""
        if not self._ended and self._run is not None:
            await self._count_up()
            await self._run.finish("interrupted" if self.outcome.summary.interrupted else "finished")
        self._ended = True

    async def _count_up(self) -> None:
        outcome = self.outcome
        outcome.stopped = self.stop.is_set()
        outcome.summary.interrupted = outcome.summary.workspaces < outcome.planned
        if self._whole_list and not outcome.summary.interrupted:
            names = [workspace.name for workspace in self.workspaces]
            outcome.unused_mutes = await asyncio.to_thread(self._mutes.unused, names)

    async def _kept(self) -> AsyncGenerator[KeptRow, None]:
        """The rows that an earlier part of the run left. The judge remembers each."""
        if self._run is None or self._store is None or not self._resume:
            return
        async for kept in self._store.kept(self._run.id):
            self._judge.remember_sites(kept.workspace, kept.sites, kept.key)
            yield kept

    async def _pending(self) -> AsyncGenerator[Workspace, None]:
        """The workspaces still to be read, until `stop` is set."""
        if self._run is None:
            for workspace in self.workspaces:
                if self.stop.is_set():
                    return
                yield workspace
            return
        async with aclosing(self._run.pending(self.workspaces)) as pending:
            async for workspace in pending:
                if self.stop.is_set():
                    return
                yield workspace


@asynccontextmanager
async def open_session(
    workspaces: Collection[Workspace],
    read: Reader,
    *,
    rules: Sequence[Rule] | None = None,
    matching: DomainMatching = "unknown",
    mutes: Collection[Mute] = (),
    fail_on: FailOn = "error",
    db: Path | str | None = None,
    resume: bool = False,
    baseline: Baseline | None = None,
    base_url: str | None = None,
    listed: Collection[str] = (),
    source: str | None = None,
    warn: Callable[[str], None] = lambda _: None,
    stop: asyncio.Event | None = None,
) -> AsyncIterator[AuditSession]:
    """An audit that is ready to run. With `db`, its run is begun or resumed here, and ended with the context.

    `rules` are those to apply, by default all of this package. `matching` says what an allowed domain stands for.
    `baseline` is the number of a run, or "last": only findings that it did not have count for the exit status.
    `base_url` is the normalized address that `read` sends its requests to; a run is resumed only at the same address.
    `listed` are the names of the whole list, if `workspaces` were selected from a longer one. `source` is the path of
    that list, for formats that show it, and `warn` is called with what a report leaves out. `stop` is an event that
    ends the audit gently when it is set.

    Raises NoDatabaseGivenError, StoreError and other ConfigurationErrors, before anything is sent.
    """
    FUNCTION.check("warn", warn)
    check_database(db, resume=resume, baseline=baseline)
    rules = RULES if rules is None else tuple(rules)
    config = RunConfig(
        workspaces=workspaces,
        base_url=base_url or normalize_base_url(os.environ.get("CHATLOOM_BASE_URL") or BASE_URL),
        rules=tuple(rule.id for rule in rules),
        matching=matching,
        listed=listed,
    )
    async with AsyncExitStack() as stack:
        history = History() if db is None else await open_history(stack, db, config, resume=resume, baseline=baseline)
        number = history.run.id if history.run else None
        if baseline == "last" and history.baseline is None:
            fail_on = "never"
            warn(
                f"No earlier complete run has one of these workspaces: run {number} becomes the baseline, and no "
                "finding fails it."
            )
        session = AuditSession(
            workspaces=workspaces,
            outcome=AuditOutcome(len(workspaces), fail_on, number, history.baseline),
            context=FormatContext(
                texts=rule_texts((*RULES, *rules)),
                fail_on=fail_on,
                past=history.past,
                source=source,
                lines={workspace.name: workspace.line for workspace in workspaces if workspace.line is not None},
                warn=warn,
                news=None if history.baseline is None else NewFindings(history.baseline, set()),
            ),
            stop=stop or asyncio.Event(),
            read=read,
            judge=Judge(rules, matching=matching),
            mutes=Mutes(mutes, datetime.now(UTC).date()),
            known=history.known,
            store=history.store,
            run=history.run,
            resume=resume,
            whole_list=len(listed) <= len(workspaces),
        )
        yield session
        await session.end()
