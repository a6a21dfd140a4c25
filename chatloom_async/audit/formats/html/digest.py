"""Turns rows into what is kept of them until the end: where they are parked, and what the page's head adds up."""

from attrs import Factory, define, frozen

from ...values import Row, Severity
from ..guidance import SEVERITIES
from .spool import Piece

STATES = ("failed", "partial", "ok")  # the worst first


@define
class RuleTotal:
    """What one rule found. `token` stands for it in attributes, whatever its id is made of."""

    rule: str
    token: str
    severity: Severity
    findings: int = 0
    workspaces: int = 0


@frozen
class Entry:
    """One row: what it is sorted by, its number in the order in which rows came, and where it is parked."""

    gravity: tuple[object, ...]
    number: int
    parked: Piece


@define
class Digest:
    """Totals over the rows, and their entries."""

    rules: dict[str, RuleTotal] = Factory(dict)
    entries: list[Entry] = Factory(list)
    erring: int = 0
    warned: int = 0
    _anchors: dict[str, int] = Factory(dict)

    def add(self, row: Row, parked: Piece) -> None:
        """Counts it. Its rules have tokens from here on."""
        self.entries.append(Entry(gravity_of(row), len(self.entries), parked))
        for each in row.findings:
            total = self.rules.setdefault(each.rule, RuleTotal(each.rule, f"r{len(self.rules)}", each.severity))
            total.findings += 1
        for rule in {each.rule for each in row.findings}:
            self.rules[rule].workspaces += 1
        found = {each.severity for each in row.findings}
        self.erring += "error" in found
        self.warned += "warning" in found

    def anchor(self, identity: str) -> str:
        """The part of a finding's address behind `#finding-`: its id, made unique where two rows have the same."""
        plain = "".join(each if each.isascii() and each.isalnum() else "-" for each in identity)
        self._anchors[plain] = again = self._anchors.get(plain, 0) + 1
        return plain if again == 1 else f"{plain}-{again}"

    def worst_first(self) -> list[Entry]:
        """The entries."""
        return sorted(self.entries, key=lambda entry: entry.gravity)

    def sorted_rules(self) -> list[RuleTotal]:
        """Of the rules that found something, the gravest and most frequent first."""
        return sorted(
            self.rules.values(), key=lambda each: (SEVERITIES.index(each.severity), -each.findings, each.rule)
        )


def counts_of(row: Row) -> dict[str, int]:
    """The findings by severity, the worst first."""
    return {severity: sum(each.severity == severity for each in row.findings) for severity in SEVERITIES}


def gravity_of(row: Row) -> tuple[object, ...]:
    """Sorts rows: errors, then what was not read, warnings, infos; the more of them, the further up."""
    counts = counts_of(row)
    worst = 0 if counts["error"] else 1 if row.state == "failed" else 2 if row.error or counts["warning"] else 3
    fewest = [-number for number in counts.values()]
    return worst, *fewest, STATES.index(row.state), row.workspace
