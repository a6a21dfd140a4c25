"""Reads one workspace into a row: the key, the list of agents, then the allowed domains of each agent.

Data that was read is kept if a later call fails. This file applies no rules and writes nothing.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from attrs import Factory, define, frozen

from ..client import AsyncChatloom
from ..endpoints.agents import AgentList, GetAllowedDomains, ListAgents
from ..policy.limiter import RateLimit
from ..wire.auth import ApiKey
from ..wire.errors import ChatloomError
from ..wire.message import Exchange
from ..wire.status import AuthenticationError, NotFoundError
from .keys import resolve_key
from .lanes import SLOW_ANSWER, Lanes, Pace, one_lane_suffices
from .rules.contract import unknown_fields
from .rules.subjects import Evidence
from .values import AuditedAgent, Failure, Finding, IncompleteListError, Row, Workspace, make_finding

MAX_LANES = 8
"""Calls in flight for one workspace: the default limiter allows no more per key, so more would only queue."""

MAX_BYTES = 32 * 1024**2
"""Bytes of answers about one workspace, after which the rest is not read, so that no workspace fills memory."""

SLOW_LIST = 2 * SLOW_ANSWER
"""Seconds after which the list counts as slow, which takes the connection's set-up too. Until an answer about an agent
is known, SLOW_ANSWER holds: the first workspaces would otherwise wait for one answer more than is needed."""


class WorkspaceTooLargeError(ChatloomError):
    """The answers about one workspace are larger than an audit accepts. A row carries it; it is never raised."""

    hint = "Read it agent by agent: `chatloom domains AGENT_ID`, or get_allowed_domains() in a program."


@define
class Reading:
    """The agents read so far, by id. `size` counts the bytes of their answers."""

    requests: int
    size: int = 0
    domains: dict[str, tuple[str, ...]] = Factory(dict)
    errors: dict[str, BaseException] = Factory(dict)
    gone: set[str] = Factory(set)
    unknown: set[str] = Factory(set)
    stopped: ChatloomError | None = None

    def fail(self, agent_id: str, error: BaseException) -> None:
        """Notes that the domains of this agent could not be read."""
        self.requests += len(getattr(error, "attempts", ()))
        if isinstance(error, NotFoundError):
            self.gone.add(agent_id)
        else:
            self.errors[agent_id] = error
        if isinstance(error, AuthenticationError):
            self.stopped = error


@frozen
class Read:
    """A workspace's row before the rules are applied, and additional data.

    `key` is what it was read with, or None. `error` is why the API did not give its agents. `budget_exhausted` is the
    error of a call that was not repeated because the retry budget, which all workspaces share, was used up: reading
    the workspace again later may succeed.
    """

    row: Row
    key: ApiKey | None = None
    evidence: Evidence = Factory(Evidence)
    error: ChatloomError | None = None
    budget_exhausted: ChatloomError | None = None


async def read_workspace(
    workspace: Workspace, client: AsyncChatloom, pace: Pace, on_listed: Callable[[], None] = lambda: None
) -> Read:
    """The result of a workspace. A ChatloomError becomes part of its row; other exceptions are defects, and are raised.

    `pace` is what the other workspaces of the audit know about the API's pace. `on_listed` is called when the list of
    agents was read.
    """
    key = await resolve_key(workspace.key)
    if not isinstance(key, ApiKey):
        return Read(Row(workspace.name, "failed", error=Failure.of(key)))
    client = client.with_key(key, label=workspace.name)
    with pace:
        try:
            listed = await client.exchange(ListAgents())
        except ChatloomError as error:
            row = Row(workspace.name, "failed", error=Failure.of(error), requests=len(error.attempts))
            return Read(row, key, error=error, budget_exhausted=_budget_exhausted([error]))
        else:
            on_listed()
            slow = SLOW_ANSWER if pace.slow is None else SLOW_LIST
            reading = await _read_domains(listed, client, pace, is_slow=_is_slow(listed, slow, pace))
        finally:
            await client.release_key()
    unknown = reading.unknown.union(unknown_fields(listed.response, listed.value))
    evidence = Evidence(listed.value.count, tuple(sorted(unknown)))
    exhausted = _budget_exhausted(reading.errors.values())
    return Read(_row(workspace, listed.value, reading), key, evidence, budget_exhausted=exhausted)


def _budget_exhausted(errors: Iterable[BaseException]) -> ChatloomError | None:
    """The first error of a call that the budget of all workspaces ended. A throttled key has a budget of its own."""
    for error in errors:
        if isinstance(error, ChatloomError) and error.stop_reason == "budget" and error.kind != "throttle":
            return error
    return None


async def _read_domains(listed: Exchange[AgentList], client: AsyncChatloom, pace: Pace, *, is_slow: bool) -> Reading:
    """The domains of every agent on the list. `is_slow`: the list came slowly.

    A refused key ends the reading, because it would be refused again.
    """
    reading = Reading(len(listed.attempts), len(listed.response.body))

    async def read(agent_id: str) -> int:
        """How many lanes there should be: more if the answer was slow, or there was none; 0 if this was the last."""
        try:
            exchange = await client.exchange(GetAllowedDomains(agent_id))
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise
            reading.fail(agent_id, error)
            return 0 if reading.stopped else pace.lanes(most)
        reading.domains[agent_id] = exchange.value.domains
        reading.requests += len(exchange.attempts)
        reading.size += len(exchange.response.body)
        if reading.size > MAX_BYTES:
            reading.stopped = WorkspaceTooLargeError(f"Its answers hold more than {MAX_BYTES:,} bytes")
            return 0
        reading.unknown.update(unknown_fields(exchange.response, exchange.value))
        pace.slow = _is_slow(exchange, SLOW_ANSWER, pace)
        return pace.lanes(most) if pace.slow else 1

    limit = client.rate_limit
    most = min(MAX_LANES, limit.concurrency) if isinstance(limit, RateLimit) else MAX_LANES
    first = pace.lanes(most) if is_slow or pace.slow or not one_lane_suffices(limit) else 1
    await Lanes(dict.fromkeys(agent.id for agent in listed.value), read, most, client.clock, first=first).run()
    return reading


def _is_cancelled() -> bool:
    """Whether the current task is being cancelled. If not, a call has cancelled itself, which counts as its failure."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _is_slow(exchange: Exchange[Any], seconds: float, pace: Pace) -> bool:
    """Whether the API took so many seconds, or several attempts.

    An answer that came while this process was busy with others has waited for it. More connections would only make it
    wait longer, so that time does not count.
    """
    *earlier, last = exchange.attempts
    return bool(earlier) or (last.elapsed >= seconds and last.elapsed - pace.lag >= seconds)


