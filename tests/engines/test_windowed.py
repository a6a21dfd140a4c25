"""The window that all engines share, and the splitting of shards that kill."""

import asyncio
from collections import Counter

import pytest
from attrs import define, field

from chatloom_async.audit import Failure, KeyEnv, Row, Workspace
from chatloom_async.engines import (
    EngineError,
    EngineLostError,
    Shard,
    ShardLostError,
    ShardRead,
    ShardResult,
    partition,
    windowed,
)
from tests.engines.planted import shard_of

WORKSPACES = [Workspace(f"w{number}", KeyEnv(f"KEY_{number % 150}")) for number in range(200)]


@define(eq=False)
class RecordingEngine:
    """Reads nothing, and notes what is under way. A shard with one of `poison` is lost."""

    poison: frozenset[str] = frozenset()
    ends: bool = False
    under_way: Counter[str] = field(factory=Counter)
    most: int = 0
    shards: int = 0
    lost: list[int] = field(factory=list)

    async def prepare(self) -> int:
        return 3

    async def run(self, shard: Shard) -> ShardResult:
        keys = {str(each.key) for each in shard.workspaces}
        assert not keys & self.under_way.keys(), "a key is worked on twice at once"
        self.under_way.update(keys)
        self.shards += 1
        self.most = max(self.most, self.shards)
        await asyncio.sleep(0)
        self.shards -= 1
        self.under_way -= Counter(keys)
        if self.ends:
            raise EngineLostError("The scheduler is gone")
        if self.poison & {each.name for each in shard.workspaces}:
            self.lost.append(len(shard))
            raise ShardLostError("lost")
        return ShardResult(shard.id, tuple(ShardRead(row=Row(each.name, "ok")) for each in shard.workspaces))


def shards_of(size: int) -> list[Shard]:
    """The workspaces in shards of that size."""
    return list(partition(WORKSPACES, lambda number, chosen: shard_of(*chosen, name=number), size=size))


async def states(engine: RecordingEngine, size: int, window: int | None = None) -> dict[str, str]:
    """The state of every workspace; none may come twice, or under another's name."""
    found: dict[str, str] = {}
    async for shard, result in windowed(engine, shards_of(size), window=window):
        for workspace, read in zip(shard.workspaces, result.reads, strict=True):
            assert workspace.name == read.row.workspace not in found
            found[workspace.name] = read.row.state
    return found


@pytest.mark.parametrize(("window", "most"), [(None, 3), (5, 5)])
async def test_a_window_of_shards_is_under_way(window: int | None, most: int) -> None:
    """As many as the engine says, or as asked for; no key in two of them; every workspace once."""
    engine = RecordingEngine()
    assert await states(engine, 7, window) == dict.fromkeys((each.name for each in WORKSPACES), "ok")
    assert engine.most == most


async def test_only_the_poisonous_workspaces_fail() -> None:
    """Shards that kill are split until those that do it are alone; no key is worked on twice at once meanwhile."""
    engine = RecordingEngine(poison=frozenset({"w3", "w11", "w12", "w120"}))
    found = await states(engine, 50)
    assert {name for name, state in found.items() if state == "failed"} == engine.poison
    assert len(found) == 200


async def test_a_thousand_workspaces_take_four_rounds() -> None:
    """A poisonous workspace is alone after three splits."""
    engine = RecordingEngine(poison=frozenset({"w0"}))
    shard = shard_of(*(Workspace(f"w{number}", KeyEnv(str(number))) for number in range(1000)))
    async for _, result in windowed(engine, [shard]):
        error = EngineError("Every worker died that read workspace 'w0', at last alone")
        assert result.reads[0] == ShardRead.failed(shard.workspaces[0], Failure.of(error))
    assert engine.lost == [1000, 125, 16, 2, 1, 1]


@define(eq=False)
class CrowdedEngine(RecordingEngine):
    """A worker that runs all shards at once: where a poisonous one is, all that are under way are lost."""

    async def run(self, shard: Shard) -> ShardResult:
        killing = bool(self.poison & {each.name for each in shard.workspaces})
        self.shards += 1
        self.poisoned = self.poisoned or killing
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        died, self.shards = self.poisoned, self.shards - 1
        self.poisoned = self.poisoned and self.shards > 0
        if died:
            raise ShardLostError("lost")
        return ShardResult(shard.id, tuple(ShardRead(row=Row(each.name, "ok")) for each in shard.workspaces))

    poisoned: bool = False


async def test_no_workspace_fails_for_its_neighbours_fault() -> None:
    """Where a killed worker takes all that is under way along, only those that kill it fail."""
    engine = CrowdedEngine(poison=frozenset({"w3", "w90", "w199"}))
    found = await states(engine, 1, window=8)
    assert {name for name, state in found.items() if state == "failed"} == engine.poison
    assert len(found) == 200


async def test_an_engine_that_ends_ends_the_audit() -> None:
    """Its error comes out as it is."""
    with pytest.raises(EngineLostError, match=r"^The scheduler is gone"):
        await states(RecordingEngine(ends=True), 7)
