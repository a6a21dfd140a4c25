"""The rules for the API itself."""

from datetime import timedelta
from typing import Any

import pytest
from attrs import frozen

from chatloom_async import AgentList, AllowedDomains
from chatloom_async.audit.rules import Evidence
from chatloom_async.audit.rules.contract import unknown_fields
from chatloom_async.wire.decode import decode
from tests.audit.rules.cases import NOW, audited, checked, found
from tests.samples import AGENT, AGENTS, DOMAINS, answer


@pytest.mark.parametrize(("count", "messages"), [(None, []), (2, []), (3, ["The list states 3 agents and holds 2."])])
def test_count(count: int | None, messages: list[str]) -> None:
    """`count` is compared with what is there, where it is known."""
    workspace = checked(audited(id="a"), audited(id="b"), evidence=Evidence(count))
    assert [message for *_, message in found("contract-count", workspace)] == messages


@pytest.mark.parametrize(
    ("ages", "messages"),
    [
        ([], []),
        ([1], []),
        ([1, 1, 2], []),
        ([2, 1], ["The list holds agent-0 before agent-1, which was created later."]),
        ([1, 3, 2, 1], ["The list holds agent-1 before agent-2, which was created later."]),
    ],
)
def test_order(ages: list[int], messages: list[str]) -> None:
    """Newest first, says the documentation; one example of the opposite is enough."""
    agents = [audited(id=f"agent-{n}", created_at=NOW - timedelta(days=age)) for n, age in enumerate(ages)]
    assert [message for *_, message in found("contract-order", checked(*agents))] == messages


def test_unknown_field() -> None:
    """Each field is a finding of its own, since each is new on another day."""
    workspace = checked(evidence=Evidence(None, ("agents[].language", "next")))
    assert found("contract-unknown-field", workspace) == [
        (None, "agents[].language", "The answer holds agents[].language, which is not documented."),
        (None, "next", "The answer holds next, which is not documented."),
    ]


@frozen
class Labelled:
    """A model with a field that has no model."""

    name: str
    labels: dict[str, Any]


@pytest.mark.parametrize(
    ("document", "model", "paths"),
    [
        (AGENTS, AgentList, ()),
        (DOMAINS, AllowedDomains, ()),
        ({**DOMAINS, "wildcards": True}, AllowedDomains, ("wildcards",)),
        ({"agents": [{**AGENT, "b": {"c": 1}}, AGENT, {**AGENT, "a": 1, "b": 2}], "count": 3, "next": []}, AgentList,
         ("agents[].a", "agents[].b", "next")),
        ({"domains": ["a.example"], **{f"f{n}": n for n in range(100)}}, AllowedDomains, None),
        ({"domains": ['a "quoted" text']}, AllowedDomains, ()),
        ({"name": "a", "labels": {"b": {"c": 1}}, "d": 1}, Labelled, ("d",)),
    ],
)  # fmt: skip
def test_unknown_fields(document: Any, model: Any, paths: tuple[str, ...] | None) -> None:
    """The answer's members are compared with the model's, at every depth, and twenty names are enough."""
    response = answer(document)
    fields = unknown_fields(response, decode(response, model))
    assert fields == paths if paths is not None else len(fields) == 20
