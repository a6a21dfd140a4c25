"""Two formats for GitHub: Markdown for a comment or a job summary, and annotations of a workflow run.

Both show the worst findings and say how many they leave out. Text from outside is inert: it is not markup, a link, a
mention, HTML or a command of the runner.
"""

import re
from collections.abc import Iterator, Sequence
from typing import get_args

from ..values import SEVERITIES, Row, Severity, State, Summary
from .ranking import NOT_READ, NewFindings, Note, Worst, by_gravity, notes_of
from .text import NO_TEXTS, RuleTexts, counted, described, visible, why_and_fix

LIMIT = 65_536  # characters, GitHub's limit for a comment; a job summary may be longer
LINES = 1000  # of the table; more do not fit, since each has at least sixty characters
CLOSING = 300  # characters for the note about omitted parts
CELL = 400  # characters of one text: a long one must not push the others out
MARKUP = re.compile(r"([\\`*_\[\]<>|~&$])")  # no text stands at the start of a line, so that these are all
LINKING = re.compile(r"(@|#|:(?=//)|\bwww(?=\.)|\bgh(?=-))", re.IGNORECASE)
"""Begins what GitHub makes a link of, escaped or not: people, issues, addresses. A blank of no width stops it."""

QUOTED = re.compile(r'"([^"]*)"')

ICONS = {"error": "\U0001f534", "warning": "\U0001f7e1", "info": "\U0001f535"}  # next to the word, never instead of it


class MarkdownFormat:
    """At most `limit` characters."""

    def __init__(self, texts: RuleTexts = NO_TEXTS, *, limit: int = LIMIT) -> None:
        self._texts, self._limit = texts, limit

    def pieces(self, rows: Sequence[Row], summary: Summary) -> Iterator[str]:
        worst = Worst[Note](LINES, by_gravity)
        for row in rows:
            for note in notes_of(row):
                worst.add(note)
            yield ""
        totals = list(_totals(summary))
        yield from totals
        room = self._limit - CLOSING - sum(map(len, totals))
        if notes := worst.items():  # as much as fits: the table, then the advice for the rules in it
            pieces = ["\n| Severity | Workspace | Rule | Finding |\n| --- | --- | --- | --- |\n", *map(_line, notes)]
            table = _prefix(pieces, room)
            yield from table
            room -= sum(map(len, table))
            rules = dict.fromkeys(note.rule for note in notes[: len(table) - 1])
            advice = [self._advice(rule) for rule in rules if rule in self._texts]
            explained = _prefix(advice, room)
            yield from explained
            yield _left_out(worst.count - len(table) + 1, len(advice) - len(explained))

    def _advice(self, rule: str) -> str:
        why, fix = map(_text, why_and_fix(self._texts, rule))
        return f"\n**{_text(rule)}**: {why}\n*How to fix it:* {fix}\n"


def _totals(summary: Summary) -> Iterator[str]:
    counts = (counted(summary.error, "error"), counted(summary.warning, "warning"), f"{summary.info:,} info")
    states = ", ".join(f"{number:,} {name}" for name in get_args(State) if (number := getattr(summary, name)))
    yield f"## Chatloom audit\n\n**{', '.join(counts)}** in {counted(summary.workspaces, 'workspace')}"
    yield f"{f' ({states})' if states else ''}, {counted(summary.agents, 'agent')} and "
    yield f"{counted(summary.domains, 'allowed domain')}.\n"
    if summary.interrupted:
        yield "\nThe audit was interrupted: some workspaces are missing.\n"


def _line(note: Note) -> str:
    rule = "not fully audited" if note.rule == NOT_READ else _code(note.rule)
    place = f" (agent {_code(note.place)})" if note.place else ""
    subject = f"{_code(note.subject)}: " if note.subject and note.subject not in note.message else ""
    finding = f"{subject}{_text(note.message)}{place}"
    return f"| {ICONS[note.level]} {note.level} | {_code(note.workspace)} | {rule} | {finding} |\n"


def _left_out(findings: int, rules: int) -> str:
    parts = (findings and counted(findings, "finding"), rules and f"the advice for {counted(rules, 'rule')}")
    omitted = " and ".join(part for part in parts if part)
    return f"\nLeft out for lack of room: {omitted}. The format json has all.\n" if omitted else ""


def _prefix(pieces: list[str], room: int) -> list[str]:
    """Those of the first pieces that fit together."""
    for count, piece in enumerate(pieces):
        room -= len(piece)
        if room < 0:
            return pieces[:count]
    return pieces


def code_span(text: str, limit: int = CELL) -> str:
    """The text as a code span, in which nothing is markup: fenced by more backticks than it has in a row."""
    text = visible(text, limit).strip()
    if not text:
        return "(empty)"
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    blank = " " if "`" in (text[0], text[-1]) else ""
    return f"{fence}{blank}{text}{blank}{fence}"


def _code(text: str) -> str:
    """A code span in a table, whose bars are escaped."""
    return code_span(text).replace("|", "\\|")


def _text(text: str) -> str:
    """A sentence. What it quotes is a code span, so that e.g. a domain can be copied as it is."""
    pieces = QUOTED.split(visible(text, CELL).strip())
    return "".join(_code(piece) if place % 2 else _inert(piece) for place, piece in enumerate(pieces))


def _inert(text: str) -> str:
    return LINKING.sub(r"\1&#8203;", MARKUP.sub(r"\\\1", text))


SHOWN = 10
COMMANDS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "notice"}

DATA = {ord("%"): "%25", ord("\r"): "%0D", ord("\n"): "%0A"}
PROPERTY = {**DATA, ord(":"): "%3A", ord(","): "%2C"}
"""As GitHub's own toolkit escapes them. Without it, a name could begin a command of its own."""


class GithubFormat:
    """`texts`: each annotation says how to fix it.

    `news`: which findings the baseline did not have. They are marked as new; the others are notices, whatever their
    severity, and come last.
    """

    def __init__(self, texts: RuleTexts = NO_TEXTS, *, news: NewFindings | None = None) -> None:
        self._texts, self._news = texts, news

    def pieces(self, rows: Sequence[Row], summary: Summary) -> Iterator[str]:
        worst: dict[Severity, Worst[Note]] = {level: Worst(SHOWN, self._rank) for level in SEVERITIES}
        for row in rows:
            for note in notes_of(row):
                worst["info" if self._is_known(note) else note.level].add(note)
            yield ""
        for level, notes in worst.items():
            yield from (f"{self._annotation(level, note)}\n" for note in notes.items())
        if left := sum(notes.hidden for notes in worst.values()):
            yield f"{counted(left, 'more finding')} without an annotation: GitHub shows {SHOWN} of a level.\n"

    def _is_known(self, note: Note) -> bool:
        """Whether the baseline had the finding, too."""
        return self._news is not None and note.rule != NOT_READ and note.finding not in self._news.findings

    def _rank(self, note: Note) -> tuple[object, ...]:
        return self._is_known(note), by_gravity(note)

    def _annotation(self, level: Severity, note: Note) -> str:
        _, fix = why_and_fix(self._texts, note.rule)
        advice = f"\nHow to fix it: {visible(fix)}" if fix else ""
        new = "" if self._news is None or note.rule == NOT_READ or self._is_known(note) else "new "
        title = "not fully audited" if note.rule == NOT_READ else f"{new}{visible(note.rule)}"
        text = described(note.subject, note.place, note.message) + advice
        heading = f"{visible(note.workspace)}: {title}".translate(PROPERTY)
        return f"::{COMMANDS[level]} title={heading}::{text.translate(DATA)}"
