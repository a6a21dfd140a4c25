"""Finds API keys of a sandbox in the output and the objects of a program. Reports never include a key."""

import pickle
from collections.abc import Iterable, Iterator
from contextlib import suppress
from logging import Formatter, LogRecord
from traceback import TracebackException

from ..sandbox import Sandbox
from ..wire.cleaning import clean, spelling_in

AROUND = 120  # bytes before a key that a report shows


def renderings(value: object) -> Iterator[tuple[str, str | bytes]]:
    """The visible forms of a value, by where they would be seen."""
    yield "str", str(value)
    yield "repr", repr(value)
    with suppress(Exception):  # a value that cannot be pickled reveals nothing that way
        yield "pickle", pickle.dumps(value)
    if isinstance(value, BaseException):
        yield "traceback with locals", "".join(TracebackException.from_exception(value, capture_locals=True).format())


def logged(records: Iterable[LogRecord]) -> Iterator[tuple[str, str | bytes]]:
    """Log records in the usual format, and their other fields, which other formats may print."""
    for record in records:
        yield "captured logs", Formatter().format(record)
        yield "captured logs", repr(vars(record))


def find(sandbox: Sandbox, shown: Iterable[tuple[str, str | bytes]]) -> str | None:
    """The place of the first key and the text before it; None if there is no key."""
    issued = tuple(sandbox.keys())
    for place, text in shown:
        raw = text if isinstance(text, bytes) else text.encode(errors="backslashreplace")
        for workspace, key in issued:
            if spelling := spelling_in(key.reveal(), raw):
                before = raw[: raw.index(spelling)][-AROUND:].decode(errors="replace")
                return f"The API key of workspace {workspace!r} is in the {place}: ...{clean(before + 'clf_***')}"
    return None
