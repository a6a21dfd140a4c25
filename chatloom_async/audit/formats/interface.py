"""The interface of a report format: it renders the whole report, piece by piece."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from ..values import Row, Summary


class Format(Protocol):
    """Renders the rows of an audit, in the order of its list of workspaces, as a report."""

    def pieces(self, rows: Sequence[Row], summary: Summary) -> Iterator[str]:
        """The report. `summary` has the totals of all rows.

        A piece takes a few milliseconds, so that an event loop can do other work between two pieces. Some are empty.
        `rows` may lie on disk: a format reads each row once or twice and keeps none of them.
        """
        ...


class StreamFormat(Protocol):
    """Renders each row as soon as it arrives, in order of completion."""

    def line(self, row: Row) -> str:
        """The text of one row."""
        ...
