"""The three skins of a sandbox, each as one function that sends a request and says what came of it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import httpx

from chatloom_async.sandbox import Sandbox
from chatloom_async.wire.auth import ApiKey
from chatloom_async.wire.errors import ConnectionLostError, PayloadError
from chatloom_async.wire.message import Request, Response

Got = tuple[int, Mapping[str, str], bytes] | str
Send = Callable[[str, str, Mapping[str, str]], Awaitable[Got]]
Ask = Callable[..., Awaitable[Any]]  # the fixture in conftest.py


class Clock:
    """A clock that stands still until told otherwise, and a sleep that only writes down."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def bearer(key: ApiKey) -> dict[str, str]:
    """The recommended header."""
    return {"Authorization": f"Bearer {key.reveal()}"}


@asynccontextmanager
async def in_memory(sandbox: Sandbox) -> AsyncIterator[Send]:
    """Through the `Transport`, without a network."""
    transport = sandbox.transport()

    async def send(method: str, path: str, headers: Mapping[str, str]) -> Got:
        answer = await transport.send(Request(method, f"https://chatloom.app{path}", headers))
        if isinstance(answer, Response):
            return answer.status, answer.headers, answer.body
        return {PayloadError: "cut", ConnectionLostError: "lost"}[type(answer)]

    yield send
    await transport.aclose()


@asynccontextmanager
async def over_a_socket(sandbox: Sandbox) -> AsyncIterator[Send]:
    """Through the real server, with aiohttp's client."""
    async with sandbox.serve() as url, aiohttp.ClientSession() as session:
        session._retry_connection = False  # else aiohttp repeats a lost request by itself

        async def send(method: str, path: str, headers: Mapping[str, str]) -> Got:
            try:
                async with session.request(method, url + path, headers=headers, allow_redirects=False) as answer:
                    return answer.status, answer.headers, await answer.read()
            except aiohttp.ClientPayloadError:
                return "cut"
            except aiohttp.ServerDisconnectedError:
                return "lost"

        yield send


@asynccontextmanager
async def over_asgi(sandbox: Sandbox) -> AsyncIterator[Send]:
    """Through the ASGI application, with httpx."""
    started = False

    def app(scope: Any, receive: Any, send: Any) -> Any:
        async def noting(message: Any) -> None:
            nonlocal started
            started = True
            await send(message)

        return sandbox.asgi()(scope, receive, noting)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox.test") as client:

        async def send(method: str, path: str, headers: Mapping[str, str]) -> Got:
            nonlocal started
            started = False
            try:
                answer = await client.request(method, path, headers=headers)
            except ConnectionError:
                return "cut" if started else "lost"
            return answer.status_code, answer.headers, answer.content

        yield send


SKINS = {"memory": in_memory, "socket": over_a_socket, "asgi": over_asgi}
