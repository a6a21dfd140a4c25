"""The command line, `chatloom`. Wiring only: what is decided is decided in the layers below.

This file imports nothing that the extra [cli] brings, so that it can say what is missing.
"""

import sys
from collections.abc import Sequence

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