def _row(workspace: Workspace, listed: AgentList, reading: Reading) -> Row:
    failures = {agent_id: Failure.of(error) for agent_id, error in reading.errors.items()}
    agents = tuple(AuditedAgent(agent, reading.domains.get(agent.id), failures.get(agent.id)) for agent in listed)
    gone = {agent.id: agent.name for agent in listed if agent.id in reading.gone}
    findings = tuple(_gone(workspace.name, agent_id, name) for agent_id, name in gone.items())
    error = _problem(listed, reading)
    return Row(workspace.name, "partial" if error else "ok", agents, findings, error, reading.requests)


def _problem(listed: AgentList, reading: Reading) -> Failure | None:
    """Why a row is not whole: the error that ended the reading, else an agent's, else the list's."""
    if reading.stopped:
        return Failure.of(reading.stopped)
    first = next((agent.id for agent in listed if agent.id in reading.errors), None)
    if first is not None:
        failure = Failure.of(reading.errors[first])
        count = f"{len(reading.errors)} of {len({agent.id for agent in listed})} agents could not be read"
        return Failure(failure.type, f"{count}; the first, {first}: {failure.message}")
    if not listed.complete:
        numbers = f"{listed.count} stated, {len(listed)} listed, {len({agent.id for agent in listed})} different ids"
        return Failure.of(IncompleteListError(f"The list of agents does not match its count: {numbers}"))
    return None


def _gone(workspace: str, agent_id: str, name: str) -> Finding:
    message = "The agent was listed, but no longer there when its domains were asked for; it was probably deleted."
    return make_finding(workspace, "agent-gone", "info", agent_id=agent_id, subject=name, message=message)
