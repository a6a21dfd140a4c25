"""The command line, `chatloom`. Wiring only: what is decided is decided in the layers below.

This file imports nothing that the extra [cli] brings, so that it can say what is missing.
"""

import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from ..wire.errors import MissingExtraError
from ..wire.extras import needed_by


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; None takes the arguments of this process."""
    try:
        with needed_by("The command line", "cyclopts", "rich", extra="cli"):
            from .app import run
    except MissingExtraError as missing:
        print(f"error: {missing}", file=sys.stderr)
        return 2
    return run(sys.argv[1:] if arguments is None else arguments)


def program() -> NoReturn:
    """The program: ends the process with the status of its command, and waits for no thread that still runs then."""
    status = main()
    threads = [thread for thread in threading.enumerate() if not thread.daemon]
    if len(threads) > 1:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, AttributeError, ValueError):
                stream.flush()
        os._exit(status)
    sys.exit(status)
