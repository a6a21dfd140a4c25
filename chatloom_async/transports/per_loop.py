"""Keeps what belongs to one event loop: opened for whatever loop is running, and closed with it. Starts no tasks."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Generic, TypeVar

from ..wire.errors import ClientClosedError
from ..wire.message import Headers

T = TypeVar("T")


class PerLoop(Generic[T]):
    """One `T`, for the running event loop.

    It comes out of an asynchronous generator that yields it once and closes it then. An event loop finishes those
    when it shuts down, so the connections of an `asyncio.run()` end with it even where nobody closed the client.
    """

    closed: bool

    def __init__(self, opened: Callable[[], AsyncGenerator[T]]) -> None:
        self.closed = False
        self._opened = opened
        self._loop: asyncio.AbstractEventLoop | None = None
        self._holder: AsyncGenerator[T] | None = None
        self._value: T | None = None

    @property
    def is_open(self) -> bool:
        return self._holder is not None and not (self._loop and self._loop.is_closed())

    def known(self) -> T | None:
        """The one of the running event loop, if there is one. To be asked first, since it is quick."""
        return self._value if self._loop is asyncio.get_running_loop() else None

    async def here(self) -> T:
        """The one of the running event loop, opened now. That of another loop is left to it. Not after `aclose`."""
        if self.closed:
            raise ClientClosedError("The transport is closed; nothing was sent")
        self._loop, self._holder = asyncio.get_running_loop(), self._opened()
        self._value = value = await anext(self._holder)
        return value

    async def aclose(self) -> None:
        """Closes it, if it belongs to this event loop. Closing twice is fine."""
        holder, self._holder, self._value, self.closed = self._holder, None, None, True
        if holder is not None and self._loop is asyncio.get_running_loop():
            await holder.aclose()


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
