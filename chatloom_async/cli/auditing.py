"""Carries out `chatloom audit`: from the options to a session, through its reports, to the exit status."""

import asyncio
import os
import shutil
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TextIO

from attrs import evolve

from ..audit.dns import Resolver
from ..audit.document import workspace_document
from ..audit.formats.expectation import ExpectationFormat
from ..audit.formats.layout import Columns, cell
from ..audit.formats.text import counted
from ..audit.keys import KeyCommand, KeyEnv, KeyFile, KeyJson
from ..audit.loading import select
from ..audit.mutes import load_mutes
from ..audit.rules import choose_rules
from ..audit.session import AuditOutcome, AuditSession, FormatName, Output, check_database, open_session
from ..audit.values import Workspace
from ..policy.limiter import RateLimit
from ..wire.cleaning import first_of
from ..wire.encode import json_text
from .files import check_outputs, open_file, open_output
from .options import FindingOptions, HistoryOptions, ReportOptions, RunOptions, Selection
from .progress import AuditProgress, dns_gaps, findings, next_step, totals
from .readers import open_reader, raise_descriptor_limit
from .rules import applied_rules, open_resolver
from .signals import end_gently
from .sources import open_source
from .terminal import Content, blank_line, notice, terminal_style

VARIABLES_SHOWN = 10


async def run_audit(
    workspaces: Path | None,
    *,
    selection: Selection,
    finding: FindingOptions,
    report: ReportOptions,
    history: HistoryOptions,
    run: RunOptions,
) -> int:
    """The exit status of an audit with these options."""
    raise_descriptor_limit()
    check_database(history.db, resume=history.resume, baseline=finding.baseline)
    chosen_rules, every_rule = choose_rules(finding.rule, finding.rules)
    rules = applied_rules(chosen_rules, finding)
    mutes = () if finding.mutes is None else load_mutes(finding.mutes, rules=[rule.id for rule in every_rule])
    inputs = list(_inputs(workspaces, finding))
    check_outputs(_outputs(report), inputs, db=history.db)
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(open_source(workspaces, selection, run.base_url))
        chosen = select(source.workspaces, only=selection.only, exclude=selection.exclude, tags=selection.tag)
        check_outputs(_outputs(report), [*inputs, *_key_files(source.workspaces)], db=history.db)
        if report.write_expect is not None:
            ExpectationFormat(chosen)  # raises, before anything is sent, for what a list must not hold
        dns = await stack.enter_async_context(open_resolver(rules, finding.resolver, source.kind))
        if run.dry_run:
            return _dry_run(report, chosen, run.at_once, dns)
        to_terminal = report.output is None and sys.stdout is not None and sys.stdout.isatty()
        mixed = report.format != "table" and to_terminal  # rows would appear between the frames of a bar
        progress = AuditProgress(len(chosen), shown=not (mixed or run.quiet or run.verbose))
        read = await stack.enter_async_context(open_reader(run, source, chosen, dns=dns, say=progress.say, stop=stop))
        session = await stack.enter_async_context(
            open_session(
                chosen,
                read,
                rules=rules,
                matching=finding.domain_matching,
                mutes=mutes,
                fail_on=finding.fail_on or ("never" if source.kind == "sandbox" else "error"),
                db=history.db,
                resume=history.resume,
                baseline=finding.baseline,
                base_url=source.identity,
                listed=[workspace.name for workspace in source.workspaces],
                source=str(workspaces) if source.kind == "file" else None,
                warn=notice,
                stop=stop,
            )
        )
        session.context = evolve(session.context, fictional=source.kind == "sandbox")
        outputs = open_outputs(report, session, stack)
        with end_gently(stop.set, session.abort, progress.say), progress:
            outcome = await session.write(*outputs, on_row=progress.show, on_read=progress.stop)
    if outcome.exit_status or not run.quiet:
        _close(outcome, next_step(source.kind, history.db, outcome, _unset_variables(chosen)))
    return outcome.exit_status


def _outputs(report: ReportOptions) -> list[tuple[str, Path | None]]:
    others = (("--html", report.html), ("--write-expect", report.write_expect))
    return [("--output", report.output), *((option, path) for option, path in others if path)]


def _inputs(workspaces: Path | None, finding: FindingOptions) -> Iterator[tuple[str, Path]]:
    """The files that the options name and that no report may overwrite."""
    if workspaces is not None:
        yield "the list of workspaces", workspaces
    if finding.mutes is not None:
        yield "the file of --mutes", finding.mutes
    for path in finding.rules:
        yield "a file of --rules", path


