"""An audit with a resolver: findings, what was not read, and one question for all workspaces."""

from pathlib import Path

import pytest

from chatloom_async import AsyncChatloom, MockTransport
from chatloom_async.audit import KeyEnv, Row, Workspace, audit
from chatloom_async.audit.dns import Resolver
from chatloom_async.audit.dns.hosts import CANARY
from chatloom_async.audit.rules import RULES, Judge, select_rules
from chatloom_async.audit.store import RunConfig, open_store
from chatloom_async.audit.values import DnsReading
from chatloom_async.engines import audit_on
from chatloom_async.engines.worker import LocalEngine
from tests.audit.dns.server import SERVFAIL, NameServer, serving
from tests.samples import AGENT, KEY, answer

ZONE = {"acme.com": ["A 192.0.2.1"], "broken.com": [SERVFAIL]}
ALLOWED = ["acme.com", "chat.acme-old.com", "broken.com"]
WORKSPACES = [Workspace(name, KeyEnv("ACME_KEY")) for name in ("acme", "birch", "cedar")]
URL = "https://chatloom.app"
ASKED = {
    "A acme.com": 1,
    "A broken.com": 1,
    "A chat.acme-old.com": 1,
    "A acme-old.com": 1,
    "A com": 1,
    f"A {CANARY}": 1,
}
MESSAGE = (
    '"chat.acme-old.com" is under "acme-old.com", which does not exist in the DNS: anybody who registers it can show '
    "this agent."
)
FOUND = [("domain-unregistered", "chat.acme-old.com", MESSAGE)]
READING = DnsReading(3, (("broken.com", "the resolver answered SERVFAIL"),))


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every workspace."""
    monkeypatch.setenv("ACME_KEY", KEY)


def transport() -> MockTransport:
    """Every workspace has one agent, which allows the same domains."""
    return MockTransport(
        lambda request: answer(
            {"domains": ALLOWED} if request.url.endswith("/allowed-domains") else {"agents": [AGENT], "count": 1}
        )
    )


def judge() -> Judge:
    """The rules that need the DNS."""
    return Judge(select_rules(RULES, ["domain-unregistered", "domain-unresolved", "domain-dangling"]))


def resolver(server: NameServer) -> Resolver:
    """One that asks this server, once."""
    return Resolver(server.address, tries=1)


def told(row: Row) -> list[tuple[str, str, str]]:
    """What was found."""
    return [(each.rule, each.subject, each.message) for each in row.findings]


async def test_an_audit_asks_once_for_all_workspaces() -> None:
    """A name that many allow is one question. No answer is no finding, and the row says so."""
    client = AsyncChatloom(KEY, transport=transport())
    async with serving(ZONE) as server:
        rows = [row async for row in audit(WORKSPACES, client=client, judge=judge(), dns=resolver(server))]
        assert server.asked == ASKED
    assert [(told(row), row.dns, row.state) for row in rows] == [(FOUND, READING, "ok")] * 3


async def test_without_a_resolver_nothing_is_asked() -> None:
    """And nothing is said of it."""
    client = AsyncChatloom(KEY, transport=transport())
    rows = [row async for row in audit(WORKSPACES, client=client, judge=judge())]
    assert [(told(row), row.dns) for row in rows] == [([], None)] * 3


async def test_an_engines_rows_are_judged_with_the_same_answers() -> None:
    """The questions are asked where the rows come together, not by the workers."""
    async with serving(ZONE) as server:
        engine = LocalEngine(transport=transport())
        rows = [row async for row in audit_on(engine, WORKSPACES, base_url=URL, judge=judge(), dns=resolver(server))]
        assert server.asked == ASKED
    assert [(told(row), row.dns) for row in rows] == [(FOUND, READING)] * 3


async def test_a_resumed_run_keeps_what_was_found(tmp_path: Path) -> None:
    """Rows that were kept are not asked for again."""
    client = AsyncChatloom(KEY, transport=transport())
    config = RunConfig(workspaces=WORKSPACES, base_url=URL, rules=[each.id for each in judge().rules])
    async with serving(ZONE) as server, open_store(tmp_path / "audits.db") as store:
        run = await store.begin(config)
        async for _ in audit(WORKSPACES[:2], client=client, judge=judge(), run=run, dns=resolver(server)):
            pass
        await run.finish("interrupted")
        again = await store.resume(config)
        server.asked.clear()
        pending = again.pending(WORKSPACES)
        rows = [row async for row in audit(pending, client=client, judge=judge(), run=again, dns=resolver(server))]
        await again.finish()
        kept = [each.row async for each in store.workspaces(again.id)]
        assert server.asked == ASKED
    assert [row.workspace for row in rows] == ["cedar"]
    assert [(told(row), row.dns) for row in kept if row] == [(FOUND, READING)] * 3
