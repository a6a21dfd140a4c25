"""The audit itself: one row for every workspace, whatever becomes of it."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import pytest

from chatloom_async import (
    Agent,
    ApiKey,
    AsyncChatloom,
    AuthenticationError,
    ConfigurationError,
    MockTransport,
    Request,
    ServerError,
)
from chatloom_async.audit import (
    AuditedAgent,
    Failure,
    Finding,
    IncompleteListError,
    KeyEnv,
    KeyUnavailableError,
    Row,
    Summary,
    Workspace,
    audit,
    reading,
)
from chatloom_async.audit.reading import WorkspaceTooLargeError
from chatloom_async.audit.rules import Judge
from chatloom_async.sandbox import Sandbox
from chatloom_async.testing import VirtualClock
from tests.samples import AGENT, AGENTS, DOMAINS, KEY, OTHER_KEY, answer, api, failure

ACME = Workspace("acme", ApiKey(KEY))
SALES = Agent(
    id="agt_abc123",
    name="Sales Assistant",
    primary_color="#611F69",
    secondary_color="#764ba2",
    position="bottom-right",
    template="modern",
    status="active",
    created_at=datetime(2026, 1, 15, 9, tzinfo=UTC),
)


def agents(*ids: str) -> dict[str, Any]:
    """A documented list of agents with these ids."""
    return {"agents": [{**AGENT, "id": agent_id} for agent_id in ids], "count": len(ids)}


def domains_by(**answers: Any) -> Callable[[Request], Any]:
    """A list of agents with these ids, and for the domains of each the given answer."""

    def handler(request: Request) -> Any:
        if not request.url.endswith("/allowed-domains"):
            return answer(agents(*answers))
        return answers[request.url.split("/")[-2]]

    return handler


async def rows_of(handler: Callable[[Request], Any], *workspaces: Workspace, **options: Any) -> list[Row]:
    """The rows of an audit whose requests are answered by a function; nothing is retried, and no time passes."""
    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(handler), clock=VirtualClock())
    given = {"retry": None, "judge": Judge(rules=()), **options}
    return [row async for row in audit(workspaces or (ACME,), client=client, **given)]


async def test_a_row_holds_every_agent_with_its_domains() -> None:
    """The documentation's samples, as a row."""
    domains = ("example.com", "support.example.com")
    assert await rows_of(api) == [Row("acme", "ok", (AuditedAgent(SALES, domains),), (), None, 2)]


async def test_every_workspace_is_asked_with_its_own_key() -> None:
    """The client's own key is not used."""
    transport = MockTransport(api)
    client = AsyncChatloom(OTHER_KEY, transport=transport, clock=VirtualClock())
    assert len([row async for row in audit([ACME], client=client)]) == 1
    assert {request.headers["authorization"] for request in transport.requests} == {f"Bearer {KEY}"}


async def test_one_row_for_every_workspace_of_a_mixed_lot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Good ones, a rotated key, a missing key, a broken server: all are rows, and the totals reconcile."""
    monkeypatch.delenv("NOBODY_KEY", raising=False)
    sandbox = Sandbox(seed=7, trouble=0, rate_limit=None)
    acme, birch, cedar = (sandbox.add_workspace(name, agents=4) for name in ("acme", "birch", "cedar"))
    workspaces = [Workspace(each.name, each.key) for each in sandbox] + [Workspace("nobody", KeyEnv("NOBODY_KEY"))]
    birch.rotate_key()
    cedar.fails(500, times=None, on="*/allowed-domains")
    client = AsyncChatloom(OTHER_KEY, transport=sandbox.transport(), clock=VirtualClock())
    rows = {row.workspace: row async for row in audit(workspaces, client=client, retry=None)}
    assert {name: (row.state, len(row.agents), row.requests) for name, row in rows.items()} == {
        "acme": ("ok", 4, 5),
        "birch": ("failed", 0, 1),
        "cedar": ("partial", 4, 5),
        "nobody": ("failed", 0, 0),
    }
    assert [each.domains for each in rows["acme"].agents] == [each.domains for each in acme.agents]
    assert rows["nobody"].error == Failure.of(KeyUnavailableError("The environment variable NOBODY_KEY is not set"))
    summary = Summary()
    for row in rows.values():
        summary.add(row)
    assert summary == Summary(
        ok=1, partial=1, failed=2, read=4, unread=4, domains=sum(len(a.domains) for a in acme.agents), requests=11
    )


async def test_an_agent_that_fails_makes_the_row_partial_and_keeps_its_error() -> None:
    """Its domains are None, not empty; the row names the first such agent."""
    (row,) = await rows_of(domains_by(a=answer(DOMAINS), b=failure(500), c=failure(500)))
    error = Failure.of(ServerError("Something went wrong", status=500, stop_reason="disabled"))
    assert [(each.agent.id, each.domains, each.error) for each in row.agents] == [
        ("a", ("example.com", "support.example.com"), None),
        ("b", None, error),
        ("c", None, error),
    ]
    assert (row.state, row.findings, row.requests) == ("partial", (), 4)
    assert row.error == Failure("ServerError", f"2 of 3 agents could not be read; the first, b: {error.message}")


async def test_an_agent_that_vanished_is_a_finding_not_a_failure() -> None:
    """The finding's id is the same in every run."""
    handler = domains_by(a=answer(DOMAINS), b=failure(404, "Agent not found"))
    (row,) = await rows_of(handler)
    assert (row.state, row.error, row.requests) == ("ok", None, 3)
    assert [(each.agent.id, each.domains, each.error) for each in row.agents] == [
        ("a", ("example.com", "support.example.com"), None),
        ("b", None, None),
    ]
    (found,) = row.findings
    assert found == Finding(
        found.id,
        "agent-gone",
        "info",
        "b",
        "Sales Assistant",
        "The agent was listed, but no longer there when its domains were asked for; it was probably deleted.",
    )
    assert await rows_of(handler) == [row]
    (elsewhere,) = await rows_of(handler, Workspace("other", ApiKey(KEY)))
    assert elsewhere.findings[0].id != found.id


