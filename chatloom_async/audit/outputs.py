"""Reports and where they are written to: the formats by name, what a format may use, and an output.

Everything here is about text. `session.py` decides which rows a report holds, and when it is written.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Protocol, cast

from attrs import field, frozen

from .formats.data import CsvFormat, JsonFormat, JsonLinesFormat
from .formats.github import GithubFormat, MarkdownFormat
from .formats.interface import Format, StreamFormat
from .formats.junit import JunitFormat
from .formats.ranking import NewFindings
from .formats.sarif import SarifFormat
from .formats.table import TableFormat
from .formats.text import RuleTexts
from .rules import Rule
from .store import RunInfo
from .values import FailOn, FormatName, Row, Summary

SLICE = 0.02  # seconds that reports are written without a pause for other tasks
AT_ONCE = 1 << 16  # characters that are written together: a stream may be a system call each time


def rule_texts(rules: Iterable[Rule]) -> RuleTexts:
    """What reports say about these rules, by id."""
    return {rule.id: (rule.severity, rule.why, rule.fix) for rule in rules}


@frozen(kw_only=True)
class FormatContext:
    """What a format may use besides the rows.

    `past` are the earlier runs of the database, `source` is the file of workspaces and `lines` the line of each in it.
    `news` says which findings the baseline did not have, `warn` is called with what a report leaves out. `to_file`
    is for a file that people open, rather than a pipe. `width` (columns) and `color` describe a terminal; None is as
    wide as needed. `fictional`: the workspaces are those of a sandbox, which the HTML report says.
    """

    texts: RuleTexts
    fail_on: FailOn
    past: Sequence[RunInfo] = ()
    source: str | None = None
    lines: Mapping[str, int] = MappingProxyType({})
    news: NewFindings | None = None
    warn: Callable[[str], None] = lambda _: None
    to_file: bool = False
    fictional: bool = False
    width: int | None = None
    color: bool = False
    when: datetime = field(factory=lambda: datetime.now(UTC))


def _html(context: FormatContext) -> Format:
    from .formats.html.report import HtmlFormat  # jinja2 is slow to import

    past = [(run.started, run.error, run.warning, run.info) for run in context.past if run.state == "finished"]
    return HtmlFormat(context.texts, past=past, when=context.when, news=context.news, fictional=context.fictional)


FORMATS: dict[FormatName, Callable[[FormatContext], Format | StreamFormat]] = {
    "table": lambda context: TableFormat(context.texts, width=context.width, color=context.color, news=context.news),
    "json": lambda _: JsonFormat(),
    "jsonl": lambda _: JsonLinesFormat(),
    "csv": lambda context: CsvFormat(bom=context.to_file),
    "markdown": lambda context: MarkdownFormat(context.texts),
    "html": _html,
    "github": lambda context: GithubFormat(context.texts, news=context.news),
    "junit": lambda context: JunitFormat(
        context.texts, fail_on=None if context.fail_on == "never" else context.fail_on
    ),
    "sarif": lambda context: SarifFormat(
        context.texts, source=context.source, lines=context.lines, news=context.news, warn=context.warn
    ),
}


def make_format(name: FormatName, context: FormatContext) -> Format | StreamFormat:
    """A new report of this format. Raises MissingExtraError if it needs a package that is not installed."""
    return FORMATS[name](context)


class TextTarget(Protocol):
    """A text stream, as far as a report needs one."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


@frozen
class Output:
    """A report and where its text goes. `complete` is called after the last piece, e.g. to put a file in its place."""

    report: Format | StreamFormat
    stream: TextTarget
    complete: Callable[[], None] = lambda: None

    @property
    def streams(self) -> bool:
        """Whether rows are written as soon as they are read."""
        return isinstance(self.report, JsonLinesFormat)

    def write_row(self, row: Row) -> None:
        """Writes the row of a format that `streams`. A reader sees it without delay."""
        self.stream.write(cast(JsonLinesFormat, self.report).line(row))
        self.stream.flush()

    async def write(self, rows: Sequence[Row], summary: Summary) -> None:
        """Writes the whole report, unless its rows are written already. Other tasks run in between."""
        paused = time.monotonic()
        text, size = list[str](), 0
        for piece in () if self.streams else cast(Format, self.report).pieces(rows, summary):
            text.append(piece)
            size += len(piece)
            if size >= AT_ONCE:
                self.stream.write("".join(text))
                text, size = [], 0
            if time.monotonic() - paused > SLICE:
                await asyncio.sleep(0)
                paused = time.monotonic()
        if text:
            self.stream.write("".join(text))
        self.stream.flush()
        self.complete()
