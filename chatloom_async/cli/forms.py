"""Makes the formats of `chatloom audit` from what is known before the first row."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TextIO

from attrs import field, frozen

from ..audit.formats.csv import CsvFormat
from ..audit.formats.github import GithubFormat
from ..audit.formats.interface import Format
from ..audit.formats.json import JsonFormat, JsonLinesFormat
from ..audit.formats.junit import JunitFormat
from ..audit.formats.markdown import MarkdownFormat
from ..audit.formats.ranking import News, RuleTexts
from ..audit.formats.sarif import SarifFormat
from ..audit.formats.table import TableFormat
from ..audit.store import RunInfo
from ..audit.summary import Summary
from ..audit.values import Row
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
    news: News | None = None
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
