"""Renders observations and exchanges as a Markdown page for Chatloom's support, who ask for "the request and response".

journal.py has removed the secrets. This file only escapes text for Markdown.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from attrs import evolve

from .journal import Entry
from .local import told
from .observation import Observation

MARKS: Final = {"ok": "✓", "warning": "!", "wrong": "✗", "skipped": "○"}
SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|#&~])")

HEAD: Final = """\
# What this machine asked the Chatloom API, and what it answered

Written {when:%Y-%m-%d %H:%M:%S} UTC by `chatloom doctor`: {versions}.

API keys and cookies are left out, and so are all headers that are not known to be harmless. The answers are as they
came, with the names and domains of the workspace: please look through them before you send this page to
support@chatloom.app.
"""


def markdown(
    observations: Sequence[Observation], entries: Sequence[Entry], versions: Mapping[str, str], when: datetime
) -> str:
    """The page. `when` is in UTC. Exchanges that differ only in their time are shown once."""
    lines = [HEAD.format(when=when, versions=told(versions)), "## Observations", ""]
    lines += [_observed(each) for each in observations]
    lines += ["", "## Requests and responses", ""]
    for number, (entry, times) in enumerate(_once(entries), 1):
        lines += _exchange(number, entry, times)
    return "\n".join(lines if entries else [*lines, "No request was sent.", ""])


def _observed(each: Observation) -> str:
    advice = f" {_sentence(each.advice)}" if each.advice else ""
    return f"- {MARKS[each.state]} **{_plain(each.subject)}**: {_sentence(each.found)}{advice}"


def _sentence(text: str) -> str:
    return _plain(text) if text.endswith(".") else f"{_plain(text)}."


def _once(entries: Sequence[Entry]) -> list[tuple[Entry, int]]:
    """Each distinct exchange with its number of occurrences."""
    found: dict[str, tuple[Entry, int]] = {}
    for entry in entries:
        same = repr(evolve(entry, purpose="", seconds=0, received={}))
        first, times = found.get(same, (entry, 0))
        found[same] = first, times + 1
    return list(found.values())


def _exchange(number: int, entry: Entry, times: int) -> Iterator[str]:
    again = f", {times} times" if times > 1 else ""
    status = "no answer" if entry.status is None else f"HTTP {entry.status}"
    yield f"### {number}. {_plain(entry.purpose)}: {status}{again}"
    yield ""
    yield from _fenced([f"{entry.method} {entry.url}", *(f"{name}: {value}" for name, value in entry.sent.items())])
    yield f"After {entry.seconds * 1000:.0f} ms:"
    yield ""
    head = (
        []
        if entry.status is None
        else [f"HTTP {entry.status}", *(f"{name}: {value}" for name, value in entry.received.items()), ""]
    )
    yield from _fenced([*head, entry.body])


def _fenced(lines: Sequence[str]) -> Iterator[str]:
    """The text as a code block, with a fence that the text does not contain."""
    text = "\n".join(lines).rstrip()
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    yield from (f"{fence}text", text, fence, "")


def _plain(text: str) -> str:
    """The text, escaped for Markdown."""
    return SPECIAL.sub(r"\\\1", text)
