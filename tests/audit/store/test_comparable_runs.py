"""Which earlier run another one is compared with: the baseline of a week, and the run before it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatloom_async.audit.store import NoSuchRunError, Run, RunConfig, Store, open_store
from tests.audit.store.samples import config, failed, row

ABC = ("a", "b", "c")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A new database, open to write."""
    async with open_store(tmp_path / "a.db") as opened:
        yield opened


async def finished(store: Store, given: RunConfig, *, unread: str = "") -> Run:
    """A run in which all workspaces have a row; those in `unread` failed."""
    run = await store.begin(given)
    for workspace in given.workspaces:
        await run.commit(failed(workspace.name) if workspace.name in unread else row(workspace.name))
    await run.finish()
    return run


async def baseline(store: Store, before: int | None = None) -> int | None:
    """The number of the newest complete run."""
    info = await store.newest_complete(before=before)
    return info and info.id


async def test_the_first_run_of_a_database_has_no_baseline(store: Store) -> None:
    """It becomes one as soon as it is finished."""
    assert await baseline(store) is None
    run = await store.begin(config(*ABC))
    assert await baseline(store, run.id) is None
    for name in ABC:
        await run.commit(row(name))
    assert await baseline(store) is None
    await run.finish()
    assert await baseline(store) == run.id


async def test_a_baseline_read_everything_it_was_asked_to(store: Store) -> None:
    """Not one in which a workspace failed, nor one that was interrupted or killed, nor the run itself."""
    await finished(store, config(*ABC))
    await finished(store, config(*ABC), unread="b")
    interrupted = await store.begin(config(*ABC))
    await interrupted.finish("interrupted")
    killed = await store.begin(config(*ABC))
    await killed.commit(row("a"))
    current = await store.begin(config(*ABC))
    assert await baseline(store, current.id) == 1
    assert (await store.run_before(current.id)).id == 2
    assert (await store.run_before(2)).id == 1


@pytest.mark.parametrize(
    ("other", "comparable"),
    [
        (config("a", "b", "c", "d"), True),
        (config("c"), True),
        (config("x", "y"), False),
        (config("a", listed=ABC), False),
        (config(*ABC, listed=(*ABC, "d")), True),
        (config(*ABC, base_url="https://staging.example"), False),
    ],
)
async def test_a_run_of_other_workspaces_is_no_baseline(store: Store, other: RunConfig, comparable: bool) -> None:
    """Nor one of another address, nor one that a filter kept from the workspaces of this one; but a list may grow."""
    first = await finished(store, config(*ABC))
    second = await finished(store, other)
    current = await store.begin(config(*ABC))
    expected = second.id if comparable else first.id
    assert (await baseline(store, current.id), (await store.run_before(current.id)).id) == (expected, expected)
    assert await baseline(store) == second.id


async def test_a_run_has_an_interrupted_one_before_it_if_there_is_no_other(store: Store) -> None:
    """What that one read can be compared."""
    first = await store.begin(config(*ABC))
    second = await store.begin(config(*ABC))
    third = await store.begin(config(*ABC))
    assert (await store.run_before(third.id)).id == second.id
    assert (await store.run_before(second.id)).id == first.id


async def test_the_first_run_has_none_before_it(store: Store) -> None:
    """And a run that is not there neither."""
    run = await store.begin(config(*ABC))
    with pytest.raises(NoSuchRunError, match=r"^There is no run before run 1 that can be compared with it\."):
        await store.run_before(run.id)
    for asked in (store.run_before(9), store.newest_complete(before=9)):
        with pytest.raises(NoSuchRunError, match=r"^There is no run 9\."):
            await asked


async def test_a_killed_run_is_no_baseline_for_a_reader(tmp_path: Path) -> None:
    """A reader tells a run that nobody holds from one that is alive."""
    async with open_store(tmp_path / "a.db") as store:
        await finished(store, config(*ABC))
        await store.begin(config(*ABC))
        async with open_store(tmp_path / "a.db", write=False) as reader:
            assert [info.state for info in await reader.runs()] == ["finished", "running"]
    async with open_store(tmp_path / "a.db", write=False) as reader:
        assert ([info.state for info in await reader.runs()], await baseline(reader)) == (
            ["finished", "interrupted"],
            1,
        )
        assert (await reader.run_before(2)).state == "finished"
