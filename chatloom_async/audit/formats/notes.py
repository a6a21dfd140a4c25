"""Turns rows into notes, one for each thing that a person should look at, and keeps the worst of them.

For formats that can show only so many.
"""

from collections.abc import Iterator

from attrs import Factory, define, field, frozen

from ..values import Row, Severity, State
from .guidance import SEVERITIES
from .visible import visible

LEVELS: dict[State, Severity] = {"ok": "info", "partial": "warning", "failed": "error"}
"""How grave it is that a workspace was not fully read: a partial one still told most of what there is."""

NOT_READ = ""
"""Stands where a finding has its rule, in a note about the workspace itself."""


@frozen
class Note:
    """One finding, or the reason why a workspace is not whole. `place` is an agent's id, or empty."""

    level: Severity
    workspace: str
    rule: str
    subject: str
    place: str
    message: str

    @property
    def gravity(self) -> tuple[object, ...]:
        """Sorts the worst first; beyond that, by name, so that two runs compare well."""
        order = SEVERITIES.index(self.level), self.rule != NOT_READ
        return *order, self.workspace, self.rule, self.place, self.subject, self.message


def notes_of(row: Row) -> Iterator[Note]:
    """What a row has to say."""
    if row.error:
        yield Note(LEVELS[row.state], row.workspace, NOT_READ, row.error.type, "", row.error.message)
    for each in row.findings:
        yield Note(each.severity, row.workspace, each.rule, each.subject, each.agent_id or "", each.message)


def told(subject: str, place: str | None, message: str) -> str:
    """The message on one line, after what it is about, unless it names that itself."""
    about = visible(subject) if subject not in message else ""
    agent = f"agent {visible(place)}" if place else ""
    lead = f"{about} ({agent})" if about and agent else about or agent
    return f"{lead}: {visible(message)}" if lead else visible(message)


@define
class Worst:
    """The worst `room` of the notes that were added, however many came; `counts` has them all."""

    room: int
    counts: dict[Severity, int] = Factory(lambda: dict.fromkeys(SEVERITIES, 0))
    _kept: list[Note] = field(factory=list, init=False)

    def add(self, note: Note) -> None:
        self.counts[note.level] += 1
        self._kept.append(note)
        if len(self._kept) > 2 * self.room:
            self._kept = self.notes()

    def notes(self) -> list[Note]:
        """The worst first."""
        return sorted(self._kept, key=lambda note: note.gravity)[: self.room]
