"""Turns "No module named redis" into what to install. Imports nothing that may be missing."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def brought_by(install: str, *packages: str) -> Iterator[None]:
    """Imports in its block that miss one of the packages say that `pip install` and these words cure it.

    It stays a ModuleNotFoundError with the package's `name`, so that `except ImportError` and pytest.importorskip
    work. What else is missing is somebody else's problem, and is told as it is.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        name = missing.name or ""
        if name.partition(".")[0] not in packages:
            raise
        cure = f"{name} is not installed. Install it: pip install {install}"
        raise ModuleNotFoundError(cure, name=name) from None


def extra(name: str) -> str:
    """How to install this package with an extra, from an index or from a clone."""
    return f"'chatloom-async[{name}]', or '.[{name}]' in a clone"
