"""The totals of an audit and its verdict: the exit status."""

from collections import Counter

from attrs import Factory, define

from .formats.ranking import Worst
from .values import FailOn, Row, Severity, Summary, at_or_above

NAMES_SHOWN = 3
"""Workspaces that an outcome names; the others are only counted."""


def _by_totals(named: tuple[str, Summary]) -> tuple[object, ...]:
    """Sorts the totals of rows: those with the most errors first, then warnings, then infos; equals by name."""
    workspace, totals = named
    return -totals.error, -totals.warning, -totals.info, workspace


@define
class AuditOutcome:
    """The totals of an audit and its verdict. It grows with every row.

    `planned` workspaces were to be read. `summary` counts the rows as reported, `resumed` those of them that an
    earlier part of the run had left. `muted` findings are in neither. `new` counts the findings that are neither muted
    nor in the baseline: they decide the exit status. `failing` names a few workspaces that were not fully read,
    `worst` a few with the worst findings. `elapsed` is in seconds, `run` the number of the run in the database.
    `cause` says why the workspace that failed last could not be read.
    """

    planned: int
    fail_on: FailOn
    run: int | None = None
    baseline: int | None = None
    summary: Summary = Factory(Summary)
    resumed: Summary = Factory(Summary)
    new: Counter[Severity] = Factory(Counter)
    muted: int = 0
    unused_mutes: tuple[str, ...] = ()
    failing: list[str] = Factory(list)
    stopped: bool = False
    elapsed: float = 0.0
    cause: str = ""
    _worst: Worst[tuple[str, Summary]] = Factory(lambda: Worst(2 * NAMES_SHOWN, _by_totals))

    @property
    def worst(self) -> list[str]:
        names = dict.fromkeys(name for name, _ in self._worst.items())  # a row that was replaced is there twice
        return list(names)[:NAMES_SHOWN]

    @property
    def gating(self) -> int:
        """How many new findings are at least as severe as `fail_on`."""
        return 0 if self.fail_on == "never" else sum(self.new[severity] for severity in at_or_above(self.fail_on))

    @property
    def exit_status(self) -> int:
        """0 clean, 1 findings that count, 3 some workspaces not fully read, 4 none read, 130 stopped on request."""
        summary = self.summary
        if self.stopped and summary.interrupted:
            return 130
        if summary.failed == summary.workspaces:
            return 4
        if summary.failed or summary.partial or summary.interrupted:
            return 3
        return 1 if self.gating else 0

    def add(self, workspace: str, totals: Summary) -> None:
        """Counts one reported row."""
        self.summary.include(totals)
        if totals.findings:
            self._worst.add((workspace, totals))
        if not totals.ok:
            self.failing = sorted([*self.failing, workspace])[:NAMES_SHOWN]

    def replace(self, row: Row, changed: Row) -> None:
        """Counts the row with other findings than before."""
        self.summary.replace_findings(row.findings, changed.findings)
        self._worst.add((changed.workspace, Summary.of(changed)))
