"""The sandbox as an in-memory `Transport`.

It uses the method, path and headers of a request, never the origin. It only adapts: routes.py decides.
"""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from attrs import evolve

from ..wire.errors import AttemptTimeoutError, ConnectionLostError, PayloadError, TransportError
from ..wire.message import Request, Response
from .faults import Scripted
from .routes import Handler, SandboxRequest

Sleep = Callable[[float], Awaitable[object]]


class SandboxTransport:
    """Sends requests to a sandbox in the same process. Broken connections are returned as errors, not raised.

    A wait longer than `request.timeouts.read` becomes an AttemptTimeoutError after that time, like over a network.
    Every `send` lets other tasks run, so a loop of sends can be cancelled.
    """

    def __init__(self, answer: Handler, sleep: Sleep) -> None:
        self._answer = answer
        self._sleep = sleep

    async def send(self, request: Request) -> Response | TransportError:
        path, headers = urlsplit(request.url).path, request.headers
        asked = SandboxRequest(request.method, path, headers.get("authorization", ""), headers.get("x-api-key", ""))
        answer = self._answer(asked)
        await asyncio.sleep(0)
        if isinstance(answer, Scripted):
            outcome = await self._played(answer, request)
        else:
            outcome = answer
        if request.method == "HEAD" and isinstance(outcome, Response):
            return evolve(outcome, body=b"")
        return outcome

    async def _played(self, scripted: Scripted, request: Request) -> Response | TransportError:
        read = request.timeouts.read
        if read is not None and scripted.wait > read:
            await self._sleep(read)
            return AttemptTimeoutError(f"No answer within {read:g} s", reason="read")
        if scripted.wait:
            await self._sleep(scripted.wait)
        size = len(scripted.response.body)
        if scripted.ends == "lost":
            return ConnectionLostError("The server closed the connection before it answered")
        if scripted.ends == "cut" and request.method != "HEAD":
            return PayloadError("The body broke off", reason="cut", received=size // 2, expected=size)
        return scripted.response

    async def aclose(self) -> None:
        """Nothing to release."""
