"""The command line, `chatloom`. Wiring only: what is decided is decided in the layers below.

This file imports nothing outside the standard library, so that it can say what is missing.
"""

import sys
from collections.abc import Sequence

EXTRA = ("cyclopts", "rich")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; None takes the arguments of this process."""
    try:
        from .app import run
    except ModuleNotFoundError as missing:
        if missing.name not in EXTRA:
            raise
    else:
        return run(sys.argv[1:] if arguments is None else arguments)
    print(
        "error: the command line is an extra: pip install 'chatloom-async[cli]', or '.[cli]' in a clone",
        file=sys.stderr,
    )
    return 2
