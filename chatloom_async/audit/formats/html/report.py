"""Renders an audit as one self-contained HTML page: the worst workspaces as elements, the others as data for a script.

Every value is escaped by the template engine, and every text goes through `visible` before that, so a template can
forget neither. Style and script are the same in every report: the page's policy names them by hash and allows nothing
else.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from itertools import islice
from typing import TYPE_CHECKING, Any

from attrs import Factory, define, evolve, frozen

from ....wire.encode import json_text
from ....wire.errors import needed_by
from ...values import SEVERITIES, Row, Severity, Summary
from ..ranking import NewFindings
from ..text import NO_TEXTS, RuleTexts, counted, named, visible, why_and_fix
from .charts import PastRun, card_of, day, shares, trends

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = __name__.rpartition(".")[0]
STYLES = ("tokens.css", "page.css", "charts.css", "findings.css", "agents.css", "media.css")
SCRIPTS = ("filter.js", "sort.js", "address.js")
POLICY = (
    "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; "
    "img-src data:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; "
    "trusted-types chatloom-report"
)


def rendered(name: str, **values: Any) -> str:
    """The template's text. Raises MissingExtraError."""
    return environment().get_template(name).render(values)


@cache
def environment() -> "Environment":
    """Raises MissingExtraError if jinja2 is not installed."""
    with needed_by("The format html", "jinja2", extra="audit"):
        from jinja2 import Environment, PackageLoader, StrictUndefined
    environment = Environment(
        loader=PackageLoader(HERE),
        autoescape=True,
        auto_reload=False,  # it would look at the file again for every row
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    environment.filters["counted"] = counted
    return environment


def assets() -> dict[str, str]:
    """Style, script, and the policy that allows them; marked as HTML, since they are this package's own."""
    from markupsafe import Markup

    folder = files(HERE) / "templates"
    style, script = ("".join((folder / name).read_text("utf-8") for name in names) for names in (STYLES, SCRIPTS))
    policy = POLICY.format(style=_hash(style), script=_hash(script))
    return {"style": Markup(style), "script": Markup(script), "policy": Markup(policy)}  # noqa: S704


def _hash(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()


STATES = ("failed", "partial", "ok")  # the worst first

STATIC_SECTIONS = 50  # sections that are elements of the page, at most


@define
class RuleTotal:
    """The findings of one rule. `token` identifies it in HTML attributes, because its id may have any characters."""

    rule: str
    token: str
    severity: Severity
    findings: int = 0
    workspaces: int = 0


@define
class PageIndex:
    """Totals over the rows, and how severe each is."""

    rules: dict[str, RuleTotal] = Factory(dict)
    gravities: list[tuple[int, ...]] = Factory(list)
    erring: int = 0
    warned: int = 0
    _anchors: dict[str, int] = Factory(dict)

    def add(self, row: Row) -> None:
        """Counts it. Its rules have tokens from here on."""
        self.gravities.append(gravity_of(row))
        for finding in row.findings:
            new = RuleTotal(finding.rule, f"r{len(self.rules)}", finding.severity)
            self.rules.setdefault(finding.rule, new).findings += 1
        for rule in {finding.rule for finding in row.findings}:
            self.rules[rule].workspaces += 1
        severities = {finding.severity for finding in row.findings}
        self.erring += "error" in severities
        self.warned += "warning" in severities

    def anchor(self, identity: str) -> str:
        """The end of a finding's address `#finding-...`: its id, made unique if two rows have the same."""
        plain = re.sub("[^a-zA-Z0-9]", "-", identity)
        self._anchors[plain] = again = self._anchors.get(plain, 0) + 1
        return plain if again == 1 else f"{plain}-{again}"

    def worst_first(self) -> list[int]:
        """The numbers of the rows, sorted. Equals keep their order."""
        return sorted(range(len(self.gravities)), key=self.gravities.__getitem__)

    def sorted_rules(self) -> list[RuleTotal]:
        """The rules that found something, the gravest and most frequent first."""
        totals = self.rules.values()
        return sorted(totals, key=lambda total: (SEVERITIES.index(total.severity), -total.findings, total.rule))


def gravity_of(row: Row) -> tuple[int, ...]:
    """Sorts rows: errors, then what was not read, warnings, infos; the more of them, the further up."""
    counts = row.counts
    worst = 0 if counts["error"] else 1 if row.state == "failed" else 2 if row.error or counts["warning"] else 3
    return worst, *(-number for number in counts.values()), STATES.index(row.state)


def section(number: int, row: Row, index: PageIndex, news: NewFindings | None) -> str:
    """The section without its end: cards may follow."""
    new = news.findings if news else ()
    findings = [(finding, index.anchor(finding.id), index.rules[finding.rule].token) for finding in row.findings]
    return rendered("workspace.html", **_values(number, row), findings=findings, names=row.names, new=new)


def cards(row: Row) -> str:
    """A folded card for each agent; "" if there is none."""
    if not row.agents:
        return ""
    return rendered("agents.html", row=row, cards=map(card_of, row.agents), flags=_flags(row))


def line(number: int, row: Row, index: PageIndex) -> str:
    """One line of the table."""
    tokens = sorted({index.rules[finding.rule].token for finding in row.findings})
    return rendered("line.html", **_values(number, row), counts=row.counts, tokens=tokens)


def data_line(row: Row, index: PageIndex) -> list[object]:
    """The same as data: the cells of the table, and the tokens of the rules."""
    tokens = " ".join(sorted({index.rules[finding.rule].token for finding in row.findings}))
    counts = (len(row.agents), row.domain_count, *row.counts.values(), row.requests)
    return [visible(row.workspace), row.state, *counts, tokens]


def _data(values: Iterable[object]) -> Iterator[str]:
    """The members of a JSON array, in which nothing can end the script element that they stand in."""
    separator = ""
    for value in values:
        yield separator + json_text(value).replace("<", "\\u003c")
        separator = ",\n"


def _values(number: int, row: Row) -> dict[str, Any]:
    return {"number": number, "row": row, "domains": row.domain_count}


def _flags(row: Row) -> dict[tuple[str | None, str], Severity]:
    """The gravest severity of the findings about each domain of an agent."""
    worst_last = sorted(row.findings, key=lambda finding: -SEVERITIES.index(finding.severity))
    return {(finding.agent_id, finding.subject): finding.severity for finding in worst_last}


@frozen(kw_only=True)
class Room:
    """Characters that the sections, and the agents' cards in them, may take. The table comes on top, with about 80 for
    every workspace.

    `findings` and `lines` are in the page as elements, so that they are there without scripts and can be printed: the
    sections with the first of so many findings, and so many lines of the table. The rest is data; the script
    creates its elements when they are needed.
    """

    sections: int = 6_000_000
    cards: int = 4_000_000
    findings: int = 100
    lines: int = 100


class HtmlFormat:
    """`texts`: what the rules are for. `past`: earlier runs, for a trend. `when`: the moment of this run.
    `news`: which findings an earlier run did not have; they are marked. `fictional`: the page says that its data is.
    Raises MissingExtraError.
    """

    def __init__(
        self,
        texts: RuleTexts = NO_TEXTS,
        *,
        past: Sequence[PastRun] = (),
        when: datetime | None = None,
        news: NewFindings | None = None,
        fictional: bool = False,
        room: Room = Room(),
    ) -> None:
        environment()
        self._texts, self._past, self._when, self._news, self._room = texts, past, when, news, room
        self._fictional = fictional

    def pieces(self, rows: Sequence[Row], summary: Summary) -> Iterator[str]:
        index = PageIndex()
        for row in rows:
            index.add(row)
            yield ""
        sections: list[tuple[int, str]] = []
        findings, static, room = 0, 0, self._room
        for number in index.worst_first():
            row = rows[number]
            text, folded = section(number, row, index, self._news), ""
            if (room := evolve(room, sections=room.sections - len(text))).sections < 0:
                break
            if room.cards > 0:
                folded = cards(row)
                room = evolve(room, cards=room.cards - len(folded))
            static += findings < room.findings and len(sections) < STATIC_SECTIONS
            sections.append((number, text + folded + "</article>\n"))
            findings += len(row.findings)
            yield ""
        yield self._head(summary, index, len(sections), findings)
        yield from (text for _, text in sections[:static])
        yield rendered("table.html", workspaces=len(rows), sections=len(sections), static=static)
        lines = [line(number, row, index) for number, row in enumerate(islice(rows, room.lines))]
        yield from lines
        yield rendered("table-end.html", workspaces=len(rows), lines=len(lines))
        yield f'<script type="application/json" id="data">{{"findings": {findings}, "sections": ['
        yield from _data(sections)
        yield '], "lines": ['
        yield from _data(data_line(row, index) for row in rows)
        yield "]}</script>\n"
        yield rendered("foot.html", **assets())

    def _head(self, summary: Summary, index: PageIndex, shown: int, findings: int) -> str:
        rules = [(total, *why_and_fix(self._texts, total.rule)) for total in index.sorted_rules()]
        now: list[PastRun] = [(self._when, summary.error, summary.warning, summary.info)] if self._when else []
        return rendered(
            "head.html",
            **assets(),
            **_bars(summary),
            summary=summary,
            index=index,
            when=day(self._when) if self._when else "",
            rules=rules,
            most=max((total.findings for total, _, _ in rules), default=0),
            trends=trends([*self._past, *now]),
            shown=shown,
            listed=findings,
            news=self._news,
            fictional=self._fictional,
        )


def _bars(summary: Summary) -> dict[str, object]:
    return {
        "findings": shares(
            ("error", named(summary.error, "error"), summary.error),
            ("warning", named(summary.warning, "warning"), summary.warning),
            ("info", "info", summary.info),
        ),
        "workspaces": shares(
            ("ok", "ok", summary.ok), ("partial", "partial", summary.partial), ("failed", "failed", summary.failed)
        ),
        "agents": shares(
            ("ok", "read", summary.read), ("partial", "unread", summary.unread), ("gone", "gone", summary.gone)
        ),
    }
