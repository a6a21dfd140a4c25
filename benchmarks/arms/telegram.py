"""aiogram with a method and types of its own kind: pydantic models, a POST with the method's name as path."""

from contextlib import asynccontextmanager
from datetime import datetime

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.methods.base import TelegramMethod
from aiogram.types.base import TelegramObject
from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from ..answers import TELEGRAM
from .interface import Opened


class Agent(TelegramObject):
    """One agent, as aiogram types are written."""

    model_config = ConfigDict(alias_generator=to_camel)

    id: str
    name: str
    primary_color: str
    secondary_color: str
    position: str
    template: str
    status: str
    created_at: datetime


class AgentList(TelegramObject):
    """The answer, as aiogram types are written."""

    agents: list[Agent]
    count: int


class GetAgents(TelegramMethod[AgentList]):
    """The method, as aiogram methods are written."""

    __returning__ = AgentList
    __api_method__ = "getAgents"


@asynccontextmanager
async def bot(url: str) -> Opened:
    """A bot whose API server is ours."""
    folder, _, _ = TELEGRAM.rpartition("/")
    server = TelegramAPIServer(base=f"{url}{folder}/{{method}}", file=url)
    async with Bot("42:benchmark", session=AiohttpSession(api=server, limit=1000)) as telegram:

        async def call() -> object:
            return await telegram(GetAgents())

        yield call
