"""The command line, `chatloom`. Options, terminal and signals: the decisions are made in the layers below.

This file imports as little as possible, so that signals are handled soon after the start, `--version` needs nothing
else, and a missing extra [cli] is reported with what to install.
"""

import os
import select
import sys

from ..wire.version import VERSION

TYPE_CHECKING = False  # as in the package
if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence
    from types import FrameType
    from typing import NoReturn
else:
    import _signal as signal  # `signal` wraps it, and imports so much before that Ctrl-C would show a traceback

__all__ = ["main", "program"]

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

inherited: set[int] = {0, 1, 2}
"""The descriptors that were open when the command began. A path such as /dev/fd/3 may only stand for one of them."""


def main(arguments: "Sequence[str] | None" = None) -> int:
    """Runs one command and returns its exit status; None takes the arguments of this process."""
    note_descriptors()
    arguments = sys.argv[1:] if arguments is None else arguments
    answer = ""
    if list(arguments) == ["--version"]:
        answer = f"{VERSION}\n"
    elif not arguments or list(arguments) in (["--help"], ["-h"]):
        from .help import overview

        answer = overview()
    if answer and sys.stdout is not None:
        try:
            sys.stdout.write(answer)
            sys.stdout.flush()
        except OSError:
            pass  # the program below says why
        else:
            return 0
    from ..wire.errors import MissingExtraError, needed_by

    try:
        with needed_by("The command line", "cyclopts", "rich", extra="cli"):
            from .app import run
    except MissingExtraError as missing:
        print(f"error: {missing}", file=sys.stderr)
        return 2
    return run(arguments)


def program() -> "NoReturn":
    """The program: ends the process with the status of its command, and waits for no thread that still runs then.

    It handles signals from here to the end of the process: before, during and after the command.
    """
    handled = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    for number in handled:
        signal.signal(number, end_at_start)
    status = main()
    for number in handled:
        signal.signal(number, signal.SIG_IGN)  # the interpreter would restore the default, which shows no status
    threading = sys.modules.get("threading")
    if threading is not None and any(not thread.daemon for thread in threading.enumerate()[1:]):
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        os._exit(status)
    sys.exit(status)


def note_descriptors() -> None:
    """Fills `inherited`. An event loop and libraries open descriptors of their own later."""
    inherited.clear()
    try:
        names = os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")  # noqa: PTH208 - pathlib is slow to import
    except OSError:  # Windows
        return
    for number in map(int, names):
        try:
            os.fstat(number)
        except OSError:  # it was that of the listing
            continue
        inherited.add(number)


def end_at_start(number: int, _: "FrameType | None" = None) -> "NoReturn":
    """The handler of signals until a command begins: there is nothing to clean up yet."""
    say_interrupted()
    os._exit(128 + number)


def say_interrupted() -> None:
    """Writes the line to the descriptor itself, since the stream may be in use when a signal arrives."""
    if not stderr_is_stalled():
        try:  # noqa: SIM105 - contextlib is not imported yet
            os.write(2, b"error: interrupted\n")
        except OSError:
            pass  # standard error is closed


def stderr_is_stalled() -> bool:
    """Whether standard error is a full pipe, or a terminal that is held: writing would wait for its reader."""
    try:
        return sys.platform != "win32" and not select.select([], [2], [], 0)[1]
    except OSError:  # it is closed
        return False