async def test_a_key_that_is_refused_stops_the_workspace_and_keeps_what_was_read() -> None:
    """The other agents are not asked for; the row says why."""
    ids = [f"agt_{number}" for number in range(100)]
    answered: list[str] = []

    def handler(request: Request) -> Any:
        if not request.url.endswith("/allowed-domains"):
            return answer(agents(*ids))
        answered.append(request.url.split("/")[-2])
        return answer(DOMAINS) if len(answered) <= 3 else failure(401, "Invalid API key")

    (row,) = await rows_of(handler)
    assert (row.state, len(row.agents)) == ("partial", 100)
    assert row.error == Failure.of(AuthenticationError("Invalid API key", status=401, stop_reason="not_retryable"))
    assert sorted(each.agent.id for each in row.agents if each.domains) == sorted(answered[:3])
    assert len(answered) < 30


async def test_a_workspace_may_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read until then is kept."""
    monkeypatch.setattr(reading, "MAX_BYTES", 3000)
    (row,) = await rows_of(domains_by(**{f"agt_{number}": answer(DOMAINS) for number in range(20)}))
    read = [each for each in row.agents if each.domains is not None]
    assert (row.state, len(row.agents)) == ("partial", 20)
    assert row.error == Failure.of(WorkspaceTooLargeError("Its answers hold more than 3,000 bytes"))
    assert 0 < len(read) < 20


async def test_a_list_that_contradicts_itself_makes_the_row_partial() -> None:
    """A part is never reported as the whole; an id that comes twice is asked for once."""
    listed = {"agents": [AGENT, AGENT], "count": 3}

    def handler(request: Request) -> Any:
        return answer(DOMAINS if request.url.endswith("/allowed-domains") else listed)

    (row,) = await rows_of(handler)
    whole = AuditedAgent(SALES, ("example.com", "support.example.com"))
    error = IncompleteListError("The list of agents does not match its count: 3 stated, 2 listed, 1 different ids")
    assert row == Row("acme", "partial", (whole, whole), (), Failure.of(error), 2)


async def test_a_defect_in_a_transport_costs_one_row_and_no_other() -> None:
    """What is no error of ours is a row all the same, with keys masked."""

    def handler(request: Request) -> Any:
        if KEY in request.headers["authorization"]:
            raise ValueError(f"broken by {KEY}\x1b[31m")
        return answer({"agents": [], "count": 0})

    rows = await rows_of(handler, ACME, Workspace("globex", ApiKey(OTHER_KEY)))
    assert sorted(rows, key=lambda row: row.workspace) == [
        Row("acme", "failed", error=Failure("ValueError", "broken by clf_***")),
        Row("globex", "ok", requests=1),
    ]


async def test_a_defect_while_agents_are_read_makes_the_row_partial() -> None:
    """The rest of the workspace is read."""

    def handler(request: Request) -> Any:
        if not request.url.endswith("/allowed-domains"):
            return answer(agents("a", "b"))
        if "/b/" in request.url:
            raise ValueError
        return answer(DOMAINS)

    (row,) = await rows_of(handler)
    assert [each.error for each in row.agents] == [None, Failure("ValueError", "no message")]
    assert row.error == Failure("ValueError", "1 of 2 agents could not be read; the first, b: no message")


async def test_an_audit_is_more_patient_than_a_call() -> None:
    """It waits out a Retry-After that is longer than a person's patience of a minute, again and again."""
    clock = VirtualClock()
    pending = [failure(429, retry_after="70")] * 3
    transport = MockTransport(lambda request: pending.pop() if pending else answer({"agents": [], "count": 0}))
    client = AsyncChatloom(OTHER_KEY, transport=transport, clock=clock)
    assert [row async for row in audit([ACME], client=client)] == [Row("acme", "ok", requests=4)]
    assert clock.time() >= 210


async def test_workspaces_may_come_from_an_async_source_and_are_read_as_rows_are_taken() -> None:
    """Leaving early reads no further."""
    given: list[int] = []

    async def source() -> AsyncIterator[Workspace]:
        for number in range(1000):
            given.append(number)
            yield Workspace(f"w{number}", ApiKey(KEY))

    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(lambda _: answer({**AGENTS, "agents": [], "count": 0})))
    async with aclosing(audit(source(), client=client, concurrency=2, retry=None)) as rows:
        assert (await anext(rows)).state == "ok"
    assert len(given) <= 8


async def test_the_error_of_a_source_comes_after_the_rows_of_what_was_read() -> None:
    """Nothing that was read is lost."""

    async def source() -> AsyncIterator[Workspace]:
        yield ACME
        raise ConfigurationError("line 2 is broken")

    rows = audit(source(), client=AsyncChatloom(OTHER_KEY, transport=MockTransport(api)))
    assert (await anext(rows)).workspace == "acme"
    with pytest.raises(ConfigurationError, match=r"^line 2"):
        await anext(rows)
