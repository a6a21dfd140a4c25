"""What `chatloom audit` writes: its report and HTML page, or, for --dry-run, the plan and what it would cost."""

from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from itertools import combinations
from pathlib import Path
from typing import TextIO

from ..audit.document import json_text, workspace_document
from ..audit.formats.expectation import ExpectationFormat
from ..audit.formats.ranking import counted
from ..audit.formats.text import cell, columns, rendered
from ..audit.session import AuditSession, Output
from ..audit.values import Workspace
from ..policy.limiter import RateLimit
from .options import ReportOptions
from .terminal import CommandLineError, check_writable, destination, terminal_style


def check_outputs(report: ReportOptions) -> None:
    """Raises CommandLineError where a report cannot be written, or two would go to one file. Writes none."""
    paths = {"--output": report.output, "--html": report.html, "--write-expect": report.write_expect}
    named = {option: path for option, path in paths.items() if path is not None}
    for option, path in named.items():
        check_writable(path, option)
    for (one, path), (other, second) in combinations(named.items(), 2):
        if path.absolute() == second.absolute():
            raise CommandLineError(f"{one} and {other} both name {path}: one would overwrite the other")


def check_expectation(report: ReportOptions, listed: Path | None, workspaces: Collection[Workspace]) -> None:
    """Raises CommandLineError if --write-expect would overwrite the list that it is made of, or KeyInListError."""
    path = report.write_expect
    if path is None:
        return
    if listed is not None and path.exists() and listed.exists() and path.samefile(listed):
        raise CommandLineError(f"--write-expect would overwrite {listed}: name another file, and compare the two")
    ExpectationFormat(workspaces)


def open_outputs(report: ReportOptions, session: AuditSession, stream: TextIO, stack: AsyncExitStack) -> list[Output]:
    """The report on `stream` and, with --html, a page in addition. Raises CommandLineError, MissingExtraError."""
    style, path = terminal_style(stream), report.output
    to_file = path is not None and (path.is_file() or not path.exists())
    made = session.format(report.format, to_file=to_file, width=style.width, color=style.color)
    outputs = [Output(made, stream)]
    if report.html is not None:
        page = stack.enter_context(destination(report.html, "--html"))
        outputs.append(Output(session.format("html"), page))
    if report.write_expect is not None:
        expectation = ExpectationFormat(session.workspaces)
        outputs.append(Output(expectation, stack.enter_context(destination(report.write_expect, "--write-expect"))))
    return outputs


def plan(name: str, workspaces: Sequence[Workspace], stream: TextIO) -> str:
    """What would be audited, as JSON or JSON Lines if that is the format, else as a table."""
    if name == "json":
        return json_text({"workspaces": [workspace_document(each) for each in workspaces]}, indent=True) + "\n"
    if name == "jsonl":
        return "".join(json_text(workspace_document(each)) + "\n" for each in workspaces)
    style, table = terminal_style(stream), columns("workspace", "key", "tags", "expected domains")
    for workspace in workspaces:
        cells = (workspace.name, str(workspace.key), " ".join(workspace.tags), " ".join(workspace.expect or ()))
        table.add_row(*(cell(text) for text in cells))
    return rendered([table], width=style.width, color=style.color)


ASSUMED_AGENTS = 12


def estimate(workspaces: Collection[Workspace], concurrency: int) -> str:
    """How many requests the audit sends, and how long the rate limit of each key makes it take at least."""
    limit, each = RateLimit(), 1 + ASSUMED_AGENTS
    waits = [
        max(0, count * each - limit.burst) / limit.per_second
        for count in Counter(workspace.key for workspace in workspaces).values()
    ]
    seconds = max(*waits, sum(waits) / concurrency)
    return (
        f"estimate: {counted(len(workspaces) * each, 'request')} if each workspace has {ASSUMED_AGENTS} agents, "
        f"at least {seconds:,.0f} s at {limit.per_second:g} requests a second and key"
    )
