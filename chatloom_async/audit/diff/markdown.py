"""A difference as Markdown, for a pull request or a chat. Lists only: no table whose cells a text could break out of.

Text from outside stands in code spans, where links, mentions, HTML and emphasis are what they look like.
"""

import re

from ...wire.cleaning import clean
from .values import Diff
from .wording import Foreign, Part, heading, sentences, totals

TICKS = re.compile("`+")


def markdown_diff(diff: Diff) -> str:
    """Headings and lists of CommonMark."""
    lines = [f"# {heading(diff)}", "", *(f"- {line}" for line in totals(diff))]
    lines += ["", *(f"> {code(each)}\n>" for each in diff.notes)] if diff.notes else []
    for change in diff.changes:
        lines += ["", f"## {code(change.workspace)}", ""]
        lines += [f"- **{each.mark}** {''.join(map(_part, each.parts))}" for each in sentences(change)]
    return "".join(f"{line}\n" for line in lines)


def code(text: str) -> str:
    """The text as a code span that nothing in it can end: fenced by more backticks than it has in a row."""
    text = clean(text)
    if not text:
        return "(empty)"
    fence = "`" * (1 + max((len(found) for found in TICKS.findall(text)), default=0))
    padding = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def _part(part: Part) -> str:
    return code(part.text) if isinstance(part, Foreign) else part
