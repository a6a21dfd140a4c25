"""The agents of one workspace, and the changes that the dashboard would make to them.

Agents are generated from the seed whenever somebody looks, and kept only once one was changed: 20,000
workspaces cost little more than their 20,000 keys.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Unpack

from attrs import evolve, frozen

from ..wire.errors import ConfigurationError
from .answers import Pages, listed
from .data import id_text, seeded_agents
from .stored import TODAY, AgentChanges, NewAgent, StoredAgent


@frozen
class Origin:
    """What seeded data comes from: the sandbox's seed, and the share of agents with something wrong (0 to 1)."""

    seed: int
    trouble: float


class WorkspaceAgents:
    """The agents of the workspace `name`: as many as wished from the seed, then changed by hand.

    `pages` are the finished answers, or None until somebody asks; every change drops them.
    """

    __slots__ = ("_count", "_edited", "_made", "_origin", "name", "pages")

    def __init__(self, name: str, count: int, origin: Origin) -> None:
        self.name: str = name
        self.pages: Pages | None = None
        self._origin, self._count, self._made = origin, count, count
        self._edited: list[StoredAgent] | None = None

    @property
    def agents(self) -> tuple[StoredAgent, ...]:
        """The agents as the API lists them, newest first."""
        return tuple(listed(self._stored()))

    def _stored(self) -> list[StoredAgent]:
        """In the order in which they were added."""
        if self._edited is not None:
            return self._edited
        return seeded_agents(self._origin.seed, self.name, self._count, self._origin.trouble)

    def _store(self, agents: list[StoredAgent]) -> None:
        self._edited, self._count, self.pages = agents, len(agents), None

    def add_agent(self, **fields: Unpack[NewAgent]) -> StoredAgent:
        """Adds an agent and returns it; what is not given is as in the documentation's example, with no domains.

        `created_at` is a fixed day, a minute later with each agent, so that the last one added is the newest.
        Raises ConfigurationError for an id that is taken, TypeError for a field that does not exist.
        """
        agents = self._stored()
        fresh: NewAgent = {
            "id": id_text(self._origin.seed, self.name, self._made),
            "created_at": TODAY + timedelta(minutes=self._made),
        }
        fresh.update(fields)
        agent = StoredAgent(**fresh)
        if any(other.id == agent.id for other in agents):
            raise ConfigurationError(f"Workspace {self.name!r} already has an agent {agent.id!r}")
        self._made += 1
        self._store([*agents, agent])
        return agent

    def update_agent(self, agent_id: str, **changes: Unpack[AgentChanges]) -> StoredAgent:
        """Renames, recolours or otherwise changes an agent, and returns it. Raises KeyError where there is none."""
        return self._replace(agent_id, lambda agent: evolve(agent, **changes))

    def allow_domain(self, agent_id: str, domain: str) -> StoredAgent:
        """Adds a domain at the end of an agent's list, even where it is on it. Raises KeyError for no such agent."""
        return self._replace(agent_id, lambda agent: evolve(agent, domains=(*agent.domains, domain)))

    def disallow_domain(self, agent_id: str, domain: str) -> StoredAgent:
        """Takes a domain off an agent's list, every time it is on it. Raises KeyError where it is not."""
        return self._replace(agent_id, lambda agent: evolve(agent, domains=_without(agent.domains, domain)))

    def remove_agent(self, agent_id: str) -> StoredAgent:
        """Deletes an agent: no longer listed, and 404 for its domains. Raises KeyError where there is none."""
        agents = list(self._stored())
        removed = agents.pop(self._place(agents, agent_id))
        self._store(agents)
        return removed

    def _replace(self, agent_id: str, change: Callable[[StoredAgent], StoredAgent]) -> StoredAgent:
        agents = list(self._stored())
        place = self._place(agents, agent_id)
        agents[place] = change(agents[place])
        self._store(agents)
        return agents[place]

    def _place(self, agents: list[StoredAgent], agent_id: str) -> int:
        for place, agent in enumerate(agents):
            if agent.id == agent_id:
                return place
        raise KeyError(f"Workspace {self.name!r} has no agent {agent_id!r}")


def _without(domains: tuple[str, ...], domain: str) -> tuple[str, ...]:
    if domain not in domains:
        raise KeyError(f"The agent's allowed domains do not hold {domain!r}")
    return tuple(other for other in domains if other != domain)
