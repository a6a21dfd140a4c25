"""Opens aiohttp sessions that do what is asked and nothing else.

What is switched off, and why: cookies, `trust_env` (a netrc entry breaks or leaks the authentication; a proxy is named
explicitly), aiohttp's own hidden repetition of requests (it doubles every attempt unseen), and its decompression (it
takes a truncated body for a whole one, and decompresses what was never asked for).
"""

import asyncio
from collections.abc import AsyncGenerator
from functools import partial
from math import inf
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.http_exceptions import HttpProcessingError
from multidict import istr

from .inflate import ACCEPTED

AUTHORIZATION, X_API_KEY = istr("Authorization"), istr("X-API-Key")

Sessions = AsyncGenerator[aiohttp.ClientSession, None]


def for_key(connections: ConnectionKey, key: object) -> ConnectionKey:
    """Those of one key among the connections that aiohttp would take for equal."""
    return connections._replace(proxy_headers_hash=hash((connections.proxy_headers_hash, key)))


class KeyedRequest(aiohttp.ClientRequest):
    """A request that shares connections only with requests of the same key.

    Bytes that a server sends unasked on an idle connection become the next request's answer. This way they can
    never become the answer to another key.
    """

    @property
    def connection_key(self) -> ConnectionKey:
        return for_key(super().connection_key, hash((self.headers.get(AUTHORIZATION), self.headers.get(X_API_KEY))))


class WatchedConnection(ResponseHandler):
    """Tells what aiohttp keeps to itself.

    The exception that ends an exchange bears a note of whether the answer had begun. And whoever reads a body hears
    of it when the body turns out not to be valid HTTP (the C parser forgets that reader) or when the connection is
    closed on this side (every parser does): otherwise it would wait until the attempt's time is up.
    """

    _begun = _interim = False
    _silent_until = inf

    def set_response_params(self, **options: Any) -> None:
        self._begun = False
        super().set_response_params(**options)

    def feed_data(self, data: Any, size: int = 0) -> None:
        self._interim = 100 <= data[0].code < 200
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        self._begun = True
        super().data_received(data)
        if self._interim:  # aiohttp takes it for the answer, and lifts the limit of silence
            self._interim = False
            self._reschedule_timeout()

    def set_exception(self, exc: BaseException, *cause: Any, **named: Any) -> None:
        exc.begun = self._begun  # type: ignore[attr-defined]
        if isinstance(exc, HttpProcessingError):
            self._end_body(exc)
        super().set_exception(exc, *cause, **named)

    def _reschedule_timeout(self) -> None:
        """The limit of silence, but with one timer for many requests: it is set anew when it rings too early."""
        self._silent_until = self._loop.time() + self._read_timeout if self._read_timeout else inf
        timer = self._read_timeout_handle
        if timer is not None and timer.when() > self._silent_until:
            timer.cancel()
            timer = None
        if timer is None and self._silent_until < inf:
            self._read_timeout_handle = self._loop.call_at(self._silent_until, self._ring)

    def _drop_timeout(self) -> None:
        self._silent_until = inf
        if self.transport is None or self.transport.is_closing():
            super()._drop_timeout()

    def _ring(self) -> None:
        self._read_timeout_handle = None
        if self._loop.time() >= self._silent_until:
            self._on_read_timeout()
        elif self._silent_until < inf:
            self._read_timeout_handle = self._loop.call_at(self._silent_until, self._ring)

    def close(self) -> None:
        self._end_body(aiohttp.ClientPayloadError("closed on this side"))
        super().close()

    def abort(self) -> None:
        self._end_body(aiohttp.ClientPayloadError("closed on this side"))
        super().abort()

    def _end_body(self, problem: BaseException) -> None:
        if self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(problem)


async def open_session(*, shared: bool, reused: bool = True) -> Sessions:
    """Yields one session, for the running loop, and closes it. Unless `shared`, its connections never mix keys; unless
    `reused`, each serves one request, which says so by `Connection: close`.

    The connections are not limited: whatever waits for one would count as slowness of the server. What is private
    in aiohttp and changed here, for want of a public switch, is held by tests on the wire.
    """
    connector = aiohttp.TCPConnector(limit=0, force_close=not reused)
    watched: Any = partial(WatchedConnection, loop=asyncio.get_running_loop())
    connector._factory = watched
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": ACCEPTED},
        request_class=aiohttp.ClientRequest if shared else KeyedRequest,
        auto_decompress=False,
        trust_env=False,
    )
    session._retry_connection = False
    try:
        yield session
    finally:
        await session.close()
