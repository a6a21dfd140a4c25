"""One client for the lifetime of a Starlette or FastAPI application, in the ASGI lifespan state.

It imports no framework. The FastAPI dependency is in fastapi.py.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from ..client import AsyncChatloom
from ..wire.errors import UsageError


class Connection(Protocol):
    """A request or WebSocket; only its state is used."""

    @property
    def state(self) -> Any: ...


def lifespan(
    connect: Callable[[], AsyncChatloom] = AsyncChatloom,
) -> Callable[[object], AbstractAsyncContextManager[dict[str, AsyncChatloom]]]:
    """A lifespan that opens one client when the application starts, and closes it when the application ends.

        app = Starlette(routes=..., lifespan=lifespan(lambda: AsyncChatloom(deadline=10.0)))

    `connect` makes a new client at each start. In your own lifespan, enter this one and pass its state on:

        async with lifespan()(app) as state, open_database() as database:
            yield {**state, "database": database}
    """

    @asynccontextmanager
    async def opened(app: object) -> AsyncIterator[dict[str, AsyncChatloom]]:
        async with connect() as client:
            yield {"chatloom": client}

    return opened


def chatloom(request: Connection) -> AsyncChatloom:
    """The application's client. Raises UsageError if the application has none."""
    client = getattr(request.state, "chatloom", None)
    if not isinstance(client, AsyncChatloom):
        raise UsageError("This application has no client: pass it lifespan=lifespan(), and let its server run that")
    return client
