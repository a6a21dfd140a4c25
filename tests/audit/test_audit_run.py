"""An audit that is judged, and committed to a run of a database before its rows come out."""

from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from chatloom_async import ApiKey, AsyncChatloom, MockTransport, Request
from chatloom_async.audit import Failure, KeyEnv, Row, Workspace, audit
from chatloom_async.audit.rules import CheckedAgent, Evidence, Judge, rule
from chatloom_async.audit.store import Run, RunConfig, StoredWorkspace, StoreFullError, open_store
from chatloom_async.testing import VirtualClock
from tests.samples import AGENT, DOMAINS, KEY, OTHER_KEY, answer, api

URL = "https://chatloom.app"
SHARED = [
    ("key-duplicate", ""),
    ("domain-shared", "example.com"),
    ("domain-shared", "support.example.com"),
]
ACME, BIRCH = Workspace("acme", ApiKey(KEY)), Workspace("birch", ApiKey(OTHER_KEY))


@rule("template-modern", severity="info", why="The test needs one.", fix="Nothing.")
def template_modern(checked: CheckedAgent) -> list[str]:
    """Every agent of the samples."""
    return [f"The template is {checked.agent.template}."]


def client_of(handler: Any = api) -> AsyncChatloom:
    """A client whose requests are answered by a function."""
    return AsyncChatloom(OTHER_KEY, transport=MockTransport(handler), clock=VirtualClock())


def rules_in(row: Row) -> list[tuple[str, str]]:
    """Rule and subject of what was found."""
    return [(each.rule, each.subject) for each in row.findings]


async def test_rows_are_judged_by_the_rules_of_this_package() -> None:
    """Where nothing else is said; also what only the answer shows reaches the rules."""
    grown = {"agents": [{**AGENT, "status": "paused", "language": "fr"}], "count": 2}

    def handler(request: Request) -> Any:
        return answer({**DOMAINS, "more": 1} if request.url.endswith("/allowed-domains") else grown)

    (row,) = [row async for row in audit([ACME], client=client_of(handler))]
    assert (row.state, rules_in(row)) == (
        "partial",
        [
            ("agent-status", "Sales Assistant"),
            ("contract-count", ""),
            ("contract-unknown-field", "agents[].language"),
            ("contract-unknown-field", "more"),
        ],
    )


async def test_rows_are_judged_by_the_rules_that_are_given() -> None:
    """A failed one by none; a judge without rules finds nothing."""
    nobody = Workspace("nobody", KeyEnv("NOBODY_KEY"))
    rows = [row async for row in audit([ACME, nobody], client=client_of(), judge=Judge((template_modern,)))]
    assert {row.workspace: rules_in(row) for row in rows} == {
        "acme": [("template-modern", "Sales Assistant")],
        "nobody": [],
    }
    (row,) = [row async for row in audit([ACME], client=client_of(), judge=Judge(()))]
    assert row.findings == ()


async def test_a_key_that_comes_twice_is_told_without_a_database_too() -> None:
    """By the fingerprint of this process, once all are read."""
    twin, judge = Workspace("twin", ApiKey(KEY)), Judge()
    rows = [row async for row in audit([ACME, twin], client=client_of(), judge=judge, concurrency=1)]
    assert [rules_in(judge.add_overlaps(row)) for row in rows] == [SHARED, SHARED]


async def test_a_row_is_durable_and_judged_before_it_comes_out(tmp_path: Path) -> None:
    """With the fingerprint of its key; a resumed run knows by it who had the key before."""
    async with open_store(tmp_path / "a.db") as store:
        run = await store.begin(RunConfig(workspaces=(ACME, BIRCH), base_url=URL))
        async with aclosing(audit([ACME], client=client_of(), run=run)) as rows:
            row = await anext(rows)
            assert [each async for each in store.workspaces(run.id)] == [
                StoredWorkspace("acme", row, run.fingerprint(ApiKey(KEY))),
                StoredWorkspace("birch"),
            ]
        judge = Judge()
        judge.remember(row, Evidence(fingerprint=run.fingerprint(ApiKey(KEY))))
        twin = Workspace("birch", ApiKey(KEY))
        async for other in audit([twin], client=client_of(), run=run, judge=judge):
            assert [rules_in(judge.add_overlaps(each)) for each in (row, other)] == [SHARED, SHARED]
        await run.finish()


async def test_a_workspace_that_meets_a_defect_is_committed_as_failed(tmp_path: Path) -> None:
    """Or the run could never be finished."""

    def handler(_: Request) -> Any:
        raise ValueError("broken")

    async with open_store(tmp_path / "a.db") as store:
        run = await store.begin(RunConfig(workspaces=(ACME,), base_url=URL))
        rows = [row async for row in audit([ACME], client=client_of(handler), run=run)]
        assert rows == [Row("acme", "failed", error=Failure("ValueError", "broken"))]
        assert [each async for each in store.rows(run.id)] == rows
        await run.finish()


async def test_a_database_that_takes_no_row_ends_the_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not the workspace that failed."""

    async def full(*_: object) -> None:
        raise StoreFullError("disk full")

    async with open_store(tmp_path / "a.db") as store:
        run = await store.begin(RunConfig(workspaces=(ACME,), base_url=URL))
        monkeypatch.setattr(Run, "commit", full)
        with pytest.raises(StoreFullError):
            _ = [row async for row in audit([ACME], client=client_of(), run=run)]
