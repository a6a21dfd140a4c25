"""gidgethub, the SDK of GitHub's API, on a session of the user's, as its documentation shows."""

from contextlib import asynccontextmanager

from gidgethub.aiohttp import GitHubAPI

from ..answers import AGENTS, KEY
from .bare_aiohttp import session
from .interface import Opened


@asynccontextmanager
async def getitem(url: str) -> Opened:
    """The call for a single resource."""
    async with session() as http:
        api = GitHubAPI(http, "benchmark", oauth_token=KEY, base_url=url)

        async def call() -> object:
            return await api.getitem(AGENTS)

        yield call
