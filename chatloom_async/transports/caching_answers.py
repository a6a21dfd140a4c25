"""Decides which stored answer is served in place of a request, and what an answer that came does to the stored ones.

Everything here is a function of values and moments: no I/O and no clock. A stored answer belongs to the fingerprint of
the credentials that it was given to. `Cache-Control` is not consulted: the caller says how old an answer may be.
"""

import math
import re
from collections import OrderedDict
from datetime import UTC, datetime

from attrs import define, field, frozen

from ..wire.errors import TransportError
from ..wire.message import Headers, Response
from ..wire.status import retry_after_seconds

Answer = Response | TransportError
Slot = tuple[str, str]  # the credentials' fingerprint, and the URL

DELTA_SECONDS = re.compile("[0-9]{1,9}")
LONGEST = 999_999_999  # seconds: what is told of a ttl without an end, since headers have no word for that


@frozen
class Stored:
    """An answer, when it was asked for, when it gets stale, and until when it is served without asking anew."""

    response: Response
    asked: float
    stale_at: float
    quiet_until: float


@define(eq=False)
class StoredAnswers:
    """At most `most` answers, served for `ttl` seconds, and for `stale_if_error` more in place of a failure."""

    ttl: float
    stale_if_error: float
    most: int
    _stored: OrderedDict[Slot, Stored] = field(factory=OrderedDict, init=False)

    def fresh(self, slot: Slot, now: float) -> Response | None:
        """What is served without asking, if anything."""
        stored = self._stored.get(slot)
        if stored is None or now >= stored.quiet_until:
            return None
        self._stored.move_to_end(slot)
        return marked(stored, now, "hit")

    def settled(self, slot: Slot, asked: float, now: float, answer: Answer) -> Answer:
        """Keeps or drops what is stored, and says what the callers get."""
        status = answer.status if isinstance(answer, Response) else 599  # no answer at all counts like a bad one
        if isinstance(answer, Response) and status == 200:
            self._keep(slot, Stored(answer, asked, asked + self.ttl, asked + self.ttl))
        elif status == 401:  # "the old key stops working the moment you generate a new one", for all it could read
            self.forget(slot[0])
        elif status in (403, 404):
            self._stored.pop(slot, None)
        elif status == 429 or status >= 500:
            return self._instead(slot, now, answer)
        return answer

    def _keep(self, slot: Slot, stored: Stored) -> None:
        self._stored[slot] = stored
        self._stored.move_to_end(slot)
        if len(self._stored) > self.most:
            self._stored.popitem(last=False)

    def _instead(self, slot: Slot, now: float, failure: Answer) -> Answer:
        """The stored answer, if it is not too old. Where the failure names a time, nothing is asked until then."""
        stored = self._stored.get(slot)
        if stored is None or now >= (last := stored.stale_at + self.stale_if_error):
            return failure
        if isinstance(failure, Response):
            wait, cause = retry_after_seconds(failure.headers, now=datetime.now(UTC)), f"fwd-status={failure.status}"
        else:
            wait, cause = None, f"detail={type(failure).__name__}"
        self._keep(slot, Stored(stored.response, stored.asked, stored.stale_at, min(now + (wait or 0.0), last)))
        return marked(stored, now, f"fwd=stale; {cause}")

    def forget(self, credentials: str) -> None:
        """Drops every answer that was given to these credentials."""
        for slot in [each for each in self._stored if each[0] == credentials]:
            del self._stored[slot]

    def clear(self) -> None:
        self._stored.clear()


def marked(stored: Stored, now: float, how: str) -> Response:
    """The stored answer, with the headers that tell that it is one: Age (RFC 9111) and Cache-Status (RFC 9211)."""
    headers = {name.lower(): value for name, value in stored.response.headers.items()}
    received = headers.get("age", "")
    age = int(now - stored.asked) + (int(received) if DELTA_SECONDS.fullmatch(received) else 0)
    told = f"chatloom_async; {how}; ttl={math.floor(min(stored.stale_at - now, LONGEST))}"
    earlier = headers.get("cache-status")  # of caches between the API and here: each adds itself at the end
    headers |= {"age": str(age), "cache-status": f"{earlier}, {told}" if earlier else told}
    return Response(stored.response.status, Headers(headers), stored.response.body)
