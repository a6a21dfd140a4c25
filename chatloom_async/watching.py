"""Polls a workspace and yields its changes as events. The API has no webhooks yet.

It uses the client's calls, with the client's limits, retries and deadlines, and keeps only the last state in memory.
Nothing runs between two rounds, so there is nothing to clean up.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from logging import Logger, getLogger

from attrs import frozen

from .client import AsyncChatloom
from .endpoints.agents import Agent, AgentList
from .fanout import Err, fan_out
from .wire.errors import ChatloomError, DeadlineExceededError
from .wire.status import NotFoundError
from .wire.validation import INTERVAL

CONCURRENCY = 4  # more concurrent calls would only spend their deadlines waiting for the rate limit
JITTER = 0.1  # of the wait, up or down: spreads programs that were started together
MAX_WAIT = 900.0  # seconds after a failed round, if the interval is not longer

log: Logger = getLogger("chatloom_async")


@frozen
class AgentAdded:
    """A new agent with its allowed domains, oldest first.

    It supports pattern matching:

        agent = (await chatloom.list_agents()).agents[0]
        match AgentAdded(agent, ("acme.example",)):
            case AgentAdded(_, domains):
                print(domains)  # ('acme.example',)
    """

    agent: Agent
    domains: tuple[str, ...]


@frozen
class AgentRemoved:
    """An agent that is not listed any more, in its last known state.

    The whole agent, because the API no longer returns it:

        agent = (await chatloom.list_agents()).agents[0]
        print(AgentRemoved(agent).agent == agent)  # True
    """

    agent: Agent


@frozen
class AgentChanged:
    """An agent with changed fields.

    Both states, to compare them:

        before, after = await chatloom.list_agents()
        print(AgentChanged(before, after).after.name)  # Returns Desk
    """

    before: Agent
    after: Agent


@frozen
class DomainsChanged:
    """Domains added to or removed from an agent's allowed domains. Order and duplicates do not count.

    It holds only the difference:

        agent = (await chatloom.list_agents()).agents[0]
        print(DomainsChanged(agent, added=("acme.example",), removed=()).added)  # ('acme.example',)
    """

    agent: Agent
    added: tuple[str, ...]
    removed: tuple[str, ...]


Event = AgentAdded | AgentRemoved | AgentChanged | DomainsChanged
Domains = tuple[str, ...]
Known = dict[str, tuple[Agent, Domains]]


async def watch(
    client: AsyncChatloom,
    interval: float = 60.0,
    *,
    initial: bool = False,
    random: Callable[[], float] = random.random,
) -> AsyncGenerator[Event, None]:
    """Reads all agents and their domains in rounds, and yields the changes since the last round. Never ends.

        async for event in watch(chatloom, initial=True):
            match event:
                case AgentAdded(agent, domains): ...
                case DomainsChanged(agent, added, removed): ...
            break  # or it goes on for ever

    A round takes one call, and one more for each agent. The pause between two rounds is `interval` seconds, plus or
    minus a random tenth, on the client's clock. The first round yields nothing, or an AgentAdded for every agent if
    `initial` is True. Each round yields removals first, then the other events, oldest agent first.

    A round with a failed or cancelled call yields nothing and is logged. The pause after the first failed round is the
    usual one; then it doubles. It is at least Retry-After, and at most 15 minutes in both cases. Errors that a retry
    cannot fix, such as a 401, are raised.

    An incomplete list never yields an AgentRemoved. Before the first complete list, new agents yield no AgentAdded. An
    agent whose domains are not found keeps its state until a list shows whether it still exists.
    Raises ConfigurationError if `interval` is not above 0.
    """
    INTERVAL.check("interval", interval)
    known: Known = {}
    settled, failures = initial, 0
    while True:
        asked, cancelled = 0.0, _cancellations()
        try:
            agents, domains = await _round(client)
        except (ChatloomError, asyncio.CancelledError) as error:
            if not _is_passing(error, cancelled):
                raise
            failures += 1
            asked = getattr(error, "retry_after", None) or 0.0
            log.warning("watch: round failed with %s, %d in a row", type(error).__name__, failures)
        else:
            failures, before = 0, known
            known = _state(before, agents, domains)
            for event in _events(before, known, announced=settled):
                yield event
            settled = settled or agents.complete
        jitter = 1 - JITTER + 2 * JITTER * random()
        backoff = interval * 2.0 ** min(failures - 1, 60) * jitter
        await client.clock.sleep(max(interval * jitter, min(max(asked, backoff), MAX_WAIT)))


def _cancellations() -> int:
    """How often the consumer's task was cancelled. If it was not, a CancelledError comes from a task of the round."""
    task = asyncio.current_task()
    return task.cancelling() if task else 0


def _is_passing(error: ChatloomError | asyncio.CancelledError, cancellations: int) -> bool:
    """Whether the next round may succeed."""
    if isinstance(error, asyncio.CancelledError):
        return _cancellations() == cancellations
    return error.retryable or isinstance(error, DeadlineExceededError)


async def _round(client: AsyncChatloom) -> tuple[AgentList, dict[str, Domains]]:
    """The agents, and the domains of those that still exist. Raises the exception of the first failing call."""
    agents = await client.list_agents()
    domains: dict[str, Domains] = {}
    ids = dict.fromkeys(agent.id for agent in agents)
    async with aclosing(fan_out(ids, client.get_allowed_domains, concurrency=CONCURRENCY)) as results:
        async for result in results:
            if not isinstance(result, Err):
                domains[result.item] = result.value.domains
            elif not isinstance(result.error, NotFoundError):
                raise result.error
    return agents, domains


def _state(before: Known, agents: AgentList, domains: Mapping[str, Domains]) -> Known:
    """The state after a round, newest agent first."""
    listed = {agent.id: (agent, domains[agent.id]) for agent in agents if agent.id in domains}
    still = {agent.id for agent in agents} if agents.complete else before.keys()
    return listed | {id_: state for id_, state in before.items() if id_ in still and id_ not in listed}


def _events(before: Known, after: Known, *, announced: bool) -> Iterator[Event]:
    yield from (AgentRemoved(agent) for agent_id, (agent, _) in reversed(before.items()) if agent_id not in after)
    for agent_id, (agent, domains) in reversed(after.items()):
        if agent_id in before:
            yield from _changes(*before[agent_id], agent, domains)
        elif announced:
            yield AgentAdded(agent, domains)


def _changes(before: Agent, had: Domains, after: Agent, has: Domains) -> Iterator[Event]:
    if after != before:
        yield AgentChanged(before, after)
    added = tuple(domain for domain in dict.fromkeys(has) if domain not in had)
    removed = tuple(domain for domain in dict.fromkeys(had) if domain not in has)
    if added or removed:
        yield DomainsChanged(after, added, removed)
