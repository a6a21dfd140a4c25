"""Annotations of a GitHub workflow run: what was found appears on the run's page, the worst first.

GitHub shows ten of each level for a step, so no more are written; a last line counts the others. To get the whole list
as well, write the job summary: `--format markdown --output "$GITHUB_STEP_SUMMARY"`.
"""

from collections.abc import Iterator, Sequence

from ..summary import Summary
from ..values import SEVERITIES, Row, Severity
from .ranking import NO_TEXTS, NOT_READ, Note, RuleTexts, Worst, by_gravity, counted, described, notes_of, why_and_fix
from .text import visible

SHOWN = 10
COMMANDS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "notice"}

DATA = {ord("%"): "%25", ord("\r"): "%0D", ord("\n"): "%0A"}
PROPERTY = {**DATA, ord(":"): "%3A", ord(","): "%2C"}
"""As GitHub's own toolkit escapes them. Without it, a name could begin a command of its own."""


class GithubFormat:
    """`texts`: each annotation says how to fix it."""

    def __init__(self, texts: RuleTexts = NO_TEXTS) -> None:
        self._texts = texts

    def pieces(self, rows: Sequence[Row], summary: Summary) -> Iterator[str]:
        worst = {severity: Worst[Note](SHOWN, by_gravity) for severity in SEVERITIES}
        for row in rows:
            for note in notes_of(row):
                worst[note.level].add(note)
            yield ""
        for notes in worst.values():
            yield from (f"{self._annotation(note)}\n" for note in notes.items())
        if left := sum(notes.hidden for notes in worst.values()):
            yield f"{counted(left, 'more finding')} without an annotation: GitHub shows {SHOWN} of a level.\n"

    def _annotation(self, note: Note) -> str:
        _, fix = why_and_fix(self._texts, note.rule)
        advice = f"\nHow to fix it: {visible(fix)}" if fix else ""
        title = "not fully audited" if note.rule == NOT_READ else note.rule
        text = described(note.subject, note.place, note.message) + advice
        heading = f"{visible(note.workspace)}: {visible(title)}".translate(PROPERTY)
        return f"::{COMMANDS[note.level]} title={heading}::{text.translate(DATA)}"
