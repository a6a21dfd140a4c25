"""elastic-transport, what Elasticsearch's asynchronous SDK stands on, with its aiohttp node."""

from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from elastic_transport import AiohttpHttpNode, AsyncTransport, NodeConfig

from ..answers import AGENTS, KEY
from .interface import Opened

HEADERS = {"accept": "application/json", "authorization": f"Bearer {KEY}"}


@asynccontextmanager
async def perform(url: str) -> Opened:
    """The call that Elasticsearch's SDK makes for each of its methods."""
    place = urlsplit(url)
    node = NodeConfig(place.scheme, place.hostname or "", place.port or 80, connections_per_node=1000)
    transport = AsyncTransport([node], node_class=AiohttpHttpNode)

    async def call() -> object:
        _, answer = await transport.perform_request("GET", AGENTS, headers=HEADERS)
        return answer

    try:
        yield call
    finally:
        await transport.close()
