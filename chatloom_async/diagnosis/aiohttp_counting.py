"""The default transport, which also counts the connections that it opens: the one way to see keep-alive from here."""

import ssl
from contextlib import aclosing
from typing import Any

import aiohttp

from ..transports.aiohttp.connection import Sessions, open_session
from ..transports.aiohttp.transport import AiohttpTransport


class CountingTransport(AiohttpTransport):
    """`opened` is the number of connections so far, TLS handshakes included."""

    def __init__(self, *, ssl: ssl.SSLContext | None = None) -> None:
        super().__init__(ssl=ssl, name=type(self).__name__)
        self.opened: int = 0
        self._pool.open_session = self._sessions

    async def _sessions(self) -> Sessions:
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(self._count)
        trace.freeze()
        async with aclosing(open_session(shared=False)) as sessions:
            session = await anext(sessions)
            session.trace_configs.append(trace)
            yield session

    async def _count(self, *_: Any) -> None:
        self.opened += 1
