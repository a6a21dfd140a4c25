"""Turns an answer's body into the type that its endpoint promises, or into the error that says why it cannot."""

from collections.abc import Callable
from functools import cache
from typing import Any

from .decode_errors import DecodeError, SchemaMismatchError
from .document import Mismatch, excerpt, read_document
from .message import Response

__all__ = ["decode"]


@cache
def _structure() -> Callable[[Any, Any], Any | Mismatch]:
    """cattrs takes a third of this package's import time, so it waits until there is something to decode."""
    from .structure import structure

    return structure


@cache
def _reader(returns: Any) -> Callable[[bytes], tuple[Any, int] | None] | None:
    from .mirror import reader

    return reader(returns)


def decode(response: Response, returns: Any) -> Any | DecodeError:
    """The body as `returns`, or the error that says why not, as data.

    `returns` is an attrs class, anything built of such classes, lists, `tuple[X, ...]`, sets, dicts and JSON's own
    types, `Any` (JSON as it is, None for a 204), `bytes` (the body as it is) or None (no body is expected). Raises
    ConfigurationError for a type that cannot be read from JSON.
    """
    if returns is bytes:
        return response.body
    if returns is None or returns is type(None) or (returns is Any and response.status == 204):
        return None
    read = _reader(returns) if isinstance(returns, type) else None
    found = read(response.body) if read else None
    if found and found[1] == response.body.count(b'"'):
        return found[0]  # no member was doubled or unknown, or there would be more quotes
    document = read_document(response)
    if isinstance(document, DecodeError):
        return document
    if found:
        return found[0]
    value = _structure()(document, returns)
    if not isinstance(value, Mismatch):
        return value
    text = f"The answer is not as documented: {value.reason} at {value.path}"
    return SchemaMismatchError(text, path=value.path, excerpt=excerpt(response))
