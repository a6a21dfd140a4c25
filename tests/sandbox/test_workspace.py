"""What can be done to a workspace's agents from outside, and what is refused."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from chatloom_async.sandbox import SandboxWorkspace, StoredAgent
from chatloom_async.sandbox.seed import TODAY
from chatloom_async.wire.errors import ConfigurationError


def test_add_agent(acme: SandboxWorkspace) -> None:
    """An added agent is the newest, has an id of its own, and is otherwise like the documentation's example."""
    seeded = acme.agents
    first, second = acme.add_agent(), acme.add_agent(name="Returns Desk", domains=["example.com"])
    assert acme.agents == (second, first, *seeded)
    assert second == evolve(
        first, id=second.id, name="Returns Desk", domains=("example.com",), created_at=TODAY + timedelta(minutes=3)
    )
    assert len({agent.id for agent in acme.agents}) == 4


def test_ids_are_not_used_again(acme: SandboxWorkspace) -> None:
    """A removed agent's id does not come back with the next one."""
    removed = acme.remove_agent(acme.add_agent().id)
    assert acme.add_agent().id != removed.id
    assert repr(acme) == "SandboxWorkspace('acme', 3 agents)"


def test_update_agent(acme: SandboxWorkspace) -> None:
    """A changed agent keeps its place and all that was not changed; times are kept in UTC."""
    newest, oldest = acme.agents
    changed = acme.update_agent(newest.id, name="", primary_color="purple")
    assert changed == evolve(newest, name="", primary_color="purple")
    assert acme.agents == (changed, oldest)
    moved = acme.update_agent(oldest.id, created_at=datetime.fromisoformat("2030-01-01T01:00:00+01:00"))
    assert (moved.created_at, acme.agents) == (datetime(2030, 1, 1, tzinfo=UTC), (moved, changed))
    assert str(moved.created_at) == "2030-01-01 00:00:00+00:00"


def test_domains(acme: SandboxWorkspace) -> None:
    """Domains are added at the end, as often as told, and taken off all at once."""
    agent = acme.agents[0]
    acme.allow_domain(agent.id, "*")
    assert acme.allow_domain(agent.id, "*").domains == (*agent.domains, "*", "*")
    assert acme.disallow_domain(agent.id, "*") == agent == acme.agents[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda acme: acme.update_agent("agt_nobody", name="x"),
        lambda acme: acme.remove_agent("agt_nobody"),
        lambda acme: acme.allow_domain("agt_nobody", "example.com"),
        lambda acme: acme.disallow_domain(acme.agents[0].id, "nowhere.example"),
    ],
)
def test_absent(acme: SandboxWorkspace, change: Callable[[SandboxWorkspace], object]) -> None:
    """What is not there cannot be changed, and nothing else is."""
    before = acme.agents
    with pytest.raises(KeyError, match=r"agt_nobody|nowhere"):
        change(acme)
    assert acme.agents == before


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"name": None}, TypeError),
        ({"nome": "x"}, TypeError),
        ({"domains": "example.com"}, TypeError),
        ({"domains": [1]}, TypeError),
        ({"created_at": datetime(2026, 1, 1)}, ValueError),  # noqa: DTZ001 - naive on purpose
        ({"id": "agt_abc123"}, ConfigurationError),
    ],
)
def test_impossible_agents(acme: SandboxWorkspace, fields: dict[str, Any], error: type[Exception]) -> None:
    """Fields of other types than documented, unknown fields and a taken id are refused."""
    acme.add_agent(id="agt_abc123")
    with pytest.raises(error):
        acme.add_agent(**fields)
    assert len(acme.agents) == 3


def test_defaults_are_the_documented_example() -> None:
    """An agent of which nothing is said is the documentation's Sales Assistant."""
    assert StoredAgent(id="agt_abc123") == StoredAgent(
        id="agt_abc123",
        name="Sales Assistant",
        primary_color="#611F69",
        secondary_color="#764ba2",
        position="bottom-right",
        template="modern",
        status="active",
        created_at=datetime(2026, 1, 15, 9, tzinfo=UTC),
        domains=(),
    )
