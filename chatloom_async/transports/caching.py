"""A transport that caches answers for a while and shares concurrent equal requests.

For dashboards: many page loads, one request. It does not retry, store keys, or refresh in the background.
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
from .interface import TRANSPORT, Answer, Transport, checked, start_send

CacheKey = tuple[str, str]  # the credentials' fingerprint, and the URL

DELTA_SECONDS = re.compile("[0-9]{1,9}")
ENDLESS_TTL = 999_999_999  # seconds: reported for an infinite ttl, which headers cannot express


@frozen
class Stored:
    """A stored answer, with the times of its request, of its expiry, and until which it is served without a request."""

    response: Response
    asked: float
    stale_at: float
    quiet_until: float


@define(eq=False)
class StoredAnswers:
    """At most `most` answers, served for `ttl` seconds, and for `stale_if_error` more instead of a failure."""

    ttl: float
    stale_if_error: float
    most: int
    _stored: OrderedDict[CacheKey, Stored] = field(factory=OrderedDict, init=False)

    def fresh(self, key: CacheKey, now: float) -> Response | None:
        """The stored answer that is served without a request, if any."""
        stored = self._stored.get(key)
        if stored is None or now >= stored.quiet_until:
            return None
        self._stored.move_to_end(key)
        return marked(stored, now, "hit")

    def settled(self, key: CacheKey, asked: float, now: float, answer: Answer) -> Answer:
        """Stores the answer or drops the stored one, and returns the answer for the callers."""
        status = answer.status if isinstance(answer, Response) else 599  # no answer counts like a failure
        if isinstance(answer, Response) and status == 200:
            self._keep(key, Stored(answer, asked, asked + self.ttl, asked + self.ttl))
        elif status == 401:  # "the old key stops working the moment you generate a new one", for all it could read
            self.forget(key[0])
        elif status in (403, 404):
            self._stored.pop(key, None)
        elif status == 429 or status >= 500:
            return self._instead(key, now, answer)
        return answer

    def _keep(self, key: CacheKey, stored: Stored) -> None:
        self._stored[key] = stored
        self._stored.move_to_end(key)
        if len(self._stored) > self.most:
            self._stored.popitem(last=False)

    def _instead(self, key: CacheKey, now: float, failure: Answer) -> Answer:
        """The stored answer, if it is not too old. If the failure has a Retry-After, no request is sent until then."""
        stored = self._stored.get(key)
        if stored is None or now >= (last := stored.stale_at + self.stale_if_error):
            return failure
        if isinstance(failure, Response):
            wait, cause = retry_after_seconds(failure.headers, now=datetime.now(UTC)), f"fwd-status={failure.status}"
        else:
            wait, cause = None, f"detail={type(failure).__name__}"
        self._keep(key, Stored(stored.response, stored.asked, stored.stale_at, min(now + (wait or 0.0), last)))
        return marked(stored, now, f"fwd=stale; {cause}")

    def forget(self, credentials: str) -> None:
        """Drops every answer for these credentials."""
        for key in [stored for stored in self._stored if stored[0] == credentials]:
            del self._stored[key]

    def clear(self) -> None:
        self._stored.clear()


def marked(stored: Stored, now: float, how: str) -> Response:
    """The stored answer, marked by the headers Age (RFC 9111) and Cache-Status (RFC 9211)."""
    headers = {name.lower(): value for name, value in stored.response.headers.items()}
    received = headers.get("age", "")
    age = int(now - stored.asked) + (int(received) if DELTA_SECONDS.fullmatch(received) else 0)
    status = f"chatloom_async; {how}; ttl={math.floor(min(stored.stale_at - now, ENDLESS_TTL))}"
    earlier = headers.get("cache-status")  # of other caches: each appends itself
    headers |= {"age": str(age), "cache-status": f"{earlier}, {status}" if earlier else status}
    return Response(stored.response.status, Headers(headers), stored.response.body)


READING = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110, section 9.2.1
SALT = secrets.token_bytes(16)


@define(eq=False)
class PendingRequest:
    """A request in flight, and the number of callers that wait for its answer."""

    loop: asyncio.AbstractEventLoop
    waiting: int = 0
    task: "asyncio.Task[Answer]" = field(init=False)


class CachingTransport:
    """Sends at most one request every `ttl` seconds through `inner` for each key and URL.

        chatloom = AsyncChatloom(transport=CachingTransport(AiohttpTransport(), ttl=30.0), rate_limit=None)

    It stores answers to GET with status 200, for each key separately. Concurrent equal requests share one request and
    its failure; cancelling one caller does not affect the others. If a new request fails (TransportError, 429 or 5xx),
    an answer younger than `ttl + stale_if_error` is served instead, and as long as it is, no request is sent until the
    failure's Retry-After. A 403 or 404 drops the stored answer; a 401, or a request that may have changed something,
    drops all answers of its key. Beyond `max_entries`, the least recently used one is dropped. `Cache-Control` is
    ignored: only these options limit the age of an answer. `clock` returns seconds.

    Stored answers are marked by `Age` (RFC 9111) and `Cache-Status` (RFC 9211); a negative ttl means stale:

        Cache-Status: chatloom_async; hit; ttl=18
        Cache-Status: chatloom_async; fwd=stale; fwd-status=503; ttl=-12      (for an error: detail=ConnectError)

    A client's rate limiter runs before its transport, so it also delays stored answers. With `rate_limit=None`, there
    is still at most one request per key, URL and `ttl`: at most 26 requests a minute for twelve agents and their
    domains.

    It works in several event loops, one after the other. `aclose()` drops the answers and closes `inner`. To continue
    to use `inner`, do not close the cache.
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
        TRANSPORT.check("inner", inner)
        MAX_WAIT.check("ttl", ttl)
        MAX_WAIT.check("stale_if_error", stale_if_error)
        COUNT.check("max_entries", max_entries)
        self._inner, self._clock = inner, clock
        self._answers = StoredAnswers(ttl, stale_if_error, max_entries)
        self._pending: dict[CacheKey, PendingRequest] = {}

    async def send(self, request: Request) -> Answer:
        key = fingerprint(request.headers), request.url
        if request.method == "GET" and request.body is None:
            return self._answers.fresh(key, self._clock()) or await self._shared(key, request)
        try:
            return checked(await start_send(self._inner, request))
        finally:
            if request.method not in READING:  # even one that failed may have changed something
                self._answers.forget(key[0])
                self._pending = {other: pending for other, pending in self._pending.items() if other[0] != key[0]}

    def clear(self) -> None:
        """Drops every answer. Answers to requests in flight are returned, but not stored."""
        self._answers.clear()
        self._pending.clear()

    async def aclose(self) -> None:
        self.clear()
        await self._inner.aclose()

    async def _shared(self, key: CacheKey, request: Request) -> Answer:
        """The answer of a request in flight, or of a new one. It is cancelled when its last caller stops waiting."""
        loop, pending = asyncio.get_running_loop(), self._pending.get(key)
        if pending is None or pending.loop is not loop:
            pending = self._pending[key] = PendingRequest(loop)
            pending.task = loop.create_task(self._fetch(pending, key, request))
            pending.task.add_done_callback(_seen)
        pending.waiting += 1
        try:
            await asyncio.wait([pending.task])
        finally:
            pending.waiting -= 1
            if not pending.waiting and not pending.task.done():
                self._finish(pending, key)
                pending.task.cancel()
        return pending.task.result()

    async def _fetch(self, pending: PendingRequest, key: CacheKey, request: Request) -> Answer:
        asked = self._clock()
        try:
            answer = checked(await start_send(self._inner, request))
        except TransportError as failure:
            answer = failure.with_traceback(None)
        finally:
            wanted = self._finish(pending, key)
        return self._answers.settled(key, asked, self._clock(), answer) if wanted else answer

    def _finish(self, pending: PendingRequest, key: CacheKey) -> bool:
        """Ends a pending request. Returns whether its answer may be stored: not after clear(), or a write meanwhile."""
        if self._pending.get(key) is not pending:
            return False
        del self._pending[key]
        return True


def _seen(done: "asyncio.Task[Answer]") -> None:
    """Retrieves a failure without waiters, so that asyncio does not log it."""
    if not done.cancelled():
        done.exception()


def fingerprint(headers: Headers) -> str:
    """Identifies the credentials of a request without revealing them: a salted hash, valid only in this process."""
    credentials = repr((headers.get("authorization"), headers.get("x-api-key")))
    return blake2b(credentials.encode(), key=SALT, digest_size=16).hexdigest()
