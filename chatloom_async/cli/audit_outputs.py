"""Makes the formats of `chatloom audit` from what is known before the first row."""

from asyncio import CancelledError, current_task
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from datetime import UTC, datetime
from typing import TextIO

from attrs import Factory, define, field, frozen

from ..audit.document import json_text, workspace_document
from ..audit.formats.csv import CsvFormat
from ..audit.formats.github import GithubFormat
from ..audit.formats.interface import Format
from ..audit.formats.json import JsonFormat, JsonLinesFormat
from ..audit.formats.junit import JunitFormat
from ..audit.formats.markdown import MarkdownFormat
from ..audit.formats.ranking import NewFindings, RuleTexts, Worst
from ..audit.formats.sarif import SarifFormat
from ..audit.formats.table import Block, TableFormat
from ..audit.formats.text import cell, columns, rendered
from ..audit.store import RunInfo
from ..audit.summary import Summary
from ..audit.values import Row, Workspace
from .audit_screen import AuditProgress
from .options import FailOn, Report, ReportName
from .screen import OutputFileError, destination, look, try_out


@frozen(kw_only=True)
class Setting:
    """What a format may want to know: of the rules, of earlier runs, of what counts and is new, of the file of
    workspaces."""

    texts: RuleTexts
    fail_on: FailOn
    past: Sequence[RunInfo] = ()
    source: str | None = None
    news: NewFindings | None = None
    when: datetime = field(factory=lambda: datetime.now(UTC))


def _table(stream: TextIO, setting: Setting) -> Format:
    shown = look(stream)
    return TableFormat(setting.texts, width=shown.width, color=shown.color)


def _html(_: TextIO, setting: Setting) -> Format:
    from ..audit.formats.html.report import HtmlFormat  # jinja2 takes its time

    past = [(each.started, each.error, each.warning, each.info) for each in setting.past if each.state == "finished"]
    return HtmlFormat(setting.texts, past=past, when=setting.when, news=setting.news)


def _junit(_: TextIO, setting: Setting) -> Format:
    return JunitFormat(setting.texts, fail_on=None if setting.fail_on == "never" else setting.fail_on)


FORMATS: dict[ReportName, Callable[[TextIO, Setting], Format]] = {
    "table": _table,
    "json": lambda _, __: JsonFormat(),
    "jsonl": lambda _, __: JsonLinesFormat(),
    "csv": lambda _, __: CsvFormat(),
    "markdown": lambda _, setting: MarkdownFormat(setting.texts),
    "html": _html,
    "github": lambda _, setting: GithubFormat(setting.texts),
    "junit": _junit,
    "sarif": lambda _, setting: SarifFormat(setting.texts, source=setting.source),
}


@frozen
class Output:
    """A format and where its text goes."""

    form: Format
    stream: TextIO

    def start(self) -> None:
        self._write(self.form.start())

    def row(self, row: Row) -> None:
        self._write(self.form.row(row))

    def end(self, summary: Summary) -> None:
        self._write(self.form.end(summary))

    def _write(self, text: str) -> None:
        if text:
            self.stream.write(text)
            self.stream.flush()  # whoever reads along sees every row at once, and a closed pipe is noticed


def ready(report: Report) -> None:
    """Raises OutputFileError where a report cannot be written, or two would be written into one file. Writes none."""
    for path, option in ((report.output, "--output"), (report.html, "--html")):
        if path is not None:
            try_out(path, option)
    if report.output and report.html and report.output.absolute() == report.html.absolute():
        raise OutputFileError(f"--output and --html both name {report.html}: one would spoil the other")


def outputs(report: Report, stream: TextIO, setting: Setting, stack: AsyncExitStack) -> list[Output]:
    """The report, and the HTML file beside it where there shall be one. Raises OutputFileError, MissingExtraError."""
    made = [Output(FORMATS[report.format](stream, setting), stream)]
    if report.html is not None:
        page = stack.enter_context(destination(report.html, "--html"))
        made.append(Output(_html(page, setting), page))
    return made


def _plan_table(workspaces: Sequence[Workspace], stream: TextIO) -> str:
    shown, table = look(stream), columns("workspace", "key", "tags", "expected domains")
    for each in workspaces:
        cells = (each.name, str(each.key), " ".join(each.tags), " ".join(each.expect or ()))
        table.add_row(*(cell(text) for text in cells))
    return rendered([table], width=shown.width, color=shown.color)


def _json(workspaces: Sequence[Workspace], _: TextIO) -> str:
    return json_text({"workspaces": [workspace_document(each) for each in workspaces]}, indent=True) + "\n"


def _jsonl(workspaces: Sequence[Workspace], _: TextIO) -> str:
    return "".join(json_text(workspace_document(each)) + "\n" for each in workspaces)


PLANS: dict[str, Callable[[Sequence[Workspace], TextIO], str]] = {"json": _json, "jsonl": _jsonl}


def plan(name: str, workspaces: Sequence[Workspace], stream: TextIO) -> str:
    """In the format of this name where a plan has it, else as a table."""
    return PLANS.get(name, _plan_table)(workspaces, stream)


NAMES_KEPT = 3


@define
class Result:
    """What is left of an audit when its rows are written. `elapsed` is in seconds.

    `failing` names a few workspaces that were not fully audited, `worst` those with the gravest findings.
    """

    summary: Summary = Factory(Summary)
    failing: list[str] = Factory(list)
    elapsed: float = 0.0
    _blocks: Worst[Block] = Factory(lambda: Worst(NAMES_KEPT))

    @property
    def worst(self) -> list[str]:
        return [each.workspace for each in self._blocks.items()]

    def add(self, row: Row) -> None:
        self.summary.add(row)
        if row.findings:
            self._blocks.add(Block.of(row))
        if row.error and len(self.failing) < NAMES_KEPT:
            self.failing.append(row.workspace)


async def write_report(
    rows: AsyncGenerator[Row, None], outputs: Sequence[Output], progress: AuditProgress, total: int
) -> Result:
    """Writes every row as it comes, and returns the totals.

    Where it ends early, because the rows do or because it is cancelled (Ctrl-C), the formats are closed all the same,
    and `summary.interrupted` is True.
    """
    result = Result()
    for output in outputs:
        output.start()
    try:
        with progress:
            async with aclosing(rows):
                async for row in rows:
                    for output in outputs:
                        output.row(row)
                    result.add(row)
                    progress.show(result.summary)
    except CancelledError:
        current_task().uncancel()  # type: ignore[union-attr]  # so that what is left to do can be awaited
    result.elapsed = progress.elapsed
    result.summary.interrupted = result.summary.workspaces < total
    for output in outputs:
        output.end(result.summary)
    return result
