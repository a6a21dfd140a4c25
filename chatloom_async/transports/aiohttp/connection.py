"""The connections of a session: what they are reused for, how many there are, and how they end.

This file and session.py, which checks it, are the only ones that use private names of aiohttp.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from math import inf
from typing import Any, NoReturn

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from multidict import istr
from yarl import URL

from ...wire.errors import ConfigurationError
from ..network import ConnectionBound, ResumingContext, Turnstile
from .idle import IdleConnections
from .resolver import ThreadResolver

SUPPORTED = "aiohttp>=3.14.4,<3.15"
"""The versions that were tried, as in pyproject.toml."""

AUTHORIZATION, X_API_KEY = istr("Authorization"), istr("X-API-Key")


def for_key(connections: ConnectionKey, key: object) -> ConnectionKey:
    """The connections of one API key among those that aiohttp considers equal."""
    return connections._replace(proxy_headers_hash=hash((connections.proxy_headers_hash, key)))


class KeyedRequest(aiohttp.ClientRequest):
    """A request that shares connections only with requests of the same API key.

    Unsolicited bytes end an idle connection, but those that come at the moment of the next request may be taken for its
    answer. This class makes sure that they cannot be taken for the answer to a request with another key.
    """

    @property
    def owner(self) -> int:
        """Identifies the API key within this process."""
        return hash((self.headers.get(AUTHORIZATION), self.headers.get(X_API_KEY)))

    @property
    def connection_key(self) -> ConnectionKey:
        return for_key(super().connection_key, self.owner)


class Origin(aiohttp.ClientRequest):
    """The target of connections as the connector needs it: a request that is never sent. It holds no API key."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__("GET", URL(url, encoded=True), **options)
        self.host_field: str = f" HTTP/1.1\r\nHost: {self.headers['Host']}\r\n"
        self._place = self.connection_key
        index = self._place._fields.index("proxy_headers_hash")
        self._before, self._hash, self._after = self._place[:index], self._place[index], self._place[index + 1 :]

    def key_for(self, owner: object) -> tuple[object, ...]:
        """The connections of one API key, or of all for None. Equal to the `connection_key` of aiohttp's requests, but
        `_replace` takes 1 us."""
        return self._place if owner is None else (*self._before, hash((self._hash, owner)), *self._after)


MAX_INTERIM = 100
"""The answers with a status of 1xx that may come before the answer to a request."""


class TooManyInterimError(HttpProcessingError):
    """More than MAX_INTERIM interim answers to one request."""


