"""Every documented answer, through every skin; the expected values are copied from the documentation."""

from datetime import UTC, datetime

import pytest

from chatloom_async.sandbox import Sandbox
from tests.sandbox.skins import Ask, Clock

LIST = "/api/plugin/agents"
NO_AGENT = {"error": "Agent not found."}

DOCUMENTED = {
    "agents": [
        {
            "id": "agt_abc123",
            "name": "Sales Assistant",
            "primaryColor": "#611F69",
            "secondaryColor": "#764ba2",
            "position": "bottom-right",
            "template": "modern",
            "status": "active",
            "createdAt": "2026-01-15T09:00:00.000Z",
        }
    ],
    "count": 1,
}


async def test_the_documented_list(sandbox: Sandbox, ask: Ask) -> None:
    """An agent like the documentation's example is listed exactly as there."""
    acme = sandbox.add_workspace("acme", agents=0)
    acme.add_agent(id="agt_abc123")
    assert await ask(LIST, acme.key, "content-type") == (200, DOCUMENTED, "application/json")


async def test_the_documented_domains(sandbox: Sandbox, ask: Ask) -> None:
    """Domains come in the order in which they were added, oldest first."""
    acme = sandbox.add_workspace("acme", agents=0)
    acme.add_agent(id="agt_abc123", domains=["example.com"])
    acme.allow_domain("agt_abc123", "support.example.com")
    expected = {"domains": ["example.com", "support.example.com"]}
    assert await ask(f"{LIST}/agt_abc123/allowed-domains", acme.key) == (200, expected)


async def test_an_empty_workspace(sandbox: Sandbox, ask: Ask) -> None:
    """A workspace without agents has an empty list and a count of 0."""
    acme = sandbox.add_workspace("acme", agents=0)
    assert await ask(LIST, acme.key) == (200, {"agents": [], "count": 0})


async def test_newest_first(sandbox: Sandbox, ask: Ask) -> None:
    """Agents are ordered by createdAt, newest first; of two at the same time, the one added last comes first."""
    acme = sandbox.add_workspace("acme", agents=0)
    for name, day in (("a", 2), ("b", 3), ("c", 1), ("d", 2)):
        acme.add_agent(name=name, created_at=datetime(2026, 1, day, tzinfo=UTC))
    _, listed = await ask(LIST, acme.key)
    assert [(agent["name"], agent["createdAt"]) for agent in listed["agents"]] == [
        ("b", "2026-01-03T00:00:00.000Z"),
        ("d", "2026-01-02T00:00:00.000Z"),
        ("a", "2026-01-02T00:00:00.000Z"),
        ("c", "2026-01-01T00:00:00.000Z"),
    ]


async def test_another_workspaces_agent(sandbox: Sandbox, ask: Ask) -> None:
    """An agent of another workspace is as absent as one that never was, or was deleted."""
    acme, other = sandbox.add_workspace("acme", agents=2), sandbox.add_workspace("other", agents=1)
    deleted = acme.remove_agent(acme.agents[0].id)
    for agent_id in (other.agents[0].id, deleted.id, "agt_nobody", "", "%00", "a%2Fb", "%ff"):
        assert await ask(f"{LIST}/{agent_id}/allowed-domains", acme.key) == (404, NO_AGENT)
    assert (await ask(LIST, acme.key))[1]["count"] == 1


async def test_percent_encoded_id(sandbox: Sandbox, ask: Ask) -> None:
    """A percent-encoded id is the id that it stands for, and a query changes nothing."""
    acme = sandbox.add_workspace("acme", agents=0)
    acme.add_agent(id="agt_abc123")
    assert await ask(f"{LIST}/agt%5Fabc123/allowed-domains?x=1", acme.key) == (200, {"domains": []})


@pytest.mark.parametrize(
    "path", ["/", LIST + "/", LIST + "x", f"{LIST}/a", f"{LIST}/a/b/allowed-domains", "/API/plugin/agents"]
)
async def test_unknown_path(sandbox: Sandbox, ask: Ask, path: str) -> None:
    """Any other path is a 404 with the error object."""
    acme = sandbox.add_workspace("acme")
    assert await ask(path, acme.key) == (404, {"error": "There is no such endpoint."})


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_wrong_method(sandbox: Sandbox, ask: Ask, method: str) -> None:
    """The API reads only: other methods are a 405 that names the allowed one."""
    acme = sandbox.add_workspace("acme")
    for path in (LIST, f"{LIST}/agt_abc123/allowed-domains"):
        answer = await ask(path, acme.key, "allow", method=method)
        assert answer == (405, {"error": "This endpoint answers to GET only."}, "GET")


async def test_head(sandbox: Sandbox, ask: Ask) -> None:
    """HEAD is not documented, so it is a 405, without a body as HTTP demands."""
    acme = sandbox.add_workspace("acme")
    assert await ask(LIST, acme.key, method="HEAD") == (405, b"")


async def test_rate_limit(sandbox: Sandbox, clock: Clock, ask: Ask) -> None:
    """After a burst of 60 a key waits for the next token, 5 a second; other keys, and a new key, do not."""
    acme, other = sandbox.add_workspace("acme", agents=0), sandbox.add_workspace("other", agents=0)
    refused = (429, {"error": "Rate limit exceeded. Back off and retry with exponential backoff."}, "1")
    answers = [await ask(LIST, acme.key, "retry-after") for _ in range(62)]
    assert answers == [(200, {"agents": [], "count": 0}, None)] * 60 + [refused] * 2
    clock.now += 0.2
    assert [(await ask(LIST, acme.key))[0] for _ in range(2)] == [200, 429]
    assert [(await ask(LIST, key))[0] for key in (other.key, acme.rotate_key())] == [200, 200]
    clock.now += 3600
    assert [(await ask(LIST, acme.key))[0] for _ in range(61)] == [200] * 60 + [429]


async def test_log(sandbox: Sandbox, ask: Ask) -> None:
    """The log tells workspace, method, path without query, and outcome, and masks a key in the path."""
    acme = sandbox.add_workspace("acme", agents=0)
    acme.fails("cut")
    acme.fails("slow")
    await ask(f"{LIST}?key={acme.key.reveal()}", acme.key)
    await ask(LIST, acme.key)
    await ask(f"/{acme.key.reveal()}", acme.key, method="PUT")
    await ask("/" + "x" * 300, {})
    assert sandbox.log == (
        ("acme", "GET", LIST, "cut"),
        ("acme", "GET", LIST, 200),
        ("acme", "PUT", "/clf_***", 404),
        (None, "GET", "/" + "x" * 196 + "...", 401),
    )
    assert (acme.requests, sandbox.requests) == (3, 4)
