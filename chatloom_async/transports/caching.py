"""Turns many equal requests into one: answers are kept for a while, and requests under way are shared.

For dashboards: many page loads, one request. What is served when is decided in caching_answers.py. Nothing here
retries, keeps a key in clear, or asks what nobody waits for.
"""

import asyncio
import math
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import blake2b

from attrs import define, field, frozen

from ..wire.errors import TransportError
from ..wire.message import Headers, Request, Response
from ..wire.status import retry_after_seconds
from ..wire.validation import COUNT, MAX_WAIT
from .interface import Transport

Answer = Response | TransportError
Slot = tuple[str, str]  # the credentials' fingerprint, and the URL

DELTA_SECONDS = re.compile("[0-9]{1,9}")
ENDLESS_TTL = 999_999_999  # seconds: what is told of a ttl without an end, since headers have no word for that


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
    told = f"chatloom_async; {how}; ttl={math.floor(min(stored.stale_at - now, ENDLESS_TTL))}"
    earlier = headers.get("cache-status")  # of caches between the API and here: each adds itself at the end
    headers |= {"age": str(age), "cache-status": f"{earlier}, {told}" if earlier else told}
    return Response(stored.response.status, Headers(headers), stored.response.body)


READING = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110, section 9.2.1
SALT = secrets.token_bytes(16)


@define(eq=False)
class Flight:
    """A request under way, and how many wait for its answer."""

    loop: asyncio.AbstractEventLoop
    waiting: int = 0
    task: "asyncio.Task[Answer]" = field(init=False)


class CachingTransport:
    """Asks `inner` at most once every `ttl` seconds for each key and URL, however many callers there are.

        chatloom = AsyncChatloom(transport=CachingTransport(AiohttpTransport(), ttl=30.0), rate_limit=None)

    Answers to GET with status 200 are kept, each for the key that it was given to. Equal requests at the same time
    share one, and its failure; a caller that is cancelled does not fail the others. Where no newer answer is to be had
    (a TransportError, 429 or 5xx), one younger than `ttl + stale_if_error` is served instead, and nothing is asked
    until the failure's Retry-After. A 403 or 404 drops the stored answer; a 401, or a request that may have changed
    something, drops all answers of its key. Of more than `max_entries`, the one not used for longest goes.
    `Cache-Control` is not consulted: these numbers say how old an answer may be. `clock` counts seconds.

    What comes from here says so, by `Age` (RFC 9111) and `Cache-Status` (RFC 9211), where a negative ttl means stale:

        Cache-Status: chatloom_async; hit; ttl=18
        Cache-Status: chatloom_async; fwd=stale; fwd-status=503; ttl=-12      (for an error: detail=ConnectError)

    A client's rate limiter comes before its transport, so it paces stored answers too. With `rate_limit=None`, a key is
    still asked at most once per URL and `ttl`: twelve agents and their domains make 26 requests a minute at most.

    Works in several event loops, one after the other. It holds nothing that needs closing: `aclose()` drops the
    answers and closes `inner`, which often nobody else knows. To go on using `inner`, do not close this.
    """

    def __init__(
        self,
        inner: Transport,
        ttl: float = 30.0,
        stale_if_error: float = 300.0,
        *,
        max_entries: int = 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        MAX_WAIT.check("ttl", ttl)
        MAX_WAIT.check("stale_if_error", stale_if_error)
        COUNT.check("max_entries", max_entries)
        self._inner, self._clock = inner, clock
        self._answers = StoredAnswers(ttl, stale_if_error, max_entries)
        self._flights: dict[Slot, Flight] = {}

    async def send(self, request: Request) -> Answer:
        slot = fingerprint(request.headers), request.url
        if request.method == "GET" and request.body is None:
            return self._answers.fresh(slot, self._clock()) or await self._shared(slot, request)
        try:
            return await self._inner.send(request)
        finally:
            if request.method not in READING:  # even one that failed may have changed something
                self._forget(slot[0])

    def clear(self) -> None:
        """Drops every answer, those to requests under way as well: their callers still get them."""
        self._answers.clear()
        self._flights.clear()

    async def aclose(self) -> None:
        self.clear()
        await self._inner.aclose()

    async def _shared(self, slot: Slot, request: Request) -> Answer:
        """The answer of a request under way, else of a new one. The last to stop waiting ends it."""
        loop, flight = asyncio.get_running_loop(), self._flights.get(slot)
        if flight is None or flight.loop is not loop:
            flight = self._flights[slot] = Flight(loop)
            flight.task = loop.create_task(self._fly(flight, slot, request))
            flight.task.add_done_callback(_seen)
        flight.waiting += 1
        try:
            await asyncio.wait([flight.task])
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                self._landed(flight, slot)
                flight.task.cancel()
        return flight.task.result()

    async def _fly(self, flight: Flight, slot: Slot, request: Request) -> Answer:
        asked = self._clock()
        try:
            answer = await self._inner.send(request)
        except TransportError as failure:
            answer = failure.with_traceback(None)
        finally:
            wanted = self._landed(flight, slot)
        return self._answers.settled(slot, asked, self._clock(), answer) if wanted else answer

    def _landed(self, flight: Flight, slot: Slot) -> bool:
        """Ends a flight, and says whether its answer may be stored: not after clear(), or a write in the meantime."""
        if self._flights.get(slot) is not flight:
            return False
        del self._flights[slot]
        return True

    def _forget(self, credentials: str) -> None:
        self._answers.forget(credentials)
        for slot in [each for each in self._flights if each[0] == credentials]:
            del self._flights[slot]


def _seen(done: "asyncio.Task[Answer]") -> None:
    """Looks at a failure that nobody waited for, so that asyncio does not report it as lost."""
    if not done.cancelled():
        done.exception()


def fingerprint(headers: Headers) -> str:
    """Names the credentials of a request without telling them: salted, so it means nothing in another process."""
    credentials = repr((headers.get("authorization"), headers.get("x-api-key")))
    return blake2b(credentials.encode(), key=SALT, digest_size=16).hexdigest()
