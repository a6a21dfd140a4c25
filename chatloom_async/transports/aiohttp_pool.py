"""Keeps aiohttp's sessions: one per event loop and generation of keys, with connections that never mix keys."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import aiohttp
from aiohttp.client_reqrep import ConnectionKey

KEYS_PER_SESSION = 64

Sessions = AsyncGenerator[aiohttp.ClientSession, None]


class KeyedRequest(aiohttp.ClientRequest):
    """A request that shares connections only with requests of the same key.

    Bytes that a server sends unasked on an idle connection become the next request's answer. This way they can
    never become the answer to another key.
    """

    @property
    def connection_key(self) -> ConnectionKey:
        key = super().connection_key
        credentials = self.headers.get("Authorization"), self.headers.get("X-API-Key")
        return key._replace(proxy_headers_hash=hash((key.proxy_headers_hash, credentials)))


class Generation:
    """One session and the keys it serves. Retired, it finishes what is under way and closes.

    The session is held by an asynchronous generator: an event loop finishes those when it shuts down, so the
    connections of an `asyncio.run()` end with it even where nobody closed the client.
    """

    def __init__(self, sessions: Sessions, session: aiohttp.ClientSession, loop: asyncio.AbstractEventLoop) -> None:
        self.session, self.loop = session, loop
        self.keys: set[object] = set()
        self.in_flight = 0
        self.retired = False
        self._sessions = sessions

    async def aclose(self) -> None:
        await self._sessions.aclose()


class Pool:
    """The generation that new requests go to, for whatever event loop is running.

    A fan-out over thousands of keys would leave idle connections behind for each of them; after `KEYS_PER_SESSION`
    keys a new session takes over, and the old one closes as soon as its last request is done.
    """

    def __init__(self, open_session: Callable[[], Sessions]) -> None:
        self._open_session = open_session
        self._current: Generation | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def is_open(self) -> bool:
        return self._current is not None and not self._current.session.closed

    async def enter(self, key: object) -> Generation:
        """The generation for a request signed with `key`; give it back by `leave`."""
        current, loop = self._current, asyncio.get_running_loop()
        if current is None or current.loop is not loop:
            current = await self._renew(loop)
        elif key not in current.keys and len(current.keys) >= KEYS_PER_SESSION:
            self._retire(current)
            current = await self._renew(loop)
        current.keys.add(key)
        current.in_flight += 1
        return current

    def leave(self, generation: Generation) -> None:
        generation.in_flight -= 1
        if generation.retired and not generation.in_flight:
            self._close(generation)

    async def aclose(self) -> None:
        current, self._current = self._current, None
        if current is not None:
            await current.aclose()
        if self._closing:
            await asyncio.wait(self._closing)

    async def _renew(self, loop: asyncio.AbstractEventLoop) -> Generation:
        sessions = self._open_session()
        self._current = Generation(sessions, await anext(sessions), loop)
        return self._current

    def _retire(self, generation: Generation) -> None:
        generation.retired = True
        if not generation.in_flight:
            self._close(generation)

    def _close(self, generation: Generation) -> None:
        task = asyncio.create_task(generation.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
