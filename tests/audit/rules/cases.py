"""Short ways to a subject for a rule, and to what a rule says of it. Everything not given is tidy."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from attrs import evolve

from chatloom_async import Agent, ApiKey
from chatloom_async.audit import AuditedAgent, Row, Workspace
from chatloom_async.audit.rules import RULES, CheckedWorkspace, judge
from tests.samples import KEY

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
TIDY = Agent(
    id="agt_1",
    name="Sales Assistant",
    primary_color="#611F69",
    secondary_color="#0B5FFF",
    position="bottom-right",
    template="modern",
    status="active",
    created_at=datetime(2026, 1, 15, 9, tzinfo=UTC),
)
RULE = {each.id: each for each in RULES}


def audited(*domains: str, **fields: Any) -> AuditedAgent:
    """An agent that allows these domains."""
    return AuditedAgent(evolve(TIDY, **fields), domains)


def checked(*agents: AuditedAgent, expect: Iterable[str] | None = None, **fields: Any) -> CheckedWorkspace:
    """The workspace "acme" with these agents."""
    workspace = Workspace("acme", ApiKey(KEY), expect=None if expect is None else tuple(expect))
    return CheckedWorkspace(workspace, Row("acme", fields.pop("state", "ok"), agents), NOW, **fields)


def found(name: str, workspace: CheckedWorkspace) -> list[tuple[str | None, str, str]]:
    """What the one rule finds: agent, subject and message."""
    return [(each.agent_id, each.subject, each.message) for each in judge(workspace, (RULE[name],))]


def said(rule: str, /, *domains: str, expect: Iterable[str] | None = None, **fields: Any) -> list[str]:
    """The messages of one rule about one agent."""
    return [message for _, _, message in found(rule, checked(audited(*domains, **fields), expect=expect))]
