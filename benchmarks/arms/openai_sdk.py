"""OpenAI's SDK with a path and models of ours, over its default HTTP client and over its aiohttp back end."""

from contextlib import asynccontextmanager
from datetime import datetime

from openai import AsyncOpenAI, BaseModel, DefaultAioHttpClient
from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from ..answers import AGENTS, KEY
from .interface import Opened, Opening


class Agent(BaseModel):
    """One agent, as a model of this SDK."""

    model_config = ConfigDict(alias_generator=to_camel)

    id: str
    name: str
    primary_color: str
    secondary_color: str
    position: str
    template: str
    status: str
    created_at: datetime


class AgentList(BaseModel):
    """The answer, as a model of this SDK."""

    agents: list[Agent]
    count: int


@asynccontextmanager
async def _calls(client: AsyncOpenAI) -> Opened:
    async with client:

        async def call() -> object:
            return await client.get(AGENTS, cast_to=AgentList)

        yield call


def on_httpx(url: str) -> Opening:
    """The SDK as it is by default."""
    return _calls(AsyncOpenAI(api_key=KEY, base_url=url))


def on_aiohttp(url: str) -> Opening:
    """The SDK with its aiohttp back end."""
    return _calls(AsyncOpenAI(api_key=KEY, base_url=url, http_client=DefaultAioHttpClient()))
