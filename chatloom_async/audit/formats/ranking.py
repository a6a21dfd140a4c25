"""Ranks findings and workspaces: the worst N of many, and notes about a row for formats that show only some."""

from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any, Generic, TypeVar

from attrs import define, field, frozen

from ..values import SEVERITIES, Row, Severity, State

T = TypeVar("T")


@define
class Worst(Generic[T]):
    """The worst `size` of the items that were added; `count` is how many were added.

    `key` sorts them, the worst first. Equals keep their order.
    """

    size: int
    key: Callable[[T], tuple[object, ...]]
    count: int = field(default=0, init=False)
    _ranked: list[tuple[Any, T]] = field(factory=list, init=False)
    _limit: Any = field(default=None, init=False)

    @property
    def hidden(self) -> int:
        """How many are not among `items`."""
        return max(0, self.count - self.size)

    def add(self, item: T) -> None:
        self.count += 1
        key = self.key(item)
        if self._limit is None or key < self._limit:
            self._ranked.append((key, item))
            if len(self._ranked) >= 2 * self.size:
                self._sort()

    def items(self) -> list[T]:
        """The worst first."""
        self._sort()
        return [item for _, item in self._ranked]

    def _sort(self) -> None:
        self._ranked = sorted(self._ranked, key=itemgetter(0))[: self.size]
        if len(self._ranked) == self.size:
            self._limit = self._ranked[-1][0]


def by_findings(row: Row) -> tuple[object, ...]:
    """Sorts rows: those with the most errors first, then warnings, then infos."""
    return tuple(-count for count in row.counts.values())


@frozen
class NewFindings:
    """The ids of the findings that the run of the number `baseline` did not have. It may grow until the report ends."""

    baseline: int
    findings: set[str]


LEVELS: dict[State, Severity] = {"ok": "info", "partial": "warning", "failed": "error"}
"""The severity of a workspace that was not fully read: a partial one still gave most of its data."""

NOT_READ = ""  # takes the place of the rule in a note about the workspace itself


@frozen
class Note:
    """One finding, or the reason why a workspace is not whole.

    `place` is an agent's id, or empty. `finding` is the id of the finding, or empty.
    """

    level: Severity
    workspace: str
    rule: str
    subject: str
    place: str
    message: str
    finding: str = ""


def by_gravity(note: Note) -> tuple[object, ...]:
    """Sorts notes, the worst first."""
    return SEVERITIES.index(note.level), note.rule != NOT_READ


def notes_of(row: Row) -> Iterator[Note]:
    """The notes about a row: why it is not whole, hosts that the DNS did not answer for, findings."""
    if row.error:
        yield Note(LEVELS[row.state], row.workspace, NOT_READ, row.error.type, "", row.error.message)
    if unread := str(row.dns or ""):
        yield Note("info", row.workspace, NOT_READ, "DNS", "", unread)
    for finding in row.findings:
        about = finding.subject, finding.agent_id or "", finding.message
        yield Note(finding.severity, row.workspace, finding.rule, *about, finding.id)
