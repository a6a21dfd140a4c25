"""Keeps httpx2's transports: one for each event loop and key, so that no key meets another's connections."""

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache

import httpcore2  # noqa: F401  # httpx2 would import it when the first request is made, and the others would wait
import httpx2

from ..wire.errors import ClientClosedError

KEYS = 128  # whose idle connections are kept
KEEP_ALIVE = 15.0  # seconds, as aiohttp has it

Open = Callable[[], httpx2.AsyncBaseTransport]


def network(context: ssl.SSLContext | None, proxy: str | None, *, http2: bool, reused: bool) -> Open:
    """What opens a transport over real sockets. Without reuse it is HTTP/1.1: HTTP/2 sends requests side by side."""
    http2 = http2 and reused
    if http2:
        _quieten()
    limits = httpx2.Limits(
        max_connections=None, max_keepalive_connections=None if reused else 0, keepalive_expiry=KEEP_ALIVE
    )

    def open_() -> httpx2.AsyncBaseTransport:
        return httpx2.AsyncHTTPTransport(
            verify=context or _default(http2), http2=http2, proxy=proxy, limits=limits, trust_env=False
        )

    return open_


@cache
def _default(http2: bool) -> ssl.SSLContext:
    """What the machine trusts. Reading that takes 20 ms; httpx2 notes in it which protocols are offered."""
    return ssl.create_default_context()


@cache
def _quieten() -> None:
    """Stops the debug messages of HTTP/2's header compression, which hold the headers, and so the key."""
    for name in ("hpack.hpack", "hpack.table"):
        logging.getLogger(name).addFilter(lambda record: record.levelno > logging.DEBUG)


class Slot:
    """One key's transport, and how many requests are using it."""

    __slots__ = ("carrier", "in_flight")
    carrier: httpx2.AsyncBaseTransport
    in_flight: int

    def __init__(self, carrier: httpx2.AsyncBaseTransport) -> None:
        self.carrier, self.in_flight = carrier, 0


class Slots:
    """The transports of one event loop, by key, and what is under way on them."""

    def __init__(self, open_: Open) -> None:
        self._open = open_
        self._slots: dict[object, Slot] = {}  # the one that was idle for longest comes first
        self._under_way = set[asyncio.Timeout]()

    @asynccontextmanager
    async def serving(self, key: object) -> AsyncIterator[httpx2.AsyncBaseTransport]:
        """The transport for a request that is signed with `key`. Ends by ClientClosedError when it is closed."""
        slot = self._slots[key] = self._slots.pop(key) if key in self._slots else Slot(self._open())
        slot.in_flight += 1
        limit = asyncio.timeout(None)  # it never runs out, but `aclose` lets it
        self._under_way.add(limit)
        try:
            async with limit:
                yield slot.carrier
        except TimeoutError:
            raise ClientClosedError("The transport was closed while this request was under way") from None
        finally:
            self._under_way.discard(limit)
            slot.in_flight -= 1
            await self._trim()

    async def aclose(self) -> None:
        """Ends the requests that are under way, and closes every connection."""
        for limit in self._under_way:
            limit.reschedule(0.0)
        for slot in [*self._slots.values()]:
            await slot.carrier.aclose()

    async def _trim(self) -> None:
        """Closes those that were idle for longest, where there are more than `KEYS`."""
        if (surplus := len(self._slots) - KEYS) > 0:
            idle = [key for key, slot in self._slots.items() if not slot.in_flight]
            for slot in [self._slots.pop(key) for key in idle[:surplus]]:  # out of reach before anything is awaited
                await slot.carrier.aclose()


async def held(open_: Open) -> AsyncGenerator[Slots]:
    """Yields room for transports, and closes them."""
    slots = Slots(open_)
    try:
        yield slots
    finally:
        await slots.aclose()
