"""JSON Lines: one row a line, each written as soon as it is there."""

from ..document import json_text, row_document
from ..summary import Summary
from ..values import Row


class JsonLinesFormat:
    """Nothing but rows; the totals are for whoever counts them."""

    def start(self) -> str:
        return ""

    def row(self, row: Row) -> str:
        return json_text(row_document(row)) + "\n"

    def end(self, summary: Summary) -> str:
        return ""
