"""The three ways to call a sandbox: an in-memory `Transport`, an ASGI application, an HTTP server on a loopback port.

They only adapt: routes.py decides. In-memory use does not need aiohttp.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from attrs import evolve, frozen

from ..wire.errors import AttemptTimeoutError, ConnectionLostError, PayloadError, TransportError
from ..wire.message import Headers, Request, Response
from .answers import Reply
from .routes import Handler, SandboxRequest

if TYPE_CHECKING:
    from aiohttp import web

Sleep = Callable[[float], Awaitable[object]]
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

CLOSING = 0.05  # seconds that requests in flight get when the server closes


def _read_request(method: str, path: str, headers: Headers) -> SandboxRequest:
    return SandboxRequest(method, path, headers.get("authorization", ""), headers.get("x-api-key", ""))


@frozen(eq=False, repr=False)
class SandboxTransport:
    """Sends requests to a sandbox in the same process: the method, path and headers of each, never the origin.

    Broken connections are returned as errors, not raised. A wait longer than `request.timeouts.read` becomes an
    AttemptTimeoutError after that time, like over a network. Every `send` lets other tasks run, so a loop of sends can
    be cancelled.
    """

    _handle: Handler
    _sleep: Sleep

    async def send(self, request: Request) -> Response | TransportError:
        reply = self._handle(_read_request(request.method, urlsplit(request.url).path, request.headers))
        await asyncio.sleep(0)
        read = request.timeouts.read
        if read is not None and reply.wait > read:
            await self._sleep(read)
            return AttemptTimeoutError(f"No answer within {read:g} s", reason="read")
        if reply.wait:
            await self._sleep(reply.wait)
        if reply.ends == "lost":
            return ConnectionLostError("The server closed the connection before it answered")
        if request.method == "HEAD":
            return evolve(reply.response, body=b"")
        if reply.ends == "cut":
            size = len(reply.response.body)
            return PayloadError("The body broke off", reason="cut", received=size // 2, expected=size)
        return reply.response

    async def aclose(self) -> None:
        """Nothing to release."""


class BrokenOffError(ConnectionError):
    """Raised by the ASGI application when a scripted fault breaks the connection.

    ASGI has no other way. Servers then close the connection if the response has begun ("cut"); most of them send a
    500 if it has not ("lost").
    """


@frozen(eq=False, repr=False)
class SandboxApp:
    """An ASGI 3 callable for the http and lifespan scopes. Raises NotImplementedError for other scopes."""

    _handle: Handler
    _sleep: Sleep

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for phase in ("startup", "shutdown"):  # servers wait for both; there is nothing to start or stop
                await receive()
                await send({"type": f"lifespan.{phase}.complete"})
        elif scope["type"] == "http":
            await self._http(scope, send)
        else:
            raise NotImplementedError(f"The sandbox speaks HTTP, not {scope['type']}.")

    async def _http(self, scope: Scope, send: Send) -> None:
        method: str = scope["method"]
        path: str = scope["raw_path"].decode("latin-1") if scope.get("raw_path") else quote(scope["path"])
        reply = self._handle(_read_request(method, _below(path, scope.get("root_path", "")), Headers(scope["headers"])))
        if reply.wait:
            await self._sleep(reply.wait)
        if reply.ends == "lost":
            raise BrokenOffError("A scripted fault: the connection broke before the first byte.")
        body, cut = reply.response.body, reply.ends == "cut" and method != "HEAD"
        headers = [(name.lower().encode(), value.encode()) for name, value in reply.response.headers.items()]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": reply.response.status, "headers": headers})
        body = b"" if method == "HEAD" else body[: len(body) // 2] if cut else body
        await send({"type": "http.response.body", "body": body, "more_body": cut})
        if cut:
            raise BrokenOffError("A scripted fault: the connection broke in the middle of the body.")


def _below(path: str, root: str) -> str:
    """The path without the prefix under which another application has mounted this one.

    `root` is decoded and the path is percent-encoded, so they are compared segment by segment.
    """
    segments, depth = path.split("/"), root.rstrip("/").count("/")
    if depth and unquote("/".join(segments[: depth + 1])) == root.rstrip("/"):
        return "/" + "/".join(segments[depth + 1 :])
    return path


@asynccontextmanager
async def serving(handle: Handler, sleep: Sleep, host: str, port: int) -> AsyncIterator[str]:
    """Serves over HTTP while the context is open; its value is the base URL. Closing cuts off requests in flight.

    Connections really break. aiohttp.web's low-level server calls `respond` for every path and method.
    """
    from aiohttp import web

    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        repeated = {name: ", ".join(request.headers.getall(name, ())) for name in ("Authorization", "X-API-Key")}
        reply = handle(_read_request(request.method, request.raw_path, Headers(repeated)))
        if reply.wait:
            await sleep(reply.wait)
        response = reply.response
        if reply.ends == "whole":
            return web.Response(status=response.status, headers=dict(response.headers), body=response.body)
        return await _broken(request, reply)

    runner = web.ServerRunner(web.Server(respond, handler_cancellation=True, access_log=None), shutdown_timeout=CLOSING)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
        bound: tuple[str, int] = runner.addresses[0][:2]
        yield f"http://[{bound[0]}]:{bound[1]}" if ":" in bound[0] else f"http://{bound[0]}:{bound[1]}"
    finally:
        await runner.cleanup()


async def _broken(request: "web.BaseRequest", reply: Reply) -> "web.StreamResponse":
    """Closes the connection before the response ("lost"), or after half of it ("cut")."""
    from aiohttp import web

    response = web.StreamResponse(status=reply.response.status, headers=dict(reply.response.headers))
    if reply.ends == "cut":
        body = reply.response.body
        response.content_length = len(body)
        await response.prepare(request)
        if request.method != "HEAD":
            await response.write(body[: len(body) // 2])
    request.protocol.force_close()
    return response  # aiohttp drops the rest, because the connection is closed
