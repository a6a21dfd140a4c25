"""slack_sdk on a session of the user's: without one it opens a connection for every call. The token goes as Bearer."""

from contextlib import asynccontextmanager

from slack_sdk.web.async_client import AsyncWebClient

from ..answers import KEY, SLACK
from .bare_aiohttp import session
from .interface import Opened


@asynccontextmanager
async def api_call(url: str) -> Opened:
    """The call that every method of this SDK makes."""
    folder, _, method = SLACK.rpartition("/")
    async with session() as http:
        client = AsyncWebClient(token=KEY, base_url=url + folder, session=http)

        async def call() -> object:
            return await client.api_call(method, http_verb="GET")

        yield call
