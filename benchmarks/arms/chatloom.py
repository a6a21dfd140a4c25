"""This client with everything on: limiter, retries, deadline, history and strict typed decoding.

The rate limit is so high that nothing ever waits, but it is asked for every call.
"""

from collections.abc import Callable
from contextlib import aclosing, asynccontextmanager
from importlib import import_module
from typing import Any

from chatloom_async import ApiKey, AsyncChatloom, ListAgents, RateLimit

from ..answers import KEY
from .interface import Opened, Opening

UNREACHED = RateLimit(per_second=1e6, burst=1_000_000, concurrency=100_000)


def client(url: str, transport: Any = None) -> AsyncChatloom:
    """A client at the server, without a limit that could be felt."""
    return AsyncChatloom(KEY, base_url=url, rate_limit=UNREACHED, transport=transport)


@asynccontextmanager
async def on_aiohttp(url: str) -> Opened:
    """The client as it is by default."""
    async with client(url) as chatloom:
        yield chatloom.list_agents


@asynccontextmanager
async def _on(url: str, transport: Any) -> Opened:
    async with aclosing(transport), client(url, transport) as chatloom:
        yield chatloom.list_agents


def on_shared_aiohttp(url: str) -> Opening:
    """Connections are not kept apart by key."""
    return _on(url, _transport("aiohttp")(share_connections=True))


def on_httpx2(url: str) -> Opening:
    """On the optional httpx2."""
    return _on(url, _transport("httpx2")())


def aiohttp_alone(url: str) -> Opening:
    """The default transport without the client: bytes for a signed request."""
    return _alone(url, _transport("aiohttp")())


@asynccontextmanager
async def _alone(url: str, transport: Any) -> Opened:
    signed = ApiKey(KEY).sign(ListAgents().request(url), "bearer")

    async def call() -> bytes:
        body: bytes = (await transport.send(signed)).body
        return body

    async with aclosing(transport):
        yield call


def _transport(name: str) -> Callable[..., Any]:
    """The transport that the package has under this name; ModuleNotFoundError where it has none (yet)."""
    module = import_module(f"chatloom_async.transports.{name}")
    made: Callable[..., Any] = getattr(module, f"{name.capitalize()}Transport")
    return made
