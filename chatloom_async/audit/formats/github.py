"""Annotations of a GitHub workflow run: what was found appears on the run's page, the worst first.

GitHub shows ten of each level for a step, so no more are written; a last line counts the others. To get the whole list
as well, write the job summary: `--format markdown --output "$GITHUB_STEP_SUMMARY"`.
"""

from collections.abc import Iterator, Sequence

from ..summary import Summary
from ..values import SEVERITIES, Row, Severity
from .ranking import (
    NO_TEXTS,
    NOT_READ,
    NewFindings,
    Note,
    RuleTexts,
    Worst,
    by_gravity,
    counted,
    described,
    notes_of,
    why_and_fix,
)
from .text import visible

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
