"""The models of agents: what they offer beyond their fields."""

from datetime import UTC, datetime
from typing import Any

import attrs
import orjson
import pytest

from chatloom_async.endpoints.agents import (
    POSITIONS,
    STATUS_ACTIVE,
    Agent,
    AgentList,
    AllowedDomains,
    GetAllowedDomains,
)
from chatloom_async.wire.decode import decode
from chatloom_async.wire.errors import InvalidAgentIdError, SchemaMismatchError
from chatloom_async.wire.message import Response

AGENT = Agent(
    id="agt_1",
    name="One",
    primary_color="#000000",
    secondary_color="#ffffff",
    position="bottom-right",
    template="modern",
    status="active",
    created_at=datetime(2026, 1, 15, 9, tzinfo=UTC),
)
OTHER = attrs.evolve(AGENT, id="agt_2")
JSON = {
    "id": "agt_1",
    "name": "One",
    "primaryColor": "#000000",
    "secondaryColor": "#ffffff",
    "position": "bottom-right",
    "template": "modern",
    "status": "active",
    "createdAt": "2026-01-15T09:00:00.000Z",
}


def test_documented_values() -> None:
    """The constants are those of the documentation."""
    assert POSITIONS == ("bottom-right", "bottom-left", "top-right", "top-left")
    assert STATUS_ACTIVE == "active"


def test_an_agent_list_is_a_collection() -> None:
    """It iterates in the API's order and has a length."""
    agents = AgentList((AGENT, OTHER), 2)
    assert (list(agents), len(agents), bool(agents), bool(AgentList((), 0))) == ([AGENT, OTHER], 2, True, False)


@pytest.mark.parametrize(
    ("agents", "count", "complete"),
    [
        ((), 0, True),
        ((AGENT, OTHER), 2, True),
        ((AGENT,), 2, False),
        ((AGENT, OTHER), 1, False),
        ((AGENT, AGENT), 2, False),
        ((AGENT, AGENT), 1, False),
        ((), -1, False),
    ],
)
def test_completeness(agents: tuple[Agent, ...], count: int, complete: bool) -> None:
    """A list is complete if the count is right and no id comes twice (faults 63 and 64)."""
    assert AgentList(agents, count).complete is complete


def test_allowed_domains_are_a_collection() -> None:
    """They iterate in the API's order, have a length and can be asked for a domain, exactly."""
    domains = AllowedDomains(("example.com", "a.example"))
    assert (list(domains), len(domains)) == (["example.com", "a.example"], 2)
    assert [each in domains for each in ("example.com", "Example.com", "example", 5)] == [True, False, False, False]


@pytest.mark.parametrize("member", ["position", "status", "template"])
def test_unknown_values_are_kept(member: str) -> None:
    """A value that the documentation does not know is no error (fault 61)."""
    body = orjson.dumps({"agents": [{**JSON, member: "new-in-v2", "newMember": [1]}], "count": 1})
    expected = AgentList((attrs.evolve(AGENT, **{member: "new-in-v2"}),), 1)  # type: ignore[arg-type]
    assert decode(Response(200, body=body), AgentList) == expected


WRONG: list[tuple[Any, Any, str]] = [
    (AgentList, {"agents": [], "count": "7"}, "$.count"),
    (AgentList, {"agents": [], "count": 1.0}, "$.count"),
    (AgentList, {"agents": [], "count": None}, "$.count"),
    (AgentList, {"agents": []}, "$.count"),
    (AgentList, {"count": 0}, "$.agents"),
    (AgentList, {"agents": None, "count": 0}, "$.agents"),
    (AgentList, {"agents": {}, "count": 0}, "$.agents"),
    (AgentList, {"agents": "", "count": 0}, "$.agents"),
    (AgentList, {"agents": [None], "count": 1}, "$.agents[0]"),
    (AgentList, {"agents": [JSON, {**JSON, "id": None}], "count": 2}, "$.agents[1].id"),
    (AgentList, {"agents": [{**JSON, "primaryColor": 0}], "count": 1}, "$.agents[0].primaryColor"),
    (AgentList, {"agents": [{**JSON, "createdAt": "2026-01-15"}], "count": 1}, "$.agents[0].createdAt"),
    (AgentList, {"agents": [{k: v for k, v in JSON.items() if k != "name"}], "count": 1}, "$.agents[0].name"),
    (AgentList, [JSON], "$"),
    (AllowedDomains, {"domains": "example.com"}, "$.domains"),
    (AllowedDomains, {"domains": {"example.com": True}}, "$.domains"),
    (AllowedDomains, {"domains": [5]}, "$.domains[0]"),
    (AllowedDomains, {"domains": ["example.com", None]}, "$.domains[1]"),
    (AllowedDomains, {}, "$.domains"),
    (AllowedDomains, [], "$"),
]


@pytest.mark.parametrize(("returns", "document", "path"), WRONG)
def test_wrong_shapes_are_refused_with_their_place(returns: Any, document: Any, path: str) -> None:
    """Nothing is coerced or dropped (faults 58 to 60, 62)."""
    error = decode(Response(200, body=orjson.dumps(document)), returns)
    assert isinstance(error, SchemaMismatchError)
    assert error.path == path


UNSAFE = [  # the table at the end of faults.md, and more of its kind
    "../x",
    "..",
    ".",
    "a/b",
    "a?b",
    "a#b",
    "",
    "%2e%2e",
    "a\nb",
    "\ud800",
    "x" * 20_000,
    "x" * 257,
    "a\\b",
    "a b",
    " a",
    "a\x00",
    "a\n",
    "..%2Fx",
    "a;b",
    "a:b",
    "a@b",
    "é",
    "\uff11",
    "a\u200b",
    "{agent_id}",
    None,
    5,
    b"agt_1",
    ["agt_1"],
]


@pytest.mark.parametrize("agent_id", UNSAFE)
def test_an_unsafe_id_makes_no_request(agent_id: Any) -> None:
    """An id that could change the path is refused before anything is sent (fault 97)."""
    with pytest.raises(InvalidAgentIdError, match=r"^agent_id cannot be part of a path"):
        GetAllowedDomains(agent_id).request("https://chatloom.app")


@pytest.mark.parametrize("agent_id", ["agt_abc123", "...", "a..b", ".a", "~", "-", "_", "0", "x" * 256])
def test_a_safe_id_is_in_the_path_as_it_is(agent_id: str) -> None:
    """Ids are documented only as "unique identifier", so no prefix is demanded."""
    url = f"https://chatloom.app/api/plugin/agents/{agent_id}/allowed-domains"
    assert GetAllowedDomains(agent_id).request("https://chatloom.app").url == url
