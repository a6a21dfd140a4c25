"""What `chatloom audit` writes: its report and HTML page, or, for --dry-run, the plan and what it would cost."""

from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from typing import TextIO

from ..audit.document import json_text, workspace_document
from ..audit.formats.expectation import ExpectationFormat
from ..audit.formats.ranking import counted
from ..audit.formats.text import cell, columns, rendered
from ..audit.session import AuditSession, FormatName, Output
from ..audit.values import Workspace
from ..policy.limiter import RateLimit
from .files import open_output
from .options import ReportOptions
from .terminal import Content, terminal_style


def check_expectation(report: ReportOptions, workspaces: Collection[Workspace]) -> None:
    """Raises KeyInListError if --write-expect would have to write a key into its list."""
    if report.write_expect is not None:
        ExpectationFormat(workspaces)


def content_of(name: FormatName) -> Content:
    """How a report of this format is encoded on standard output."""
    return "locale" if name == "table" else "json" if name in ("json", "jsonl", "sarif") else "utf-8"


def open_outputs(report: ReportOptions, session: AuditSession, stack: AsyncExitStack) -> list[Output]:
    """The report and the other files that are asked for. Raises CommandLineError, MissingExtraError."""
    file = stack.enter_context(open_output(report.output, content=content_of(report.format)))
    style, path = terminal_style(file.stream), report.output
    to_file = path is not None and (path.is_file() or not path.exists())
    made = session.format(report.format, to_file=to_file, width=style.width, color=style.color)
    outputs = [Output(made, file, file.commit)]
    if report.html is not None:
        page = stack.enter_context(open_output(report.html, "--html", content="utf-8"))
        outputs.append(Output(session.format("html"), page, page.commit))
    if report.write_expect is not None:
        listed = stack.enter_context(open_output(report.write_expect, "--write-expect", content="utf-8"))
        outputs.append(Output(ExpectationFormat(session.workspaces), listed, listed.commit))
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
