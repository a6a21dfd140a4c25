"""One workspace of the sandbox: its agents, current key, rate limit and scripted faults.

routes.py decides about requests. Agents are generated from the seed on access, and stored only after a change:
20,000 workspaces take little more memory than their 20,000 keys.
"""

from datetime import timedelta
from typing import Unpack

from attrs import define, evolve, frozen

from ..wire.auth import ApiKey
from ..wire.errors import ConfigurationError
from .answers import Fault, FaultOptions, Mishap, Pages, listed, make_fault
from .seed import TODAY, AgentChanges, NewAgent, StoredAgent, id_text, key_text, seeded_agents


@frozen(kw_only=True)
class Rate:
    """The rate limit of a key: `per_minute` requests a minute, with bursts of `burst`."""

    per_minute: float
    burst: int


@define
class TokenBucket:
    """A token bucket: up to `burst` tokens, refilled evenly. Each request takes one."""

    tokens: float
    filled: float  # the time at which `tokens` was computed, in seconds

    def take(self, rate: Rate, now: float) -> float:
        """0 if the request may proceed, else the seconds until it may. A refused request takes no token."""
        per_second = rate.per_minute / 60
        gained = max(0.0, now - self.filled) * per_second
        self.tokens, self.filled = min(float(rate.burst), self.tokens + gained), now
        if self.tokens < 1:
            return (1 - self.tokens) / per_second
        self.tokens -= 1
        return 0.0


@frozen
class Origin:
    """The source of seeded data: the sandbox's seed, and the share of agents with a problem (0 to 1)."""

    seed: int
    trouble: float