def _key_files(workspaces: Iterable[Workspace]) -> Iterator[tuple[str, Path]]:
    """Key files, and the files that key commands name: the program itself, and every word that is a file."""
    for workspace in workspaces:
        if isinstance(workspace.key, KeyFile):
            path = os.path.expanduser(workspace.key.path)  # noqa: PTH111 - Path's own raises if ~ leads to no directory
            yield f"the key file of workspace {workspace.name}", Path(path)
        elif isinstance(workspace.key, KeyCommand):
            program = shutil.which(workspace.key.argv[0])
            for word in (*workspace.key.argv, *([program] if program else [])):
                yield f"a file of the key command of workspace {workspace.name}", Path(word)


def _dry_run(report: ReportOptions, workspaces: Sequence[Workspace], concurrency: int, dns: Resolver | None) -> int:
    """Writes what would be audited instead of a report, and says what it would cost."""
    with open_output(report.output, content=content_of(report.format)) as output:
        output.write(plan(report.format, workspaces, output.stream))
    notice(estimate(workspaces, concurrency))
    if unset := _unset_variables(workspaces):
        notice(f"warning: variables of keys that are not set here: {first_of(unset, VARIABLES_SHOWN)}", "yellow")
    if dns:
        notice(f"DNS: would ask {dns.shown} about the allowed domains, each once")
    return 0


def _unset_variables(workspaces: Iterable[Workspace]) -> list[str]:
    """The environment variables of keys that are not set, each once."""
    keys = (workspace.key for workspace in workspaces)
    names = (
        key.name if isinstance(key, KeyEnv) else key.variable for key in keys if isinstance(key, (KeyEnv, KeyJson))
    )
    return [name for name in dict.fromkeys(names) if name not in os.environ]


def _close(outcome: AuditOutcome, advice: str | None) -> None:
    """The closing lines, on standard error."""
    summary = outcome.summary
    read = summary.ok or summary.partial
    blank_line()
    notice(totals(outcome), "green" if summary.ok == outcome.planned else "yellow" if read else "red")
    style = "red" if summary.error or not read else "yellow" if summary.warning else "green"
    notice(findings(outcome), style)
    if unread := dns_gaps(outcome):
        notice(unread, "yellow")
    for unused in outcome.unused_mutes:
        notice(unused, "yellow")
    if advice:
        notice(f"next: {advice}", "bold", command=True)
    if outcome.cause and not read:
        notice(f"cause: {outcome.cause}", "red")


def content_of(name: FormatName) -> Content:
    """How a report of this format is encoded on standard output."""
    return "locale" if name == "table" else "json" if name in ("json", "jsonl", "sarif") else "utf-8"


def open_outputs(report: ReportOptions, session: AuditSession, stack: AsyncExitStack) -> list[Output]:
    """The report and the other files that are asked for. Raises CommandLineError, MissingExtraError."""
    file = stack.enter_context(open_output(report.output, content=content_of(report.format)))
    style, path = terminal_style(file.stream), report.output
    to_file = path is not None and (path.is_file() or not path.exists())
    text = session.format(report.format, to_file=to_file, width=style.width, color=style.color)
    outputs = [Output(text, file, file.commit)]
    if report.html is not None:
        page = stack.enter_context(open_file(report.html, "--html"))
        outputs.append(Output(session.format("html"), page, page.commit))
    if report.write_expect is not None:
        listed = stack.enter_context(open_file(report.write_expect, "--write-expect"))
        outputs.append(Output(ExpectationFormat(session.workspaces), listed, listed.commit))
    return outputs


def plan(name: str, workspaces: Sequence[Workspace], stream: TextIO) -> str:
    """What would be audited, as JSON or JSON Lines if that is the format, else as a table."""
    documents = map(workspace_document, workspaces)
    if name == "json":
        return json_text({"workspaces": list(documents)}, indent=True) + "\n"
    if name == "jsonl":
        return "".join(json_text(document) + "\n" for document in documents)
    style, rows = terminal_style(stream), []
    for workspace in workspaces:
        texts = (workspace.name, str(workspace.key), " ".join(workspace.tags), " ".join(workspace.expect or ()))
        rows.append(tuple(map(cell, texts)))
    return Columns(("workspace", "key", "tags", "expected domains"), style.width, style.color).table(rows)


ASSUMED_AGENTS = 12


def estimate(workspaces: Collection[Workspace], concurrency: int) -> str:
    """How many requests the audit sends, and how long the rate limit of each key makes it take at least."""
    limit, requests = RateLimit(), 1 + ASSUMED_AGENTS
    waits = [
        max(0, count * requests - limit.burst) / limit.per_second
        for count in Counter(workspace.key for workspace in workspaces).values()
    ]
    seconds = max(*waits, sum(waits) / concurrency)
    return (
        f"estimate: {counted(len(workspaces) * requests, 'request')} if each workspace has {ASSUMED_AGENTS} agents, "
        f"at least {seconds:,.0f} s at {limit.per_second:g} requests a second and key"
    )
