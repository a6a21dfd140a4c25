"""Turns rows into one HTML page: what it came to, what to do about it, and every workspace, the worst first.

The page begins with totals and ends with the best workspaces, and both are known at the end only, so rows wait in a
temporary file. Of a large fleet the page says less, and says so: a page that no browser opens says nothing.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime

from attrs import define, frozen

from ...summary import Summary
from ...values import Row
from ..guidance import NO_TEXTS, RuleTexts, named, why_and_fix
from ..news import News
from .charts import PastRun, day, shares, trends
from .digest import Digest, Entry
from .pages import assets, environment, rendered
from .sections import cards, line, section
from .spool import Piece, Spool

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
        news: News | None = None,
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
