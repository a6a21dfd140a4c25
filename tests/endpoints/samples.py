"""One sample for each endpoint of the package: its request, and the documentation's JSON answer with its value.

A new endpoint needs an entry here, with the answer pasted from the documentation.
"""

from datetime import UTC, datetime
from typing import Any

from attrs import frozen

from chatloom_async.endpoints.agents import Agent, AgentList, AllowedDomains, GetAllowedDomains, ListAgents
from chatloom_async.wire.endpoint import Endpoint


@frozen
class Sample:
    """`request` is the method and the path; `answer` is pasted, and `value` is what it decodes to. `body` is the JSON
    that the endpoint sends, if any."""

    endpoint: Endpoint[Any]
    request: str
    answer: str
    value: Any
    body: str | None = None


SAMPLES = [
    Sample(
        ListAgents(),
        "GET /api/plugin/agents",
        """{
"agents": [
{
"id": "agt_abc123",
"name": "Sales Assistant",
"primaryColor": "#611F69",
"secondaryColor": "#764ba2",
"position": "bottom-right",
"template": "modern",
"status": "active",
"createdAt": "2026-01-15T09:00:00.000Z"
}
],
"count": 1
}""",
        AgentList(
            agents=(
                Agent(
                    id="agt_abc123",
                    name="Sales Assistant",
                    primary_color="#611F69",
                    secondary_color="#764ba2",
                    position="bottom-right",
                    template="modern",
                    status="active",
                    created_at=datetime(2026, 1, 15, 9, tzinfo=UTC),
                ),
            ),
            count=1,
        ),
    ),
    Sample(
        GetAllowedDomains("agt_abc123"),
        "GET /api/plugin/agents/agt_abc123/allowed-domains",
        """{
"domains": ["example.com", "support.example.com"]
}""",
        AllowedDomains(domains=("example.com", "support.example.com")),
    ),
]
