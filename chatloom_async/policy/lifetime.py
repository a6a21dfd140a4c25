"""Decides whether calls may still begin, and ends those that are under way when the client closes."""

import asyncio
from types import TracebackType

from ..wire.errors import ClientClosedError


class Lifetime:
    """Open, then closing for good. Shared by a client and its clones; knows every time limit that is running."""

    def __init__(self) -> None:
        self.closing = False
        self._limits: set[asyncio.Timeout] = set()
        self._empty: asyncio.Future[None] | None = None

    def check(self) -> None:
        """Raises ClientClosedError once closing has begun."""
        if self.closing:
            raise ClientClosedError("The client is closed; nothing was sent")

    def limit(self, seconds: float | None) -> "TimeLimit":
        """A time limit for something that a call waits for; None means that only closing ends it."""
        return TimeLimit(self, seconds)

    async def end(self, drain: float) -> None:
        """Lets no new call begin, gives the others `drain` seconds, then makes their time limits run out."""
        self.closing = True
        await self._until_empty(drain)
        now = asyncio.get_running_loop().time()
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(now)
        await self._until_empty(1.0)

    async def _until_empty(self, seconds: float) -> None:
        if self._limits:
            self._empty = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._empty], timeout=seconds)
            self._empty = None

    def begin(self, limit: asyncio.Timeout) -> None:
        self._limits.add(limit)

    def finish(self, limit: asyncio.Timeout) -> None:
        self._limits.discard(limit)
        if self._empty is not None and not self._limits and not self._empty.done():
            self._empty.set_result(None)


class TimeLimit:
    """`asyncio.timeout` that ends when the client closes, too: then with ClientClosedError instead of TimeoutError."""

    __slots__ = ("_lifetime", "_timeout")

    def __init__(self, lifetime: Lifetime, seconds: float | None) -> None:
        self._lifetime, self._timeout = lifetime, asyncio.timeout(seconds)

    async def __aenter__(self) -> "TimeLimit":
        await self._timeout.__aenter__()
        self._lifetime.begin(self._timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lifetime.finish(self._timeout)
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError:
            if not self._lifetime.closing:
                raise
            closed = ClientClosedError("The client was closed while this call was under way")
        else:
            return
        raise closed from None

    @property
    def expired(self) -> bool:
        return self._timeout.expired()

    def restart(self, seconds: float | None) -> None:
        """Counts anew from now, unless it has run out, as it has when the client is closing."""
        if not self.expired:
            self._timeout.reschedule(None if seconds is None else asyncio.get_running_loop().time() + seconds)
