"""Tells keys apart, by a hash of the headers that carry them."""

from ..wire.message import Headers

MOST = 1024


class Keys:
    """Remembers the hash for each Headers object: a client's requests with one key share theirs."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Headers, int]] = {}  # by id; that is theirs while they are kept here

    def of(self, headers: Headers) -> int:
        """A number that is the same for one key, and different for two."""
        known = self._known.get(id(headers))
        if known is None:
            if len(self._known) >= MOST:
                self._known.clear()
            known = headers, hash((headers.get("authorization"), headers.get("x-api-key")))
            self._known[id(headers)] = known
        return known[1]
