"""One self-contained HTML page. Rendered pieces wait in a spool on disk, so memory does not grow with the fleet."""

import pickle
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import Any

from attrs import Factory, define, frozen

from ...summary import Summary
from ...values import SEVERITIES, Row, Severity
from ..ranking import NO_TEXTS, NewFindings, RuleTexts, named, why_and_fix
from .charts import PastRun, card_of, day, shares, trends
from .pages import assets, environment, rendered

ROOM = 4 << 20  # enough for some hundred workspaces, which then never touch the disk


@frozen
class Piece:
    """Where something is parked, in bytes."""

    start: int
    size: int


class Spool:
    """Close it when the pieces have been taken; the file, which never had a name, is gone then."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(ROOM)  # noqa: SIM115 - closed by close()
        self._end = 0

    def park(self, raw: bytes) -> Piece:
        self._file.seek(self._end)
        self._file.write(raw)
        piece = Piece(self._end, len(raw))
        self._end += len(raw)
        return piece

    def take(self, piece: Piece) -> bytes:
        self._file.seek(piece.start)
        return self._file.read(piece.size)

    def park_row(self, row: Row) -> Piece:
        return self.park(pickle.dumps(row, pickle.HIGHEST_PROTOCOL))

    def take_row(self, piece: Piece) -> Row:
        row: Row = pickle.loads(self.take(piece))  # noqa: S301 - nobody else can write this file
        return row

    def close(self) -> None:
        self._file.close()


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


def gravity_of(row: Row) -> tuple[object, ...]:
    """Sorts rows: errors, then what was not read, warnings, infos; the more of them, the further up."""
    counts = row.counts
    worst = 0 if counts["error"] else 1 if row.state == "failed" else 2 if row.error or counts["warning"] else 3
    fewest = [-number for number in counts.values()]
    return worst, *fewest, STATES.index(row.state), row.workspace


def section(entry: Entry, row: Row, digest: Digest, news: NewFindings | None) -> str:
    """The section, whose end is missing: cards may follow."""
    new = news.findings if news else ()
    findings = [(each, digest.anchor(each.id), digest.rules[each.rule].token) for each in row.findings]
    return rendered("workspace.html", **_values(entry, row), findings=findings, names=row.names, new=new)


def cards(row: Row) -> str:
    """A card for each agent, folded; nothing where there is none."""
    if not row.agents:
        return ""
    return rendered("agents.html", row=row, cards=map(card_of, row.agents), flags=_flags(row))


def line(entry: Entry, row: Row, digest: Digest) -> str:
    """One line."""
    tokens = sorted({digest.rules[each.rule].token for each in row.findings})
    return rendered("line.html", **_values(entry, row), counts=row.counts, tokens=tokens)


def _values(entry: Entry, row: Row) -> dict[str, Any]:
    return {"number": entry.number, "row": row, "domains": row.domain_count}


def _flags(row: Row) -> dict[tuple[str | None, str], Severity]:
    """The gravest that was found about an agent's domain."""
    worst_last = sorted(row.findings, key=lambda each: -SEVERITIES.index(each.severity))
    return {(each.agent_id, each.subject): each.severity for each in worst_last}


__all__ = ["HtmlFormat", "PastRun", "Room"]


@frozen(kw_only=True)
class Room:
    """Bytes that the sections, and the agents' cards in them, may take. The table comes on top, with a line for every
    workspace, of 20,000 of them about 5 MB."""

    sections: int = 6_000_000
    cards: int = 4_000_000


@define
class Shown:
    """The sections that have room, parked in their order, and how many findings they tell."""

    pieces: list[Piece]
    findings: int = 0


class HtmlFormat:
    """`texts`: what is told of the rules. `past`: earlier runs, for a trend. `when`: the moment of this run.
    `news`: which findings an earlier run did not have; they are marked.

    `start` and `row` return nothing; `pieces` is `end` without a text as large as the page. Raises MissingExtraError.
    """

    def __init__(
        self,
        texts: RuleTexts = NO_TEXTS,
        *,
        past: Sequence[PastRun] = (),
        when: datetime | None = None,
        news: NewFindings | None = None,
        room: Room = Room(),
    ) -> None:
        environment()
        self._texts, self._past, self._when, self._news, self._room = texts, past, when, news, room
        self._digest, self._rows = Digest(), Spool()

    def start(self) -> str:
        return ""

    def row(self, row: Row) -> str:
        self._digest.add(row, self._rows.park_row(row))
        return ""

    def end(self, summary: Summary) -> str:
        return "".join(self.pieces(summary))

    def pieces(self, summary: Summary) -> Iterator[str]:
        """The page. Can be taken once."""
        entries = self._digest.worst_first()
        with closing(self._rows), closing(Spool()) as sections:
            shown = self._park_sections(entries, sections)
            yield self._head(summary, shown)
            for piece in shown.pieces:
                yield sections.take(piece).decode()
            yield rendered("table.html", workspaces=len(entries))
            for entry in entries:
                yield line(entry, self._rows.take_row(entry.parked), self._digest)
            yield rendered("foot.html", **assets())

    def _park_sections(self, entries: list[Entry], spool: Spool) -> Shown:
        """The first that has no room ends it; cards are left out before that."""
        shown, room, cards_room = Shown([]), self._room.sections, self._room.cards
        for entry in entries:
            row = self._rows.take_row(entry.parked)
            raw, cards_raw = _raw(section(entry, row, self._digest, self._news)), b""
            if (room := room - len(raw)) < 0:
                break
            if cards_room > 0:
                cards_raw = _raw(cards(row))
                cards_room -= len(cards_raw)
            shown.pieces.append(spool.park(raw + cards_raw + b"</article>\n"))
            shown.findings += len(row.findings)
        return shown

    def _head(self, summary: Summary, shown: Shown) -> str:
        rules = [(total, *why_and_fix(self._texts, total.rule)) for total in self._digest.sorted_rules()]
        now: list[PastRun] = [(self._when, summary.error, summary.warning, summary.info)] if self._when else []
        return rendered(
            "head.html",
            **assets(),
            **_bars(summary),
            summary=summary,
            digest=self._digest,
            when=day(self._when) if self._when else "",
            rules=rules,
            most=max((total.findings for total, _, _ in rules), default=0),
            trends=trends([*self._past, *now]),
            shown=len(shown.pieces),
            told=shown.findings,
            news=self._news,
        )


def _raw(text: str) -> bytes:
    return text.encode(errors="replace")


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
