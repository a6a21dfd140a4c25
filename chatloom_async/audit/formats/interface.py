"""What the audit asks of a format: the text before the rows, for each row, and after them."""

from typing import Protocol

from ..summary import Summary
from ..values import Row


class Format(Protocol):
    """Turns rows into text. The pieces are written as they come, so a format that can stream keeps no row."""

    def start(self) -> str: ...

    def row(self, row: Row) -> str: ...

    def end(self, summary: Summary) -> str: ...
