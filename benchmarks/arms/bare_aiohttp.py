"""aiohttp without an SDK: the bytes alone, `.json()`, and what a careful user writes by hand.

The connection limit is off in all arms that let us, since it would turn 256 concurrent calls into 100.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import aiohttp
from attrs import frozen

from ..answers import AGENTS, KEY
from .interface import Opened

HEADERS = {"Authorization": f"Bearer {KEY}"}


@asynccontextmanager
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A session as the aiohttp arms have it: signed, and with any number of connections."""
    async with aiohttp.ClientSession(headers=HEADERS, connector=aiohttp.TCPConnector(limit=0)) as opened:
        yield opened


@asynccontextmanager
async def bytes_only(url: str) -> Opened:
    """No check, no decoding: what every client on aiohttp must cost at least."""
    async with session() as http:

        async def call() -> bytes:
            async with http.get(url + AGENTS) as response:
                return await response.read()

        yield call


@asynccontextmanager
async def json(url: str) -> Opened:
    """What aiohttp's documentation shows."""
    async with session() as http:

        async def call() -> object:
            async with http.get(url + AGENTS) as response:
                response.raise_for_status()
                return await response.json()

        yield call


@frozen
class Agent:
    """One agent, typed by hand."""

    id: str
    name: str
    primary_color: str
    secondary_color: str
    position: str
    template: str
    status: str
    created_at: datetime


@frozen
class AgentList:
    """The answer, typed by hand."""

    agents: list[Agent]
    count: int


@asynccontextmanager
async def by_hand(url: str) -> Opened:
    """What a careful user writes: typed, with cattrs' own idea of strictness."""
    from cattrs.gen import make_dict_structure_fn, override
    from cattrs.preconf.orjson import make_converter

    converter = make_converter()
    names = {"primary_color": "primaryColor", "secondary_color": "secondaryColor", "created_at": "createdAt"}
    renamed: Any = {name: override(rename=other) for name, other in names.items()}
    converter.register_structure_hook(Agent, make_dict_structure_fn(Agent, converter, **renamed))
    async with session() as http:

        async def call() -> AgentList:
            async with http.get(url + AGENTS) as response:
                response.raise_for_status()
                return converter.loads(await response.read(), AgentList)

        yield call
