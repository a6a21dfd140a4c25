"""Keeps aiohttp's sessions: one per event loop and generation of keys. Starts no tasks: requests close what is over."""

import asyncio
from collections.abc import Callable

import aiohttp

from ..wire.errors import ClientClosedError
from .aiohttp_direct import DirectExchange
from .aiohttp_session import Sessions

KEYS_PER_SESSION = 64
SESSIONS = 2


class Generation:
    """One session and the keys it serves.

    The session is held by an asynchronous generator: an event loop finishes those when it shuts down, so the
    connections of an `asyncio.run()` end with it even where nobody closed the client.
    """

    def __init__(self, sessions: Sessions, session: aiohttp.ClientSession, direct: DirectExchange) -> None:
        self.session: aiohttp.ClientSession = session
        self.direct: DirectExchange = direct
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.keys: set[object] = set()
        self.in_flight: int = 0
        self._sessions = sessions

    def enter(self, key: object) -> None:
        """Counts one request in; who leaves takes it from `in_flight` again."""
        self.keys.add(key)
        self.in_flight += 1

    async def aclose(self) -> None:
        await self._sessions.aclose()


class Pool:
    """The generations that requests go to, for whatever event loop is running.

    A fan-out over thousands of keys would leave idle connections behind for each of them. After `KEYS_PER_SESSION`
    keys a new session takes over; the one before it still serves its own keys, so that a key keeps its connection
    from one call to the next, and the one before that closes when its last request is done.
    """

    def __init__(
        self, open_session: Callable[[], Sessions], direct: Callable[[aiohttp.ClientSession], DirectExchange]
    ) -> None:
        self.closed: bool = False
        self.open_session: Callable[[], Sessions] = open_session
        self._direct = direct
        self._current: list[Generation] = []  # the newest first
        self.retired: set[Generation] = set()

    @property
    def is_open(self) -> bool:
        return any(not each.session.closed for each in self._current)

    def serving(self, key: object) -> Generation | None:
        """The generation for requests signed with `key`, or None where one has to be opened."""
        if self.closed:
            raise ClientClosedError("The transport is closed; nothing was sent")
        if self._current and self._current[0].loop is not asyncio.get_running_loop():
            self._retire(0)
        for generation in self._current:
            if key in generation.keys:
                return generation
        newest = self._current[0] if self._current else None
        return newest if newest and len(newest.keys) < KEYS_PER_SESSION else None

    async def open(self) -> Generation:
        """A new generation."""
        self._retire(SESSIONS - 1)
        sessions = self.open_session()
        session = await anext(sessions)
        generation = Generation(sessions, session, self._direct(session))
        self._current.insert(0, generation)
        return generation

    async def close_idle(self) -> None:
        """Closes the retired generations that no request uses any more."""
        while idle := next((each for each in self.retired if not each.in_flight), None):
            self.retired.discard(idle)  # before the first await, so that nobody else closes it too
            await idle.aclose()

    async def aclose(self) -> None:
        """Closes every connection, those in use as well. Requests under way fail."""
        self.closed = True
        self._retire(0)
        while self.retired:
            await self.retired.pop().aclose()

    def _retire(self, kept: int) -> None:
        """All but the newest ones. Those of another event loop are dropped: that loop closes them, if it still can."""
        loop = asyncio.get_running_loop()
        self.retired.update(each for each in self._current[kept:] if each.loop is loop or each.loop.is_closed())
        del self._current[kept:]
