"""Finds the API keys of a sandbox in whatever a program shows of itself. What it tells of a find shows no key."""

import pickle
from collections.abc import Iterable, Iterator
from contextlib import suppress
from logging import Formatter, LogRecord
from traceback import TracebackException

from ..sandbox import Sandbox
from ..sandbox.seed import key_text
from ..wire.cleaning import clean, spelling_in

AROUND = 120  # bytes before a key that are shown with a find


def issued(sandbox: Sandbox) -> Iterator[tuple[str, str]]:
    """The text of every key that there ever was in the sandbox, also before rotations, with its workspace's name."""
    for workspace in sandbox:
        for number in range(workspace._rotations + 1):
            yield workspace.name, key_text(workspace._origin.seed, workspace.name, number)


def places(value: object) -> Iterator[tuple[str, str | bytes]]:
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
    keys = [*issued(sandbox)]
    for place, text in shown:
        raw = text if isinstance(text, bytes) else text.encode(errors="backslashreplace")
        for workspace, key in keys:
            if spelling := spelling_in(key, raw):
                before = raw[: raw.index(spelling)][-AROUND:].decode(errors="replace")
                return f"The API key of workspace {workspace!r} is in the {place}: ...{clean(before + 'clf_***')}"
    return None
