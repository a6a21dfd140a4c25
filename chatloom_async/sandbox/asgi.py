"""The sandbox as an ASGI 3 application, to run under uvicorn or to mount in another application.

It only adapts: routes.py decides. ASGI cannot break a connection: see `BrokenOffError`.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote, unquote

from ..wire.message import Headers, Response
from .faults import Scripted
from .routes import Handler, SandboxRequest
from .transport import Sleep

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class BrokenOffError(ConnectionError):
    """Raised by the application when a scripted fault breaks the connection.

    ASGI has no other way. Servers then close the connection if the response has begun ("cut"); most of them send a
    500 if it has not ("lost").
    """


class SandboxApp:
    """An ASGI 3 callable for the http and lifespan scopes. Raises NotImplementedError for other scopes."""

    def __init__(self, answer: Handler, sleep: Sleep) -> None:
        self._answer = answer
        self._sleep = sleep

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, send)
        else:
            raise NotImplementedError(f"The sandbox speaks HTTP, not {scope['type']}.")

    async def _http(self, scope: Scope, send: Send) -> None:
        headers = Headers(scope["headers"])
        path: str = scope["raw_path"].decode("latin-1") if scope.get("raw_path") else quote(scope["path"])
        path = _below(path, scope.get("root_path", ""))
        asked = SandboxRequest(scope["method"], path, headers.get("authorization", ""), headers.get("x-api-key", ""))
        answer = self._answer(asked)
        scripted = answer if isinstance(answer, Scripted) else Scripted(answer)
        if scripted.wait:
            await self._sleep(scripted.wait)
        if scripted.ends == "lost":
            raise BrokenOffError("A scripted fault: the connection broke before the first byte.")
        await _send(send, scripted.response, scope["method"], cut=scripted.ends == "cut" and scope["method"] != "HEAD")


def _below(path: str, root: str) -> str:
    """The path without the prefix under which another application has mounted this one.

    `root` is decoded and the path is percent-encoded, so they are compared segment by segment.
    """
    segments, depth = path.split("/"), root.rstrip("/").count("/")
    if depth and unquote("/".join(segments[: depth + 1])) == root.rstrip("/"):
        return "/" + "/".join(segments[depth + 1 :])
    return path


async def _send(send: Send, response: Response, method: str, *, cut: bool = False) -> None:
    body = b"" if method == "HEAD" else response.body
    pairs = [(name.lower().encode(), value.encode()) for name, value in response.headers.items()]
    pairs.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body[: len(body) // 2] if cut else body, "more_body": cut})
    if cut:
        raise BrokenOffError("A scripted fault: the connection broke in the middle of the body.")


async def _lifespan(receive: Receive, send: Send) -> None:
    """Confirms startup and shutdown, which servers wait for. There is nothing to start or stop."""
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})
