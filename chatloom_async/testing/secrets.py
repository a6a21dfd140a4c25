"""Finds the API keys of a sandbox in what a program shows of itself. Reports never include a key."""

import pickle
from collections.abc import Iterable, Iterator
from contextlib import suppress
from logging import Formatter, LogRecord
from traceback import TracebackException

from ..sandbox import Sandbox
from ..wire.cleaning import clean, spelling_in

AROUND = 120  # bytes before a key that are shown with a find


def renderings(value: object) -> Iterator[tuple[str, str | bytes]]:
    """What a value shows of itself, by the place where it would be seen."""
    yield "str", str(value)
    yield "repr", repr(value)
    with suppress(Exception):  # what cannot be pickled cannot tell anything that way
        yield "pickle", pickle.dumps(value)
    if isinstance(value, BaseException):
        yield "traceback with locals", "".join(TracebackException.from_exception(value, capture_locals=True).format())


def logged(records: Iterable[LogRecord]) -> Iterator[tuple[str, str | bytes]]:
    """Log records as they are usually printed, and what else they carry for other formats."""
    for record in records:
        yield "captured logs", Formatter().format(record)
        yield "captured logs", repr(vars(record))


def find(sandbox: Sandbox, shown: Iterable[tuple[str, str | bytes]]) -> str | None:
    """Where the first key is, and what stands before it; None where there is no key anywhere."""
    issued = tuple(sandbox.keys())
    for place, text in shown:
        raw = text if isinstance(text, bytes) else text.encode(errors="backslashreplace")
        for workspace, key in issued:
            if spelling := spelling_in(key.reveal(), raw):
                before = raw[: raw.index(spelling)][-AROUND:].decode(errors="replace")
                return f"The API key of workspace {workspace!r} is in the {place}: ...{clean(before + 'clf_***')}"
    return None
