"""Resources that belong to one event loop: opened for the running loop, and closed with it, without tasks."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from ..wire.errors import ClientClosedError
from ..wire.message import Headers

T = TypeVar("T")

INHERITED: list[object] = []
"""What a forked process got from its parent. It is kept: collecting it would write to the parent's event loop."""


class PerLoop(Generic[T]):
    """One `T`, for the running event loop.

    It comes from an asynchronous generator that yields it once and then closes it. An event loop finishes generators
    when it shuts down, so the connections of an `asyncio.run()` end with it even if nobody closed the client.
    """

    closed: bool

    def __init__(self, opened: Callable[[], AsyncGenerator[T]]) -> None:
        self.closed = False
        self._opened = opened
        self._loop: asyncio.AbstractEventLoop | None = None
        self._holder: AsyncGenerator[T] | None = None
        self._value: T | None = None
        self._opening: asyncio.Future[None] | None = None
        self._process = os.getpid()

    @property
    def unclosed(self) -> T | None:
        """The one that neither `aclose` nor its event loop has closed."""
        holder: Any = self._holder
        return None if holder is None or holder.ag_frame is None else self._value

    def current(self) -> T | None:
        """The one of the running event loop, if it is open. Call it before `open()`, because it is quick."""
        return self._value if self._loop is asyncio.get_running_loop() else None

    async def open(self) -> T:
        """Opens one for the running event loop, and closes that of another loop. Not allowed after `aclose`.

        Who comes meanwhile waits: opening takes longer than a call, and calls often begin by the hundred.
        """
        self._leave_to_parent()
        loop = asyncio.get_running_loop()
        while self._opening is not None and self._opening.get_loop() is loop:
            await asyncio.wait([self._opening])
        if (value := self.current()) is not None:
            return value
        if self.closed:
            raise ClientClosedError("The transport is closed; nothing was sent")
        opening = self._opening = loop.create_future()
        try:
            return await self._open(loop)
        finally:
            self._opening = None if self._opening is opening else self._opening
            opening.set_result(None)

    async def _open(self, loop: asyncio.AbstractEventLoop) -> T:
        last_loop, last, holder = self._loop, self._holder, self._opened()
        value = await anext(holder)
        if self.closed:  # in the meantime
            await holder.aclose()
            raise ClientClosedError("The transport is closed; nothing was sent")
        self._loop, self._holder, self._value = loop, holder, value
        if last is not None and last_loop is not None and last_loop.is_closed():
            with suppress(RuntimeError):  # resources of that loop can no longer be closed
                await last.aclose()
        return value

    async def aclose(self) -> None:
        """Closes it, if it belongs to this event loop or to one that is closed. Closing twice is allowed."""
        self._leave_to_parent()
        holder, self._holder, self._value, self.closed = self._holder, None, None, True
        if holder is None or self._loop is None:
            return
        if self._loop is asyncio.get_running_loop():
            await holder.aclose()
        elif self._loop.is_closed():
            with suppress(RuntimeError):
                await holder.aclose()

    def _leave_to_parent(self) -> None:
        """Forgets what was opened before a fork."""
        if self._process != os.getpid():
            INHERITED.append((self._loop, self._holder, self._value))
            self._loop = self._holder = self._value = None
            self._process = os.getpid()


MAX_HEADERS = 1024


def key_of(headers: Headers) -> int:
    """Identifies the API key that signed these headers, within this process."""
    return hash((headers.get("authorization"), headers.get("x-api-key")))


class PerHeaders(Generic[T]):
    """Caches what `make` returns for a Headers object: the requests of a client with one key share theirs."""

    def __init__(self, make: Callable[[Headers], T]) -> None:
        self._make = make
        self._known: dict[int, tuple[Headers, T]] = {}  # by id, which is unique while they are stored here

    def of(self, headers: Headers) -> T:
        """The cached value for these headers, or a new one."""
        known = self._known.get(id(headers))
        if known is None:
            if len(self._known) >= MAX_HEADERS:
                self._known.clear()
            known = self._known[id(headers)] = headers, self._make(headers)
        return known[1]
