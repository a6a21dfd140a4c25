"""Reports a missing optional dependency with the command that installs it."""

from collections.abc import Iterator
from contextlib import contextmanager

from .errors import MissingExtraError


@contextmanager
def needed_by(what: str, *modules: str, extra: str = "") -> Iterator[None]:
    """Raises MissingExtraError if an import in the block fails because one of the modules is missing.

        with needed_by("RedisLimiter", "redis", extra="redis"):
            import redis

    `extra` is the extra that installs the modules. Other import errors are raised unchanged.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        name = missing.name or ""
        if name.partition(".")[0] not in modules:
            raise
        text = f"{what} needs {name}, which is not installed"
        raise MissingExtraError(text, extra=extra, module=name) from None
