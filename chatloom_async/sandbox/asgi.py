"""The sandbox as an ASGI 3 application: for uvicorn and the like, and for mounting in a host application.

Decides nothing. ASGI knows no broken connections: see `BrokenOffError`.
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
    """Raised out of the application where a scripted fault breaks the connection.

    It is the one way that ASGI leaves. Servers then close a connection whose answer has begun ("cut"), but
    most of them answer 500 where none has ("lost").
    """


class SandboxApp:
    """An ASGI 3 callable for the http and lifespan scopes; others are refused by NotImplementedError."""

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
            raise BrokenOffError("A scripted fault: closed before the first byte.")
        await _send(send, scripted.response, scope["method"], cut=scripted.ends == "cut" and scope["method"] != "HEAD")


def _below(path: str, root: str) -> str:
    """The path without that under which a host application has mounted this one.

    `root` is decoded text, while the path is percent-encoded, so they are compared segment by segment.
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
        raise BrokenOffError("A scripted fault: broken off in the middle of the body.")


async def _lifespan(receive: Receive, send: Send) -> None:
    """Nothing to start or stop, but a server waits for both to be confirmed."""
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})