class SandboxWorkspace:
    """A workspace of the sandbox: `Sandbox.add_workspace` creates it, `sandbox[name]` returns it.

    `requests` counts the requests with a key of this workspace, including failed and refused ones; set it to 0 to
    reset it. `faults` are the scripted faults that have not happened yet; `bucket` belongs to the rate limit. `pages`
    are the cached responses, or None before the first request. Every change of the agents drops them.
    """

    __slots__ = (
        *("_count", "_edited", "_key", "_keys", "_made", "_origin", "_rotations"),
        *("bucket", "faults", "name", "pages", "requests"),
    )

    def __init__(self, name: str, count: int, origin: Origin, keys: "dict[ApiKey, SandboxWorkspace]") -> None:
        self.name: str = name
        self.requests: int = 0
        self.bucket: TokenBucket | None = None
        self.faults: tuple[Fault, ...] = ()
        self.pages: Pages | None = None
        self._origin, self._count, self._made = origin, count, count
        self._edited: list[StoredAgent] | None = None
        self._keys, self._rotations = keys, 0
        self._key = self._new_key()

    def __repr__(self) -> str:
        return f"SandboxWorkspace({self.name!r}, {self._count} agents)"

    @property
    def agents(self) -> tuple[StoredAgent, ...]:
        """The agents as the API lists them, newest first."""
        return tuple(listed(self._stored()))

    def _stored(self) -> list[StoredAgent]:
        """The agents in the order of adding."""
        if self._edited is not None:
            return self._edited
        return seeded_agents(self._origin.seed, self.name, self._count, self._origin.trouble)

    def _store(self, agents: list[StoredAgent]) -> None:
        self._edited, self._count, self.pages = agents, len(agents), None

    def add_agent(self, **fields: Unpack[NewAgent]) -> StoredAgent:
        """Adds an agent and returns it. Other fields have the values of the documentation's example; no domains.

        `created_at` starts on a fixed day and is a minute later for each agent, so the last agent is the newest.
        Raises ConfigurationError if the id is taken, TypeError for an unknown field.
        """
        agents = self._stored()
        fresh: NewAgent = {
            "id": id_text(self._origin.seed, self.name, self._made),
            "created_at": TODAY + timedelta(minutes=self._made),
        }
        agent = StoredAgent(**(fresh | fields))
        if any(other.id == agent.id for other in agents):
            raise ConfigurationError(f"Workspace {self.name!r} already has an agent {agent.id!r}")
        self._made += 1
        self._store([*agents, agent])
        return agent

    def update_agent(self, agent_id: str, **changes: Unpack[AgentChanges]) -> StoredAgent:
        """Changes fields of an agent and returns it. Raises KeyError if there is no such agent.

        The fields: name, primary_color, secondary_color, position, template, status, created_at.
        """
        return self._evolve(agent_id, **changes)

    def allow_domain(self, agent_id: str, domain: str) -> StoredAgent:
        """Appends a domain to an agent's list, even if it is there already. Raises KeyError for an unknown agent."""
        return self._evolve(agent_id, domains=(*self._agent(agent_id).domains, domain))

    def disallow_domain(self, agent_id: str, domain: str) -> StoredAgent:
        """Removes every occurrence of a domain from an agent's list. Raises KeyError if there is none."""
        domains = self._agent(agent_id).domains
        if domain not in domains:
            raise KeyError(f"The agent's allowed domains do not hold {domain!r}")
        return self._evolve(agent_id, domains=[other for other in domains if other != domain])

    def remove_agent(self, agent_id: str) -> StoredAgent:
        """Deletes an agent: not listed any more, and a 404 for its domains. Raises KeyError for an unknown agent."""
        removed = self._agent(agent_id)
        self._store([other for other in self._stored() if other.id != agent_id])
        return removed

    def _agent(self, agent_id: str) -> StoredAgent:
        for agent in self._stored():
            if agent.id == agent_id:
                return agent
        raise KeyError(f"Workspace {self.name!r} has no agent {agent_id!r}")

    def _evolve(self, agent_id: str, **changes: Unpack[NewAgent]) -> StoredAgent:
        agent = evolve(self._agent(agent_id), **changes)
        self._store([agent if other.id == agent_id else other for other in self._stored()])
        return agent

    @property
    def key(self) -> ApiKey:
        """The current key."""
        return self._key

    def rotate_key(self) -> ApiKey:
        """A new key with its own rate limit: "the old key stops working the moment you generate a new one"."""
        del self._keys[self._key]
        self._rotations += 1
        self._key, self.bucket = self._new_key(), None
        return self._key

    def issued_keys(self) -> tuple[ApiKey, ...]:
        """Every key that this workspace ever had, the current one last."""
        return tuple(self._numbered_key(number) for number in range(self._rotations + 1))

    def _numbered_key(self, number: int) -> ApiKey:
        return ApiKey(key_text(self._origin.seed, self.name, number))

    def _new_key(self) -> ApiKey:
        key = self._numbered_key(self._rotations)
        self._keys[key] = self
        return key

    def fails(
        self, how: int | Mishap, *, times: int | None = 1, on: str = "*", **options: Unpack[FaultOptions]
    ) -> None:
        """Scripts what happens to the next `times` requests of this workspace (None: to all).

        `how`      what happens                                       options
        a status   that status (200 to 599), with {"error": message}  message, headers, retry_after: seconds or text
        "slow"     the usual answer, but later                        seconds, by default 1
        "cut"      the connection breaks in the middle of the body
        "lost"     it breaks before the first byte
        "html"     a proxy's 502 page

        `on` is a glob over the path, such as "*/allowed-domains". Faults happen in the order of the calls, only to
        requests with a valid key, and do not count for the rate limit. Raises ConfigurationError for an impossible
        fault.
        """
        self.faults = (*self.faults, make_fault(how, times, on, options))

    def recovers(self) -> None:
        """Removes the faults that have not happened yet."""
        self.faults = ()

    def next_fault(self, path: str) -> Fault | None:
        """The first scripted fault that matches the path; uses it once."""
        for fault in self.faults:
            if fault.concerns(path):
                uses = (other.used() if other is fault else other for other in self.faults)
                self.faults = tuple(filter(None, uses))
                return fault
        return None