class WatchedConnection(ResponseHandler):
    """One connection, with information that aiohttp does not report, and a bound for interim answers.

    The exception that ends an exchange has the attribute `begun`: whether the answer had begun. The reader of a body
    gets an exception if the body is not valid HTTP (the C parser forgets the reader) or if the connection is closed
    on this side (all parsers do); otherwise it would wait until the attempt times out.
    """

    __slots__ = (  # in the instance's dictionary they would take another 1.3 KB
        "_begun",
        "_interim",
        "_interims",
        "_silent_until",
        "_was_paused",
        "connections",
        "is_idle",
        "is_new",
        "owner",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.connections: Connections | None = None
        self.owner: object = None
        self.is_new: bool = True  # it has brought no answer yet
        self.is_idle: bool = False
        self._begun = self._interim = self._was_paused = False
        self._interims, self._silent_until = 0, inf

    def set_response_params(self, **options: Any) -> None:
        self.is_idle = self._begun = self._was_paused = False
        self._interims = 0
        super().set_response_params(**options)

    def rest(self) -> None:
        """Frees what belongs to the last exchange, which is a third of a connection's memory."""
        self.is_idle = True
        self._parser = self._payload = None

    def feed_data(self, data: Any, size: int = 0) -> None:
        self._interim = 100 <= data[0].code < 200
        self._interims += self._interim
        if self._interims <= MAX_INTERIM:
            super().feed_data(data, size)
            return
        self._interim = False
        self.close()
        self.set_exception(TooManyInterimError())

    def pause_reading(self) -> None:
        self._was_paused = True
        super().pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Does nothing if reading was never paused. aiohttp calls this twice for each answer, and then parses and
        resumes in any case: 2 % of a call's instructions."""
        if self._was_paused:
            super().resume_reading(resume_parser)

    def data_received(self, data: bytes) -> None:
        if self.is_idle:  # unsolicited, so it is not the answer to the next request
            self.close()
            return
        self._begun = True
        super().data_received(data)
        if self._interim:  # aiohttp takes it for the answer, and removes the read timeout
            self._interim = False
            self._reschedule_timeout()

    def set_exception(self, exc: BaseException, *cause: Any, **named: Any) -> None:
        exc.begun = self._begun  # type: ignore[attr-defined]
        if isinstance(exc, HttpProcessingError):
            self._end_body(exc)
        super().set_exception(exc, *cause, **named)

    def _reschedule_timeout(self) -> None:
        """The read timeout, with one timer for many requests: a timer that fires too early is set again."""
        self._silent_until = self._loop.time() + self._read_timeout if self._read_timeout else inf
        timer = self._read_timeout_handle
        if timer is not None and timer.when() > self._silent_until:
            timer.cancel()
            timer = None
        if timer is None and self._silent_until < inf:
            self._read_timeout_handle = self._loop.call_at(self._silent_until, self.ring)

    def _drop_timeout(self) -> None:
        self._silent_until = inf
        if self.transport is None or self.transport.is_closing():
            super()._drop_timeout()

    def ring(self) -> None:
        """Ends the exchange if the read timeout has passed, and otherwise continues to wait."""
        self._read_timeout_handle = None
        if self._loop.time() >= self._silent_until:
            self._on_read_timeout()
        elif self._silent_until < inf:
            self._read_timeout_handle = self._loop.call_at(self._silent_until, self.ring)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self.connections is not None:
            self.connections.lost(self)

    def close(self) -> None:
        """Frees the descriptor at once. A TLS peer is notified; asyncio would wait 30 s for its answer."""
        self._end_body(aiohttp.ClientPayloadError("closed on this side"))
        transport = self.transport
        super().close()
        if transport is not None:
            transport.abort()
            # asyncio's transports contain a reference to themselves. Without it they are freed at once, not by the
            # garbage collector: 20,000 connections, one after the other, take 2 MB instead of 6.
            getattr(transport, "__dict__", {}).pop("_read_ready_cb", None)

    def abort(self) -> None:
        self._end_body(aiohttp.ClientPayloadError("closed on this side"))
        super().abort()

    def _end_body(self, problem: BaseException) -> None:
        if self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(problem)


class Connections(aiohttp.TCPConnector):
    """The connections of one session. Their number is bounded, idle ones included: the one that was idle for longest
    is closed when a new one needs its place."""

    def __init__(
        self,
        bound: ConnectionBound,
        *,
        tls: ResumingContext | None = None,
        reused: bool = True,
        on_connect: Callable[[], object] | None = None,
    ) -> None:
        self.resolver: ThreadResolver = ThreadResolver()
        super().__init__(limit=0, force_close=not reused, resolver=self.resolver)
        loop = asyncio.get_running_loop()
        self._factory: Any = partial(WatchedConnection, loop=loop)
        self.bound: ConnectionBound = bound
        self.tls: ResumingContext | None = tls
        self.on_connect: Callable[[], object] | None = on_connect
        self.idle: IdleConnections[WatchedConnection] = IdleConnections(loop)
        self._connecting: set[asyncio.Timeout] = set()
        self._turnstile = Turnstile()

    def take(self, key: Hashable) -> WatchedConnection | None:
        """An idle connection for a request with this key. `release` gives it back."""
        while (connection := self.idle.take(key)) is not None:
            if connection.is_connected():  # else it is closing
                self._acquired.add(connection)
                return connection
        return None

    async def open(self, origin: Origin, owner: object, limits: aiohttp.ClientTimeout) -> WatchedConnection:
        """A new connection for a request with the API key `owner`. `release` gives it back."""
        await self._turnstile.turn()  # `limits` are for the connection, not for the wait
        try:
            async with asyncio.timeout(limits.connect):
                connection = await self._create_connection(origin, [], limits)
        except TimeoutError as late:
            raise aiohttp.ConnectionTimeoutError("Connection timeout") from late
        if self.closed:
            connection.close()
            raise aiohttp.ClientConnectionError("closed on this side")
        connection.owner = owner
        self._acquired.add(connection)
        return connection

    def release(self, key: Hashable, connection: WatchedConnection, *, should_close: bool = False) -> None:
        """Takes a connection back from a request, for the next one with this key if it can be reused."""
        self._acquired.discard(connection)
        if connection.is_new and not should_close:
            connection.is_new = False
            if self.tls and connection.transport is not None:
                self.tls.remember(connection.transport)
        if should_close or self._force_close or connection.should_close or self.closed:
            connection.close()
        else:
            connection.rest()
            self.idle.add(key, connection)

    async def _get(self, key: ConnectionKey, traces: Any) -> Any:
        """The same for aiohttp's session."""
        connection = self.take(key)
        if connection is None:  # aiohttp opens one; its limit includes this wait
            await self._turnstile.turn()
            return None
        taken = Connection(self, key, connection, self._loop)
        try:
            for trace in traces:
                await trace.send_connection_reuseconn()
        except BaseException:
            taken.close()
            raise
        return taken

    def _release(self, key: ConnectionKey, protocol: Any, *, should_close: bool = False) -> None:
        self.release(key, protocol, should_close=should_close)

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> WatchedConnection:  # noqa: ASYNC109
        while len(self.idle) and self.bound.is_exceeded(len(self.idle)):
            self.close_idle(next(iter(self.idle)))
            await asyncio.sleep(0)  # the event loop closes the socket in its next round
        with self.bound.opening():
            try:
                connection = await self._unless_closed(self._connect(req, traces, timeout))
            except aiohttp.ClientConnectorError:
                if self.tls:
                    self.tls.forget()
                raise
            if not isinstance(connection, WatchedConnection):
                unsupported("its connections are not of the configured class")
        connection.connections, connection.owner = self, getattr(req, "owner", None)
        if not connection.is_connected():  # lost already
            self.lost(connection)
        if self.on_connect:
            try:
                self.on_connect()
            except BaseException:  # nobody will give this connection back
                connection.close()
                raise
        return connection

    async def _connect(self, req: Any, traces: Any, limits: Any) -> ResponseHandler:
        return await super()._create_connection(req, traces, limits)

    async def _unless_closed(self, connecting: Coroutine[Any, Any, ResponseHandler]) -> ResponseHandler:
        """Ends it when the session closes. aiohttp would cancel the tasks that wait for a lookup, as if somebody had
        cancelled the requests, and complete the handshakes."""
        limit = asyncio.timeout(0.0 if self.closed else None)
        self._connecting.add(limit)
        try:
            async with limit:
                return await connecting
        except TimeoutError:  # only this limit is in here
            raise aiohttp.ClientConnectionError("closed on this side") from None
        finally:
            self._connecting.discard(limit)

    def close_idle(self, connection: WatchedConnection) -> None:
        """Closes an idle connection."""
        self.idle.remove(connection)
        connection.close()

    def close_idle_of(self, owner: object) -> None:
        """Closes the idle connections of one API key."""
        for connection in [idle for idle in self.idle if idle.owner == owner]:
            self.close_idle(connection)

    def lost(self, connection: WatchedConnection) -> None:
        """Forgets a connection that has ended."""
        connection.connections = None
        self.idle.remove(connection)
        self.bound.closed()

    async def close(self, *, abort_ssl: bool = False) -> None:
        in_use: set[ResponseHandler] = getattr(self, "_acquired", set())
        in_use.update(self.idle)  # aiohttp closes these, and waits for their end
        for limit in self._connecting:
            limit.reschedule(0.0)
        await super().close(abort_ssl=abort_ssl)
        await self.resolver.close()

    def __del__(self, *_: object) -> None:
        """Replaces aiohttp's warning: the transport gives one."""


def unsupported(what: str) -> NoReturn:
    """The error for an aiohttp that would break a guarantee."""
    raise ConfigurationError(f"aiohttp {aiohttp.__version__} cannot be used: {what}. Install {SUPPORTED}")
