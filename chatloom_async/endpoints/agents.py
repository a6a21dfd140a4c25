"""Agents and their allowed domains: the two endpoints of the API's v1."""

from collections.abc import Container, Iterator, Mapping
from datetime import datetime
from typing import ClassVar, Final, overload

from attrs import frozen

from ..wire.encode import Model
from ..wire.endpoint import Endpoint

POSITIONS: Final = ("bottom-right", "bottom-left", "top-right", "top-left")
STATUS_ACTIVE: Final = "active"


@frozen
class Agent(Model):
    """One agent of a workspace, as its widget shows it.

    `position` is one of `POSITIONS`, `status` is "usually active" and `template` is the name of a widget template.
    All three are plain strings, so a new value is not an error.
    The colours are hex strings such as "#611F69"; `created_at` is an aware datetime.

        agent = (await chatloom.list_agents()).agents[0]
        print(agent.name, agent.primary_color, agent.created_at.year)  # Account Recovery #BE185D 2026
    """

    id: str
    name: str
    primary_color: str
    secondary_color: str
    position: str
    template: str
    status: str
    created_at: datetime


@frozen
class AgentList(Model):
    """Every agent of the workspace, newest first. Iterable, with `len()`, indices and slices.

    `count` is the number in the answer. The documentation says that it equals the number of agents; `complete` is False
    if it does not, or if an id occurs twice.

        agents = await chatloom.list_agents()
        print(len(agents), agents.complete)  # 2 True
        print([agent.name for agent in agents], agents[-1].name)  # ['Account Recovery', 'Returns Desk'] Returns Desk
        print(agents.by_id[agents[0].id].name)  # Account Recovery
    """

    agents: tuple[Agent, ...]
    count: int

    @property
    def complete(self) -> bool:
        return self.count == len(self.agents) == len({agent.id for agent in self.agents})

    @property
    def by_id(self) -> Mapping[str, Agent]:
        """The agents by id, as a new dictionary each time."""
        return {agent.id: agent for agent in self.agents}

    def __iter__(self) -> Iterator[Agent]:
        return iter(self.agents)

    def __len__(self) -> int:
        return len(self.agents)

    @overload
    def __getitem__(self, index: int) -> Agent: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Agent, ...]: ...

    def __getitem__(self, index: int | slice) -> Agent | tuple[Agent, ...]:
        return self.agents[index]


@frozen
class AllowedDomains(Model):
    """The domains on which one agent's widget may load, oldest first. Iterable, with `len()`, `in`, indices and slices.

    The documentation does not say what an empty list means.

        agents = await chatloom.list_agents()
        domains = await chatloom.get_allowed_domains(agents.agents[1].id)
        print(len(domains), [*domains], "evil.example" in domains)  # 1 ['workspace-0.example'] False
    """

    domains: tuple[str, ...]

    def __iter__(self) -> Iterator[str]:
        return iter(self.domains)

    def __len__(self) -> int:
        return len(self.domains)

    def __contains__(self, domain: object) -> bool:
        return domain in self.domains

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...

    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        return self.domains[index]


@frozen
class ListAgents(Endpoint[AgentList]):
    """Every agent in the workspace of the key, newest first: GET /api/plugin/agents.

    There are two ways to call it:

        agents = await chatloom.list_agents()
        agents = await chatloom.send(ListAgents())          # the same
    """

    path = "/api/plugin/agents"
    success: ClassVar[Container[int]] = (200,)


@frozen
class GetAllowedDomains(Endpoint[AllowedDomains]):
    """The allowed domains of one agent: GET /api/plugin/agents/{agentId}/allowed-domains.

    Raises NotFoundError for an agent that does not exist or belongs to another workspace.

        agents = await chatloom.list_agents()
        domains = await chatloom.get_allowed_domains(agents.agents[0].id)
    """

    path = "/api/plugin/agents/{agent_id}/allowed-domains"
    success: ClassVar[Container[int]] = (200,)

    agent_id: str
