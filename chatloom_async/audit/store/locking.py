"""The right to write to a database: a lock on one byte of the file itself.

The lock holds for every path to the file (links, bind mounts, relative spellings), does not concern readers, and is
released by the operating system when the process dies.

On POSIX, closing any descriptor of a file releases the locks that SQLite holds on it in the same process. A descriptor
that was used for locking is therefore kept until this process has no connection to the file any more.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from .errors import StoreAccessError, StoreInUseError

LOCKED_BYTE = 1 << 60
"""Behind the end of every database, and far from the bytes that SQLite locks."""

LOCK_TIMEOUT = 0.1
"""Seconds to wait for the lock. `is_being_written` holds it for less, so after that time it is another audit."""

BINARY = getattr(os, "O_BINARY", 0)

File = tuple[int, int]
"""Device and inode: the same for all paths to one file."""

_guard = Lock()
_connections: Counter[File] = Counter()
_idle: dict[tuple[File, int], list[int]] = {}
"""Descriptors that were used for locking and will be used again, by file and flags."""


@contextmanager
def connected_to(path: Path) -> Iterator[None]:
    """A context for the time in which a connection to the file is open."""
    file = identity(path)
    with _guard:
        _connections[file] += 1
    try:
        yield
    finally:
        with _guard:
            _connections[file] -= 1
            if not _connections[file]:
                del _connections[file]
                for key in [key for key in _idle if key[0] == file]:
                    for descriptor in _idle.pop(key):
                        os.close(descriptor)


@contextmanager
def write_lock(path: Path) -> Iterator[None]:
    """Holds the right to write. Raises StoreInUseError at once if another process, or this one, has it."""
    with _descriptor(path, os.O_RDWR | BINARY) as descriptor:
        until = time.monotonic() + LOCK_TIMEOUT
        while not _lock(descriptor, shared=False):
            if time.monotonic() >= until:
                raise StoreInUseError(f"{path}: another audit is writing to it")
            time.sleep(LOCK_TIMEOUT / 20)
        try:
            yield
        finally:
            _unlock(descriptor)


def is_being_written(path: Path) -> bool:
    """Whether an audit has the right to write to the file. An audit that was killed does not have it."""
    if not path.exists():
        return False
    with _descriptor(path, os.O_RDONLY | BINARY) as descriptor:
        free = _lock(descriptor, shared=True)
        if free:
            _unlock(descriptor)
        return not free


@contextmanager
def _descriptor(path: Path, flags: int) -> Iterator[int]:
    key = identity(path), flags
    with _guard:
        idle = _idle.get(key)
        descriptor = idle.pop() if idle else None
    try:
        if descriptor is None:
            descriptor = os.open(path, flags)
    except OSError as problem:
        reason = f"{path}: {problem.strerror}"
    else:
        try:
            yield descriptor
        finally:
            with _guard:
                if key[0] in _connections:
                    _idle.setdefault(key, []).append(descriptor)
                else:
                    os.close(descriptor)
        return
    raise StoreAccessError(reason)


def identity(path: Path) -> File:
    """The file that the path leads to now."""
    try:
        status = path.stat()
    except OSError:  # it is in memory, or it was removed
        return 0, 0
    return status.st_dev, status.st_ino


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _lock(descriptor: int, *, shared: bool) -> bool:
        os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

elif sys.platform == "linux":
    import fcntl
    from struct import pack

    def _set(descriptor: int, kind: int) -> None:
        """A lock of the open file description; others of the same process conflict with it."""
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, pack("hhqqi4x", kind, os.SEEK_SET, LOCKED_BYTE, 1, 0))

    def _lock(descriptor: int, *, shared: bool) -> bool:
        try:
            _set(descriptor, fcntl.F_RDLCK if shared else fcntl.F_WRLCK)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        _set(descriptor, fcntl.F_UNLCK)

else:  # pragma: no cover
    import fcntl

    def _lock(descriptor: int, *, shared: bool) -> bool:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
