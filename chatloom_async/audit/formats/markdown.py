"""Markdown for a comment or a job summary on GitHub: the totals, the worst that was found, and how to fix it.

It fits what GitHub takes, and says what it leaves out. Text from outside is inert: no markup, link, mention or HTML.
"""

import re
from collections.abc import Iterator, Sequence

from ..summary import Summary
from ..values import Row
from .ranking import NO_TEXTS, NOT_READ, Note, RuleTexts, Worst, by_gravity, counted, notes_of, why_and_fix
from .text import visible

LIMIT = 65_536
"""Characters, GitHub's limit for a comment; a job summary may be longer."""

LINES = 1000  # of the table; more do not fit, since each has at least sixty characters
CLOSING = 300  # characters for the note about omitted parts
CELL = 400  # characters of one text: a long one must not push the others out
MARKUP = re.compile(r"([\\`*_\[\]<>|~&$])")  # no text stands at the start of a line, so that these are all
LINKING = re.compile(r"(@|#|:(?=//)|\bwww(?=\.)|\bgh(?=-))", re.IGNORECASE)
"""Begins what GitHub makes a link of, escaped or not: people, issues, addresses. A blank of no width stops it."""

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
        yield from self._fitting(list(_totals(summary)), worst.items(), worst.count)

    def _fitting(self, pieces: list[str], notes: list[Note], count: int) -> Iterator[str]:
        """As much as there is room for: the table, and behind it the advice for the rules in it."""
        yield from pieces
        room = self._limit - CLOSING - sum(map(len, pieces))
        if notes:
            pieces = ["\n| Severity | Workspace | Rule | Finding |\n| --- | --- | --- | --- |\n", *map(_line, notes)]
            kept = _prefix(pieces, room)
            yield from kept
            room -= sum(map(len, kept))
            told = dict.fromkeys(note.rule for note in notes[: len(kept) - 1])
            advice = [self._advice(rule) for rule in told if rule in self._texts]
            explained = _prefix(advice, room)
            yield from explained
            yield _left_out(count - len(kept) + 1, len(advice) - len(explained))

    def _advice(self, rule: str) -> str:
        why, fix = (_text(each) for each in why_and_fix(self._texts, rule))
        return f"\n**{_text(rule)}**: {why}\n*How to fix it:* {fix}\n"


def _totals(summary: Summary) -> Iterator[str]:
    counts = (counted(summary.error, "error"), counted(summary.warning, "warning"), f"{summary.info:,} info")
    states = ", ".join(f"{number:,} {name}" for name, number in _states(summary) if number)
    yield f"## Chatloom audit\n\n**{', '.join(counts)}** in {counted(summary.workspaces, 'workspace')}"
    yield f"{f' ({states})' if states else ''}, {counted(summary.agents, 'agent')} and "
    yield f"{counted(summary.domains, 'allowed domain')}.\n"
    if summary.interrupted:
        yield "\nThe audit was interrupted: some workspaces are missing.\n"


def _states(summary: Summary) -> tuple[tuple[str, int], ...]:
    return ("ok", summary.ok), ("partial", summary.partial), ("failed", summary.failed)


def _line(note: Note) -> str:
    rule = "not fully audited" if note.rule == NOT_READ else _code(note.rule)
    place = f" (agent {_code(note.place)})" if note.place else ""
    subject = f"{_code(note.subject)}: " if note.subject and note.subject not in note.message else ""
    finding = f"{subject}{_text(note.message)}{place}"
    return f"| {ICONS[note.level]} {note.level} | {_code(note.workspace)} | {rule} | {finding} |\n"


def _left_out(findings: int, rules: int) -> str:
    parts = (findings and counted(findings, "finding"), rules and f"the advice for {counted(rules, 'rule')}")
    told = " and ".join(part for part in parts if part)
    return f"\nLeft out for lack of room: {told}. The format json has all.\n" if told else ""


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
    return LINKING.sub(r"\1&#8203;", MARKUP.sub(r"\\\1", visible(text, CELL).strip()))
