"""Turns the path of a key file into its bytes, or into the reason why they may not be read. Decodes and shows nothing.

Opening never waits: a pipe that nobody writes to would otherwise hold the audit up for ever.
"""

import os
import stat
import time
from pathlib import Path
from select import select

LIMIT = 4096
"""Bytes: many times the longest key."""

FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def private_bytes(path: Path, patience: float) -> bytes | str:
    """The content of a file, or of a pipe that is written to within `patience` seconds, else what is wrong with it.

    A file that others may read or write is refused (POSIX). A symbolic link is followed, and its target is judged.
    Raises OSError, and RuntimeError where ~ leads to no home directory.
    """
    file = os.open(path.expanduser(), FLAGS)
    try:
        mode = os.fstat(file).st_mode  # of the opened file: nobody can swap it in between
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            return f"is {'a directory' if stat.S_ISDIR(mode) else 'a device'}, not a file"
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            return f"can be read by others: chmod 600 {path}"
        raw = _read(file, time.monotonic() + patience if stat.S_ISFIFO(mode) else None)
    finally:
        os.close(file)
    return raw if len(raw) <= LIMIT else f"holds more than {LIMIT} bytes, and so no key"


def _read(file: int, until: float | None) -> bytes:
    """All of it, or a little more than LIMIT. Waits for each piece of a pipe, until that moment."""
    raw = b""
    while len(raw) <= LIMIT:
        if until is not None and not select([file], (), (), max(0.0, until - time.monotonic()))[0]:
            raise TimeoutError("nobody wrote to this pipe in time")
        piece = os.read(file, LIMIT + 1 - len(raw))
        if not piece:
            break
        raw += piece
    return raw
