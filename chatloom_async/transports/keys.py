"""Tells keys apart by the headers that carry them, and keeps what was made of those."""

from collections.abc import Callable
from typing import Generic, TypeVar

from ..wire.message import Headers

T = TypeVar("T")
MOST = 1024


def key_of(headers: Headers) -> int:
    """A number that is the same for one key, and different for two. It means nothing outside of this process."""
    return hash((headers.get("authorization"), headers.get("x-api-key")))


class PerHeaders(Generic[T]):
    """Remembers what `make` made of each Headers object: a client's requests with one key share theirs."""

    def __init__(self, make: Callable[[Headers], T]) -> None:
        self._make = make
        self._known: dict[int, tuple[Headers, T]] = {}  # by id; that is theirs while they are kept here

    def of(self, headers: Headers) -> T:
        """What was, or now is, made of these headers."""
        known = self._known.get(id(headers))
        if known is None:
            if len(self._known) >= MOST:
                self._known.clear()
            known = self._known[id(headers)] = headers, self._make(headers)
        return known[1]
