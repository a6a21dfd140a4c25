"""Runs an ASGI application in this event loop as a server does, from startup to shutdown, without a socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client for the running application. What its lifespan leaves in the state is in every request's scope."""
    state: dict[str, Any] = {}
    inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    outbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
    life = asyncio.create_task(app(scope, inbox.get, outbox.put))

    async def enter(phase: str) -> None:
        await inbox.put({"type": f"lifespan.{phase}"})
        assert await outbox.get() == {"type": f"lifespan.{phase}.complete"}

    async def with_state(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    await enter("startup")
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(with_state), base_url="http://app") as http:
            yield http
    finally:
        await enter("shutdown")
        await life
