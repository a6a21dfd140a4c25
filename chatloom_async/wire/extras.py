"""Turns "No module named redis" into what to install. Imports nothing that may be missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from .errors import MissingExtraError


@contextmanager
def needed_by(what: str, *modules: str, extra: str = "") -> Iterator[None]:
    """Imports in its block that miss one of the modules raise MissingExtraError, which says what needs it.

        with needed_by("RedisLimiter", "redis", extra="redis"):
            import redis

    `extra` is the one that brings the modules. What else is missing is raised as it is: the extra would not help.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        name = missing.name or ""
        if name.partition(".")[0] not in modules:
            raise
        text = f"{what} needs {name}, which is not installed"
        raise MissingExtraError(text, extra=extra, module=name) from None
