"""The coordinator: rows as an audit in one process gives them, kept in the same database."""

from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from attrs import evolve

from chatloom_async import ApiKey, AsyncChatloom
from chatloom_async.audit import Failure, KeyFile, Row, Workspace, audit
from chatloom_async.audit.rules import Judge
from chatloom_async.audit.store import NothingToResumeError, RunConfig, open_store
from chatloom_async.engines import EngineLostError, LocalEngine, Shard, ShardResult, audit_on
from chatloom_async.sandbox import Sandbox
from chatloom_async.wire.errors import ConfigurationError
from tests.engines.planted import planted
from tests.samples import KEY

URL = "http://127.0.0.1:9"


def judge() -> Judge:
    """All rules, on a day that does not change."""
    return Judge(clock=lambda: datetime(2026, 6, 1, tzinfo=UTC))


def sharing(folder: Path) -> tuple[Sandbox, list[Workspace]]:
    """Twelve workspaces, and a thirteenth with a copy of the first one's key: a reference of its own, the same key."""
    sandbox, workspaces = planted(folder, 12, agents=4)
    copy = folder / "copy.key"
    copy.touch(0o600)
    copy.write_bytes((folder / "w0.key").read_bytes())
    return sandbox, [*workspaces, Workspace("twin", KeyFile(copy))]


class EndingEngine(LocalEngine):
    """Ends after one shard, as a scheduler that is killed."""

    async def run(self, shard: Shard) -> ShardResult:
        if shard.id != "1":
            raise EngineLostError("The scheduler is gone")
        return await super().run(shard)


async def test_rows_are_those_of_one_process(tmp_path: Path) -> None:
    """The same rows, findings that need a view of the whole run included."""
    sandbox, workspaces = sharing(tmp_path)
    engine, client = LocalEngine(transport=sandbox.transport()), AsyncChatloom(KEY, transport=sandbox.transport())
    ours, alone = judge(), judge()
    rows = [row async for row in audit_on(engine, workspaces, base_url=URL, judge=ours, shard_size=5)]
    others = [row async for row in audit(workspaces, client=client, judge=alone, concurrency=1)]
    complete = [ours.add_overlaps(row) for row in rows]
    assert complete == [alone.add_overlaps(row) for row in others]
    assert [found.message for found in complete[-1].findings if found.rule == "key-duplicate"] != []


async def test_a_database_gets_what_it_gets_from_one_process(tmp_path: Path) -> None:
    """Rows, run and shared keys are equal."""
    sandbox, workspaces = sharing(tmp_path)
    config = RunConfig(workspaces=workspaces, base_url=URL)
    engine, client = LocalEngine(transport=sandbox.transport()), AsyncChatloom(KEY, transport=sandbox.transport())
    async with open_store(tmp_path / "audits.db") as store:
        run = await store.begin(config)
        async for _ in audit_on(engine, run.pending(workspaces), base_url=URL, judge=judge(), run=run, shard_size=5):
            pass
        await run.finish()
        other = await store.begin(config)
        async for _ in audit(workspaces, client=client, judge=judge(), run=other, concurrency=1):
            pass
        stored = [[each async for each in store.workspaces(number)] for number in (run.id, other.id)]
        assert stored[0] == stored[1]
        keys = {each.workspace: each.key for each in stored[0]}
        assert keys["twin"] == keys["w0"]
        assert len(set(keys.values())) == len(keys) - 1


async def test_an_audit_whose_engine_ended_is_resumed(tmp_path: Path) -> None:
    """What was committed is not read again, and at the end every workspace has one row."""
    sandbox, workspaces = planted(tmp_path, 10)
    config = RunConfig(workspaces=workspaces, base_url=URL)
    async with open_store(tmp_path / "audits.db") as store:
        run, seen = await store.begin(config), list[Row]()
        ending = EndingEngine(transport=sandbox.transport())
        ended = audit_on(ending, run.pending(workspaces), base_url=URL, run=run, shard_size=4)
        seen += [await anext(ended) for _ in range(4)]
        with pytest.raises(EngineLostError):
            await anext(ended)
        asked = sandbox.requests
        run = await store.resume(config)
        engine = LocalEngine(transport=sandbox.transport())
        seen += [row async for row in audit_on(engine, run.pending(workspaces), base_url=URL, run=run, shard_size=4)]
        await run.finish()
        assert sorted(row.workspace for row in seen) == sorted(each.name for each in workspaces)
        assert sandbox.requests - asked == 2 * 6
        with pytest.raises(NothingToResumeError):
            await store.resume(config)


async def test_a_workspace_that_holds_its_key_is_refused_at_once(tmp_path: Path) -> None:
    """Before anything is sent, also where it is the last one."""
    sandbox, workspaces = planted(tmp_path, 3)
    rows = audit_on(
        LocalEngine(transport=sandbox.transport()),
        [*workspaces, Workspace("acme", ApiKey(KEY))],
        base_url=URL,
        shard_size=1,
    )
    with pytest.raises(ConfigurationError):
        await anext(rows)
    assert sandbox.requests == 0


async def test_no_shard_begins_that_is_not_wanted_any_more(tmp_path: Path) -> None:
    """Those under way come to their end."""
    sandbox, workspaces = planted(tmp_path, 9)
    seen = list[str]()
    engine = LocalEngine(transport=sandbox.transport())
    rows = audit_on(engine, workspaces, base_url=URL, shard_size=1, wanted=lambda: len(seen) < 2)
    async with aclosing(rows):
        async for row in rows:
            seen.append(row.workspace)
    assert seen == [f"w{number}" for number in range(len(seen))]
    assert 2 <= len(seen) <= 4


DOWN = Failure("ConnectError", "Nobody answers")


class OutageEngine:
    """Every shard gives up, because the API is down. `ran` holds the shards that were run."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    async def prepare(self) -> int:
        return 1

    async def run(self, shard: Shard) -> ShardResult:
        self.ran.append(shard.id)
        return evolve(shard.failed(DOWN), gave_up=DOWN)


async def test_if_nothing_has_worked_when_a_shard_gives_up_the_others_fail_at_once(tmp_path: Path) -> None:
    """Without being run, and for the same reason."""
    _, workspaces = planted(tmp_path, 5, agents=1)
    engine = OutageEngine()
    rows = [row async for row in audit_on(engine, workspaces, base_url=URL, shard_size=1)]
    assert (engine.ran, [row.error for row in rows]) == (["1"], [DOWN] * 5)
