"""`chatloom audit`: from a source of workspaces, through the audit, into a format."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..audit.loading import select
from ..audit.rules import Judge
from ..audit.store import RunConfig
from .access import file_or_stdin
from .audit_inputs import opened, recording, refuse_without_database
from .audit_outputs import Result, Setting, outputs, plan, ready
from .audit_readers import reader
from .audit_screen import TYPED, AuditProgress, Situation, advice, findings, totals
from .estimate import estimated
from .live import Live
from .options import (
    AT_EASE,
    EVERY_RULE,
    EVERY_WORKSPACE,
    NOT_KEPT,
    TO_SCREEN,
    Choice,
    History,
    Judging,
    Pace,
    Report,
)
from .screen import destination, gap, notice
from .verdict import Verdict, chosen_rules, refuse_without_baseline, verdict


async def audit(
    workspaces: Annotated[
        Path | None,
        Parameter(
            help="TOML, JSON, CSV or NDJSON file; - is NDJSON on stdin.",
            allow_leading_hyphen=True,
            validator=file_or_stdin,
        ),
    ] = None,
    /,
    *,
    choice: Choice = EVERY_WORKSPACE,
    judging: Judging = EVERY_RULE,
    report: Report = TO_SCREEN,
    history: History = NOT_KEPT,
    pace: Pace = AT_EASE,
) -> int:
    """Audit every agent and allowed domain of many workspaces.

    Without WORKSPACES, the one workspace of CHATLOOM_API_KEY is audited; without that too, an embedded sandbox,
    whose findings are no failure.

    A file lists workspaces with a name and a reference to their key, such as this TOML. In place of key_env
    there may be key_json, key_file or key_command; tags and expect, the domains that should be allowed, are optional.
    key_json = "KEYS#acme" is the member acme of the JSON object in the variable KEYS. A relative key_file counts from
    the folder of this file; key_command runs where chatloom was started, without a shell.

        [[workspaces]]
        name = "acme"
        key_env = "ACME_CHATLOOM_KEY"
        tags = ["eu"]
        expect = ["acme.example"]

    A file for --mutes accepts findings until a day, each for a reason. In place of rule there may be finding, an id;
    workspace and subject, glob patterns, are optional.

        [[mutes]]
        rule = "domain-wildcard"
        workspace = "acme*"
        subject = "*.acme.example"
        reason = "Until the new shop is live"
        until = 2026-12-31

    Data goes to stdout, everything else to stderr. Ctrl-C lets what is under way end; with --db, --resume goes on
    from there. Exit status: 0 all is well, 1 findings at or above --fail-on, 2 wrong usage or configuration,
    3 some workspaces not fully audited, 4 none audited, 130 interrupted.
    """
    refuse_without_database(history)
    refuse_without_baseline(judging, history.db)
    rules, texts = chosen_rules(judging)
    ready(report)
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(opened(workspaces, choice, pace.base_url))
        chosen = select(source.workspaces, only=choice.only, exclude=choice.exclude, tags=choice.tag)
        outcome = await stack.enter_async_context(
            verdict(judging, history.db, rules=texts, sandbox=source.kind == "sandbox")
        )
        if pace.dry_run:
            stream = stack.enter_context(destination(report.output))
            stream.write(plan(report.format, chosen, stream))
            notice(f"estimate: {await estimated(chosen, history.db, pace.at_once)}")
            return 0
        config = RunConfig(
            workspaces=chosen,
            base_url=source.identity,
            rules=tuple(each.id for each in rules),
            listed=[each.name for each in source.workspaces],
            command=TYPED.get(),
        )
        reading = await stack.enter_async_context(reader(pace, source, chosen))
        record = await stack.enter_async_context(recording(history, config))
        stream = stack.enter_context(destination(report.output))  # not before: it empties the last report
        setting = Setting(
            texts=texts,
            fail_on=outcome.fail_on,
            past=await record.past(),
            source=str(workspaces) if source.kind == "file" else None,
            news=outcome.news,
        )
        forms = outputs(report, stream, setting, stack)
        bar = report.format == "table" or not stream.isatty()  # rows on a terminal and a bar would mix
        progress = AuditProgress(len(chosen), shown=bar)
        live = Live(record, Judge(rules), outcome, reading, progress)
        result = await live.written(forms)
    situation = Situation(
        kind=source.kind,
        failing=result.failing,
        unread=result.summary.failed + result.summary.partial,
        failed=result.summary.failed,
        findings=result.summary.findings,
        interrupted=result.summary.interrupted,
        db=history.db,
        run=record.run.id if record.run else None,
        baseline=judging.baseline,
    )
    told = totals(result.summary, len(chosen), result.elapsed, progress.before)
    _close(result, outcome, situation, told, asked=len(chosen), whole=len(chosen) == len(source.workspaces))
    return _status(result, outcome, lost=live.lost)


def _close(result: Result, outcome: Verdict, situation: Situation, told: str, *, asked: int, whole: bool) -> None:
    summary = result.summary
    gap()
    style = "green" if summary.ok == asked else "yellow" if summary.ok or summary.partial else "red"
    notice(told, style)
    style = "red" if summary.error or not (summary.ok or summary.partial) else "yellow" if summary.warning else "green"
    new = outcome.counting.total()
    notice(findings(summary, result.worst, new=new, muted=outcome.muted, baseline=situation.baseline), style)
    for each in outcome.sieve.unused() if whole and not summary.interrupted else ():
        notice(each, "yellow")
    if next_step := advice(situation):
        notice(f"next: {next_step}", "bold", command=True)


def _status(result: Result, outcome: Verdict, *, lost: bool) -> int:
    """130 interrupted, 4 none audited, 3 some not fully, 1 findings that count, 0 all is well."""
    summary = result.summary
    if summary.interrupted and not lost:
        return 130
    if summary.failed == summary.workspaces:
        return 4
    if summary.failed or summary.partial or lost:
        return 3
    return 1 if outcome.failing else 0
