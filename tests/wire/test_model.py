"""Models into JSON: by themselves, and as FastAPI and pydantic see them."""

import json
import subprocess
import sys
from datetime import UTC, date, datetime

import pytest
from attrs import frozen
from pydantic import TypeAdapter, ValidationError

from chatloom_async import Agent, AgentList, AllowedDomains, member
from chatloom_async.wire.encode import Model

SALES = Agent(
    "agt_1", "Sales", "#611F69", "#764ba2", "bottom-right", "modern", "active", datetime(2026, 1, 15, tzinfo=UTC)
)
LIST = AgentList((SALES,), 1)
WIRE = {
    "id": "agt_1",
    "name": "Sales",
    "primaryColor": "#611F69",
    "secondaryColor": "#764ba2",
    "position": "bottom-right",
    "template": "modern",
    "status": "active",
    "createdAt": "2026-01-15T00:00:00.000Z",
}
PYTHON = {
    "id": "agt_1",
    "name": "Sales",
    "primary_color": "#611F69",
    "secondary_color": "#764ba2",
    "position": "bottom-right",
    "template": "modern",
    "status": "active",
    "created_at": "2026-01-15T00:00:00.000Z",
}


@frozen
class Invoice(Model):
    due: date
    lines: tuple[Agent, ...]
    paid: bool | None
    number: int = member(name="invoice-no")


def test_models_become_what_json_can_hold() -> None:
    """By the API's names, or by Python's; what is inside of them, too."""
    assert SALES.to_dict() == WIRE
    assert SALES.to_dict(python_names=True) == PYTHON
    assert LIST.to_dict() == {"agents": [WIRE], "count": 1}
    assert LIST.to_dict(python_names=True) == {"agents": [PYTHON], "count": 1}
    assert AllowedDomains(("a.example",)).to_dict() == {"domains": ["a.example"]}
    invoice = Invoice(date(2026, 1, 15), (SALES,), None, 7)
    assert json.loads(json.dumps(invoice.to_dict())) == {
        "due": "2026-01-15",
        "lines": [WIRE],
        "paid": None,
        "invoice-no": 7,
    }


def test_lists_have_indices_slices_and_ids() -> None:
    """As a tuple has; and an agent is found by its id."""
    other = Agent(**{**dict.fromkeys(PYTHON, "x"), "created_at": SALES.created_at})
    agents = AgentList((SALES, other), 2)
    assert (agents[0], agents[-1], agents[:1]) == (SALES, other, (SALES,))
    assert agents.by_id == {"agt_1": SALES, "x": other}
    domains = AllowedDomains(("a.example", "b.example"))
    assert (domains[1], domains[:1]) == ("b.example", ("a.example",))
    with pytest.raises(IndexError):
        agents[2]


def test_pydantic_writes_and_describes_them() -> None:
    """By the API's names, or by Python's where it is asked to."""
    adapter = TypeAdapter(AgentList)
    assert adapter.validate_python(LIST) is LIST
    shown = {"agents": [{**WIRE, "createdAt": "2026-01-15T00:00:00Z"}], "count": 1}
    assert json.loads(adapter.dump_json(LIST, by_alias=True)) == shown
    assert adapter.dump_python(LIST)["agents"][0]["primary_color"] == "#611F69"
    for mode in ("validation", "serialization"):
        schema = adapter.json_schema(mode=mode)  # type: ignore[arg-type]
        assert schema["properties"]["agents"]["items"] == {"$ref": "#/$defs/Agent"}
        assert schema["$defs"]["Agent"]["required"] == list(WIRE)


def test_pydantic_reads_them() -> None:
    """Whoever keeps what FastAPI has written gets the same model back; and nothing else passes for one."""
    adapter = TypeAdapter(AgentList)
    assert adapter.validate_json(adapter.dump_json(LIST, by_alias=True)) == LIST
    with pytest.raises(ValidationError):
        adapter.validate_python({"agents": [], "count": "many"})


def test_pydantic_is_not_imported() -> None:
    """Programs without it do not need it."""
    code = "import sys, chatloom_async as c; c.AsyncChatloom, c.Agent; assert 'pydantic' not in sys.modules"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
