"""The types of watch and of the helpers for hosts, pinned: read by mypy --strict and pyright, and never run."""

from typing import assert_type

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request

from chatloom_async import (
    Agent,
    AgentAdded,
    AgentChanged,
    AgentList,
    AgentRemoved,
    AsyncChatloom,
    DomainsChanged,
    Exchange,
    ListAgents,
    watch,
)
from chatloom_async.contrib.asgi import chatloom
from chatloom_async.contrib.fastapi import Chatloom, lifespan
from chatloom_async.contrib.opentelemetry import InstrumentedChatloom, Telemetry


async def watching(client: AsyncChatloom) -> None:
    async for event in watch(client, 30.0, initial=True):
        assert_type(event, AgentAdded | AgentRemoved | AgentChanged | DomainsChanged)
        match event:
            case AgentAdded(agent, domains):
                assert_type(agent, Agent)
                assert_type(domains, tuple[str, ...])
            case AgentChanged(before, after):
                assert_type((before, after), tuple[Agent, Agent])
            case DomainsChanged(agent, added, removed):
                assert_type((agent, added, removed), tuple[Agent, tuple[str, ...], tuple[str, ...]])
            case AgentRemoved():
                assert_type(event.agent, Agent)


class Observed(InstrumentedChatloom):
    telemetry = Telemetry()


async def hosts(request: Request) -> None:
    FastAPI(lifespan=lifespan())
    Starlette(lifespan=lifespan(lambda: Observed(deadline=10.0)))
    assert_type(chatloom(request), AsyncChatloom)
    async with Observed("clf_1") as client:
        assert_type(await client.exchange(ListAgents()), Exchange[AgentList])
        assert_type(client.with_key("clf_2"), Observed)
    Observed("clf_1", "https://chatloom.app")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def operation(agent_id: str, client: Chatloom) -> list[str]:
    return [*await client.get_allowed_domains(agent_id)]
