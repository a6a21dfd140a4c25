"""Fuzzes one target, guided by what of the code each input reaches: `python -m tests.fuzz` starts it.

    python -m tests.fuzz.guided TARGET [FOLDER OF INPUTS] [OPTIONS OF LIBFUZZER]

Ends with libFuzzer's exit status: not 0 where an input broke a promise, was slow, or took too much memory.
"""

import sys
import tempfile
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import atheris

with (
    redirect_stderr(StringIO()),
    atheris.instrument_imports(include=["chatloom_async", "csv", "email", "tomllib", "urllib"]),
):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Ends the process: libFuzzer never returns."""
    target = TARGETS[sys.argv.pop(1)]
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        atheris.Setup(sys.argv, lambda data: target(data, directory))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
