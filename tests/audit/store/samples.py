"""Rows and configurations to store, and a strategy for any row there can be."""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from chatloom_async import Agent
from chatloom_async.audit import AuditedAgent, Failure, Finding, KeyEnv, Row, Workspace
from chatloom_async.audit.store import RunConfig, RunInfo
from chatloom_async.audit.values import make_finding

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
URL = "https://chatloom.app"
REFUSED = Failure("AuthenticationError", "The key is refused.")


def workspaces(*names: str) -> tuple[Workspace, ...]:
    """One for each name, each with a key of its own."""
    return tuple(Workspace(name, KeyEnv(f"KEY_OF_{name}")) for name in names)


def config(*names: str, rules: Iterable[str] = (), base_url: str = URL, listed: Iterable[str] = ()) -> RunConfig:
    """A run over workspaces of these names."""
    return RunConfig(workspaces=workspaces(*names), base_url=base_url, rules=tuple(rules), listed=tuple(listed))


def agent(agent_id: str = "agt_1", domains: Iterable[str] | None = ("example.com",), **fields: Any) -> AuditedAgent:
    """An agent like any other, but for what is given."""
    made = Agent(
        id=agent_id,
        name=fields.pop("name", "Sales"),
        primary_color=fields.pop("primary_color", "#611F69"),
        secondary_color="#764ba2",
        position="bottom-right",
        template="modern",
        status=fields.pop("status", "active"),
        created_at=fields.pop("created_at", NOW),
    )
    return AuditedAgent(made, None if domains is None else tuple(domains), **fields)


def found(workspace: str, subject: str, *, agent_id: str | None = "agt_1", rule: str = "domain-local") -> Finding:
    """A finding as a rule would make it."""
    return make_finding(workspace, rule, "error", agent_id=agent_id, subject=subject, message=f"{subject} is local.")


def row(name: str, **fields: Any) -> Row:
    """What came of a workspace with one agent, unless something else is given."""
    return Row(name, **{"state": "ok", "agents": (agent(),), "requests": 2, **fields})


def failed(name: str) -> Row:
    """What came of a workspace whose key is refused."""
    return Row(name, "failed", error=REFUSED, requests=1)


def run_info(number: int = 1, **fields: Any) -> RunInfo:
    """A finished run over one workspace, but for what is given."""
    given = {"started": NOW, "finished": NOW, "state": "finished", "version": "0.1.0", "base_url": URL, "rules": ()}
    return RunInfo(id=number, **{**given, "planned": 1, "ok": 1, **fields})


async def stream(*items: Any) -> AsyncIterator[Any]:
    """The items, one after the other."""
    for item in items:
        yield item


any_text = st.text(st.characters(codec=None), max_size=20)  # lone surrogates and NUL included
moments = st.datetimes(timezones=st.sampled_from((UTC, timezone(timedelta(hours=5, minutes=45)))))
failures = st.builds(Failure, any_text, any_text)
agents = st.builds(
    AuditedAgent,
    st.builds(Agent, *[any_text] * 7, moments),
    st.none() | st.lists(any_text, max_size=3).map(tuple),
    st.none() | failures,
)
findings = st.builds(
    Finding, any_text, any_text, st.sampled_from(("error", "warning", "info")), st.none() | any_text, any_text, any_text
)
rows = st.builds(
    Row,
    st.text(max_size=20),
    st.sampled_from(("ok", "partial", "failed")),
    st.lists(agents, max_size=3).map(tuple),
    st.lists(findings, max_size=3).map(tuple),
    st.none() | failures,
    st.integers(0, 10**9),
)
