"""Turns rounds of reading a workspace into events that tell what has changed: what a webhook will do some day.

Reads by the client's own calls, so their limits, retries and deadlines are the client's; keeps the last state in
memory and nothing else. Between two rounds nothing runs here, so there is nothing to clean up.
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

CONCURRENCY = 4  # more calls at once would only queue for the rate limit, and use up their deadlines there
JITTER = 0.1  # of the wait, up and down, so that programs that were started together do not ask together
MAX_WAIT = 900.0  # seconds after a failed round, if the interval is not longer

log: Logger = getLogger("chatloom_async")


@frozen
class AgentAdded:
    """An agent that was not there before, with its allowed domains, oldest first.

    Its parts can be matched:

        agent = (await chatloom.list_agents()).agents[0]
        match AgentAdded(agent, ("acme.example",)):
            case AgentAdded(_, domains):
                print(domains)  # ('acme.example',)
    """

    agent: Agent
    domains: tuple[str, ...]


@frozen
class AgentRemoved:
    """An agent that is not listed any more, as it was last seen.

    All of it, since it cannot be asked for any more:

        agent = (await chatloom.list_agents()).agents[0]
        print(AgentRemoved(agent).agent == agent)  # True
    """

    agent: Agent


@frozen
class AgentChanged:
    """An agent of which some field is another one now.

    Both, so that a program can tell the difference:

        before, after = await chatloom.list_agents()
        print(AgentChanged(before, after).after.name)  # Returns Desk
    """

    before: Agent
    after: Agent


@frozen
class DomainsChanged:
    """Allowed domains that an agent has got or lost. Another order, or a domain listed twice, is no change.

    Only the difference:

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
    """Reads all agents and their domains in rounds, and yields what has changed since the round before; never ends.

        async for event in watch(chatloom, initial=True):
            match event:
                case AgentAdded(agent, domains): ...
                case DomainsChanged(agent, added, removed): ...
            break  # or it goes on for ever

    A round is one call, and one more for each agent. Between the end of a round and the next there are `interval`
    seconds, a tenth more or less by `random`, on the client's clock. The first round yields nothing, or an AgentAdded
    for every agent where `initial` says so. In each round what was removed comes first, then the rest, oldest agent
    first.

    A round in which a call fails, or is cancelled by somebody else, yields nothing and is logged. After the first such
    round the wait is the usual one, then it doubles. It is at least Retry-After. Neither makes it longer than 15
    minutes. Errors that no repeat can cure, such as a 401, are raised.

    A list that is not complete never makes an AgentRemoved, and until one was complete, agents that appear make no
    AgentAdded. An agent whose domains cannot be found is left as it was, until a list settles it.
    Raises ConfigurationError where `interval` is not above 0.
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
    """How often the consumer's task was cancelled. A CancelledError without one is that of a task within the round."""
    task = asyncio.current_task()
    return task.cancelling() if task else 0


def _is_passing(error: ChatloomError | asyncio.CancelledError, cancellations: int) -> bool:
    """Whether the next round may succeed."""
    if isinstance(error, asyncio.CancelledError):
        return _cancellations() == cancellations
    return error.retryable or isinstance(error, DeadlineExceededError)


async def _round(client: AsyncChatloom) -> tuple[AgentList, dict[str, Domains]]:
    """The agents, and the domains of those that still exist. Raises what the first failing call raises."""
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
    """What is known after a round, newest agent first."""
    listed = {agent.id: (agent, domains[agent.id]) for agent in agents if agent.id in domains}
    kept = {agent.id for agent in agents} if agents.complete else before.keys()
    return listed | {each: what for each, what in before.items() if each in kept and each not in listed}


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
