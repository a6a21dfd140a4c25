"""HTTP clients other than aiohttp, without an SDK: one client object, `.json()`, room for every concurrent call."""

from contextlib import asynccontextmanager
from importlib import import_module

from ..answers import AGENTS, KEY
from .interface import Opened, Opening

HEADERS = {"Authorization": f"Bearer {KEY}"}


@asynccontextmanager
async def _httpx_like(name: str, url: str) -> Opened:
    library = import_module(name)
    limits = library.Limits(max_connections=None, max_keepalive_connections=None)
    async with library.AsyncClient(headers=HEADERS, limits=limits) as client:

        async def call() -> object:
            response = await client.get(url + AGENTS)
            response.raise_for_status()
            return response.json()

        yield call


def httpx(url: str) -> Opening:
    """httpx."""
    return _httpx_like("httpx", url)


def httpx2(url: str) -> Opening:
    """Its successor."""
    return _httpx_like("httpx2", url)


@asynccontextmanager
async def niquests(url: str) -> Opened:
    """niquests, whose protocol stack is urllib3-future."""
    from niquests import AsyncSession

    async with AsyncSession(headers=HEADERS, pool_maxsize=1000) as session:

        async def call() -> object:
            response = await session.get(url + AGENTS)
            response.raise_for_status()
            return response.json()

        yield call


@asynccontextmanager
async def pyreqwest(url: str) -> Opened:
    """pyreqwest: reqwest and tokio, seen from Python."""
    from pyreqwest.client import ClientBuilder

    async with ClientBuilder().default_headers(HEADERS).error_for_status(True).build() as client:

        async def call() -> object:
            response = await client.get(url + AGENTS).build().send()
            return await response.json()

        yield call
