"""Runs in a store: begun, committed, ended, resumed, and read again later."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from sqlite3 import connect

import attrs
import pytest
from hypothesis import HealthCheck, example, given, settings

from chatloom_async import ApiKey
from chatloom_async.audit import KeyCommand, KeyFile, KeyJson, Row, Workspace
from chatloom_async.audit.store import (
    ConfigurationChangedError,
    NoSuchRunError,
    NothingToResumeError,
    RunConfig,
    RunInfo,
    Store,
    StoreDamagedError,
    StoredWorkspace,
    StoreLostError,
    StoreUsageError,
    open_store,
)
from chatloom_async.audit.store.runs import key_fingerprint
from chatloom_async.audit.store.sqlite import encode_row
from chatloom_async.wire.version import VERSION
from tests.audit.store.samples import NOW, URL, config, failed, found, row, rows, workspaces
from tests.samples import KEY, OTHER_KEY


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store whose clock stands still."""
    async with open_store(tmp_path / "a.db", now=lambda: NOW) as opened:
        yield opened


async def test_what_was_committed_is_read_again_by_name(store: Store) -> None:
    """Whatever order it came in; a workspace without a row is there, too, without one."""
    run = await store.begin(config("b", "a", "c"))
    await asyncio.gather(run.commit(row("b"), ApiKey(KEY)), run.commit(failed("a")))
    assert [each async for each in store.rows(run.id)] == [failed("a"), row("b")]
    assert [kept.row async for kept in store.kept(run.id)] == [row("b")]
    assert [each async for each in store.workspaces(run.id)] == [
        StoredWorkspace("a", failed("a")),
        StoredWorkspace("b", row("b"), run.fingerprint(ApiKey(KEY))),
        StoredWorkspace("c"),
    ]


async def test_a_run_remembers_which_workspaces_expected_something(store: Store) -> None:
    """An empty list of domains is an expectation, too. What is expected is not stored."""
    expected = {"a": None, "b": (), "c": ("c.example",)}
    listed = [Workspace(name, KeyJson("KEYS", name), expect=expect) for name, expect in expected.items()]
    run = await store.begin(RunConfig(workspaces=listed, base_url=URL))
    assert [stored.expects async for stored in store.workspaces(run.id)] == [False, True, True]


async def test_long_runs_are_read_page_by_page(store: Store) -> None:
    """Every workspace once, in the order of code points, also beyond ASCII and with an empty name."""
    names = [f"w{number:03}" for number in range(150)] + ["", "é", "Z", "\U0001f600", "\uffee", "a\0b"]
    run = await store.begin(config(*names))
    await asyncio.gather(*(run.commit(row(name)) for name in names))
    assert [each.workspace async for each in store.rows(run.id)] == sorted(names)


async def test_a_run_remembers_what_else_was_on_its_list(store: Store) -> None:
    """By name and page by page, between those that were selected; it expects no row of them."""
    names = [f"w{number:03}" for number in range(300)]
    run = await store.begin(config(*names[::2], listed=names))
    await asyncio.gather(*(run.commit(row(name)) for name in names[::2]))
    await run.finish()
    stored = [each async for each in store.workspaces(run.id)]
    assert stored == [StoredWorkspace(name, row(name)) if place % 2 == 0 else StoredWorkspace(name, selected=False)
                      for place, name in enumerate(names)]  # fmt: skip
    info = await store.run_info(run.id)
    assert (info.planned, info.unselected, info.pending) == (150, 150, 0)
    with pytest.raises(StoreUsageError, match=rf"^Workspace '{names[1]}' is not one of run 1"):
        await run.commit(row(names[1]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(rows)
@example(row("a", findings=(found("a", "\ud800"),)))
async def test_any_row_can_be_stored(tmp_path: Path, any_row: Row) -> None:
    """Text that SQLite cannot hold is in the document as it was, and escaped in the table of findings."""
    async with open_store(tmp_path / "any.db") as store:
        run = await store.begin(config(any_row.workspace))
        await run.commit(any_row)
        assert [each async for each in store.rows(run.id)] == [any_row]
        ids = {each.id for each in any_row.findings if each.id.isascii()}
        assert await store.known_findings(run.id, ids) == ids


async def test_a_run_tells_what_it_is_and_how_far_it_came(store: Store) -> None:
    """From its beginning to its end."""
    run = await store.begin(config("a", "b", "c", rules=("z", "k")))
    await run.commit(row("a", findings=(found("a", "localhost"), found("a", "::1"))))
    await run.commit(failed("b"))
    info = RunInfo(
        id=1,
        started=NOW,
        finished=None,
        state="running",
        version=VERSION,
        base_url=URL,
        rules=("k", "z"),
        planned=3,
        ok=1,
        failed=1,
        error=2,
    )
    assert (await store.runs(), info.pending) == ([info], 1)
    await run.finish("interrupted")
    assert await store.run_info(1) == attrs.evolve(info, finished=NOW, state="interrupted")


async def test_a_second_row_takes_the_place_of_the_first(store: Store) -> None:
    """With its findings."""
    run = await store.begin(config("a"))
    await run.commit(row("a", findings=(found("a", "localhost"), found("a", "::1"))))
    await run.commit(row("a", findings=(found("a", "::1"),)))
    assert [each async for each in store.rows(run.id)] == [row("a", findings=(found("a", "::1"),))]
    ids = (found("a", "localhost").id, found("a", "::1").id)
    assert await store.known_findings(run.id, ids) == {found("a", "::1").id}


async def test_rows_that_replace_others_may_share_a_transaction(store: Store) -> None:
    """With new ones, and with one that comes after another of the same workspace."""
    run = await store.begin(config("a", "b", "c"))
    await run.commit(row("a", findings=(found("a", "localhost"), found("a", "::1"))))
    last = [row("a"), row("b", findings=(found("b", "localhost"),)), row("c")]
    before = row("c", findings=(found("c", "127.0.0.1"), found("c", "127.0.0.2")))
    await asyncio.gather(*(run.commit(each) for each in (*last[:2], before, last[2])))
    assert [each async for each in store.rows(run.id)] == last
    (info,) = await store.runs()
    assert (info.ok, info.error) == (3, 1)


async def test_any_number_of_findings_can_be_asked_for(store: Store) -> None:
    """SQLite takes a limited number of them at a time."""
    run = await store.begin(config("a"))
    findings = tuple(found("a", f"{number}.example") for number in range(1200))
    await run.commit(row("a", findings=findings))
    ids = [each.id for each in findings]
    assert await store.known_findings(run.id, [*ids, "unknown", *ids]) == set(ids)
    assert await store.known_findings(run.id, ()) == frozenset()


async def test_work_is_done_in_the_order_in_which_it_was_asked_for(store: Store) -> None:
    """Also in one transaction: of a row that is written, amended and written again, the last one stays."""
    run = await store.begin(config("a"))
    first, amended, last = (attrs.evolve(row("a"), requests=number) for number in (1, 2, 3))
    await asyncio.gather(run.put(first, None), run.amend([amended]), run.put(last, None))
    assert [stored.row async for stored in store.workspaces(run.id)] == [last]


async def test_an_amended_row_keeps_the_fingerprint_of_its_key(store: Store) -> None:
    """Its findings are those of the new row only."""
    run = await store.begin(config("a"))
    await run.commit(row("a", findings=(found("a", "::1"),)), ApiKey(KEY))
    amended = row("a", findings=(found("a", "localhost"),))
    await run.amend([amended])
    key = run.fingerprint(ApiKey(KEY))
    assert [stored async for stored in store.workspaces(run.id)] == [StoredWorkspace("a", amended, key)]
    ids = (found("a", "localhost").id, found("a", "::1").id)
    assert await store.known_findings(run.id, ids) == {found("a", "localhost").id}


async def test_a_run_takes_only_rows_of_its_own_workspaces(store: Store) -> None:
    """A stranger's is refused, and those that share its transaction are not."""
    run = await store.begin(config("a", "b"))
    results = await asyncio.gather(
        run.commit(row("a")), run.commit(row("stranger")), run.commit(row("b")), return_exceptions=True
    )
    assert results == [None, StoreUsageError("Workspace 'stranger' is not one of run 1"), None]
    assert [each async for each in store.rows(run.id)] == [row("a"), row("b")]


async def test_a_name_that_is_no_text_or_comes_twice_is_refused(store: Store) -> None:
    """Both by a new run and by one that is resumed; nothing of the run remains."""
    with pytest.raises(StoreUsageError, match=r"^Two workspaces have the same name"):
        await store.begin(config("a", "a"))
    with pytest.raises(StoreUsageError, match=r"^The name 'a\\ud800' is not Unicode text"):
        await store.begin(config("a\ud800"))
    assert await store.runs() == []
    await store.begin(config("a"))
    with pytest.raises(StoreUsageError, match=r"^Two workspaces have the same name"):
        await store.resume(config("a", "a"))


async def test_a_run_is_finished_only_when_every_workspace_has_a_row(store: Store) -> None:
    """Otherwise it could not be resumed, and nobody would know."""
    run = await store.begin(config("a", "b"))
    await run.commit(row("a"))
    with pytest.raises(StoreUsageError, match=r"^Run 1 cannot be finished: workspaces without a row: 1"):
        await run.finish()
    await run.commit(failed("b"))
    await run.finish()
    assert (await store.run_info(1)).state == "finished"


async def test_a_run_that_nobody_ended_is_interrupted_once_nobody_holds_the_file(tmp_path: Path) -> None:
    """Who only reads can tell it from one that is under way, and so can who writes next."""
    path = tmp_path / "a.db"
    async with open_store(path) as store:
        await store.begin(config("a"))
        async with open_store(path, write=False) as reader:
            assert ([each.state for each in await reader.runs()], (await reader.run_info(1)).state) == (
                ["running"], "running"
            )  # fmt: skip
    for _ in range(2):
        async with open_store(path, write=False) as reader:
            assert ([each.state for each in await reader.runs()], (await reader.run_info(1)).state) == (
                ["interrupted"], "interrupted"
            )  # fmt: skip
        await asyncio.to_thread(Path(f"{path}-lock").unlink, missing_ok=True)  # as where only the database was copied
    async with open_store(path) as store:
        assert [each.state for each in await store.runs()] == ["interrupted"]
        await store.begin(config("a"))
        await store.begin(config("a"))
        assert [each.state for each in await store.runs()] == ["interrupted", "interrupted", "running"]


async def test_a_glance_at_the_lock_does_not_shut_an_audit_out(tmp_path: Path) -> None:
    """Many that only look, while others begin and end."""
    path = tmp_path / "a.db"
    async with open_store(path) as store:
        await store.begin(config("a"))

    async def look() -> None:
        for _ in range(20):
            async with open_store(path, write=False) as reader:
                await reader.runs()

    async def audits() -> None:
        for _ in range(10):
            async with open_store(path) as store:
                await store.begin(config("a"))

    await asyncio.gather(look(), look(), audits())
    async with open_store(path) as store:
        assert len(await store.runs()) == 11


async def test_a_resumed_run_reads_what_is_missing_or_failed(tmp_path: Path) -> None:
    """An ok or a partial row is kept; the run keeps its number and its beginning."""
    names = [f"w{number:04}" for number in range(1200)]
    async with open_store(tmp_path / "a.db", now=lambda: NOW) as store:
        run = await store.begin(config(*names))
        await asyncio.gather(run.commit(row(names[0])), run.commit(row(names[1], state="partial")))
        await run.commit(failed(names[2]))
        await run.finish("interrupted")
    async with open_store(tmp_path / "a.db", now=lambda: NOW + timedelta(hours=1)) as store:
        run = await store.resume(config(*reversed(names)))
        pending = [each async for each in run.pending(workspaces(*names))]
        assert (run.id, pending) == (1, list(workspaces(*names[2:])))
        info = await store.run_info(1)
        assert (info.started, info.finished, info.state) == (NOW, None, "running")
        await asyncio.gather(*(run.commit(row(each.workspace)) for each in (row(name) for name in names[2:])))
        await run.finish()
        assert [each.workspace async for each in store.rows(1)] == names


async def test_a_run_is_lost_with_its_file(tmp_path: Path) -> None:
    """It was moved, so that the path has another run or none; where it is now, the run has its end."""
    path, moved = tmp_path / "a.db", tmp_path / "moved.db"
    async with open_store(path) as store:
        run = await store.begin(config("a"))
        await run.commit(row("a"))
        for suffix in ("", "-wal", "-shm"):
            os.rename(f"{path}{suffix}", f"{moved}{suffix}")  # noqa: PTH104 - Path.rename is not for coroutines
        path.touch()
        with pytest.raises(StoreLostError) as caught:
            await run.finish()
        assert caught.value == StoreLostError(
            f"{path}: the file was moved, removed or replaced, so the run is not in it"
        )
    async with open_store(moved, write=False) as store:
        assert (await store.run_info(1)).state == "finished"


async def test_only_the_last_run_is_resumed_and_only_an_unfinished_one(store: Store) -> None:
    """What was done since would be undone by going back."""
    with pytest.raises(NothingToResumeError, match=r"^No run was begun yet"):
        await store.resume(config("a"))
    await store.begin(config("a"))
    run = await store.begin(config("a"))
    await run.commit(row("a"))
    await run.finish()
    with pytest.raises(NothingToResumeError, match=r"^Run 2 is finished, and none of its workspaces failed"):
        await store.resume(config("a"))


async def test_a_finished_run_is_resumed_where_workspaces_failed(store: Store) -> None:
    """To read those again; a partial row is not given up for an attempt that may read less."""
    run = await store.begin(config("a", "b", "c"))
    await asyncio.gather(run.commit(row("a")), run.commit(row("b", state="partial")), run.commit(failed("c")))
    await run.finish()
    assert (await store.run_info(1)).resumable
    run = await store.resume(config("a", "b", "c"))
    assert [each.name async for each in run.pending(workspaces("a", "b", "c"))] == ["c"]
    await run.commit(row("c"))
    await run.finish()
    info = await store.run_info(1)
    assert (info.state, info.ok, info.partial, info.resumable) == ("finished", 2, 1, False)


ACME = Workspace("acme", KeyFile("keys/acme"), tags=("eu",), expect=("a.example", "b.example"))
BIRCH = Workspace("birch", KeyCommand(["pass", "show", "birch"]))
CEDAR = Workspace("cedar", ApiKey(KEY))
DOGWOOD = Workspace("dogwood", KeyFile("~/dogwood"))
PLANNED = RunConfig(workspaces=(ACME, BIRCH, CEDAR, DOGWOOD), base_url=URL, rules=("a", "b"))


@pytest.mark.parametrize(
    "now",
    [
        PLANNED,
        attrs.evolve(PLANNED, workspaces=(DOGWOOD, BIRCH, CEDAR, ACME), rules=("b", "a", "a")),
        attrs.evolve(PLANNED, workspaces=(attrs.evolve(ACME, tags=()), BIRCH, CEDAR, DOGWOOD)),
        attrs.evolve(PLANNED, listed=("acme", "elm")),
        attrs.evolve(
            PLANNED, workspaces=(attrs.evolve(ACME, key=KeyFile(Path.cwd() / "keys/acme")), BIRCH, CEDAR, DOGWOOD)
        ),
    ],
)
async def test_the_same_configuration_in_other_words_is_resumed(store: Store, now: RunConfig) -> None:
    """Order, tags, the way a path is written and what is not selected do not count."""
    await store.begin(PLANNED)
    assert (await store.resume(now)).id == 1


@pytest.mark.parametrize(
    ("fields", "change"),
    [
        ({"base_url": "https://other.example"}, "base_url was https://chatloom.app and is https://other.example"),
        ({"rules": ()}, "rules was a, b and is none"),
        ({"workspaces": (ACME, BIRCH)}, "workspaces removed: 2 (cedar, dogwood)"),
        (
            {"workspaces": (ACME, BIRCH, CEDAR, DOGWOOD, *workspaces("4", "3", "2", "1"))},
            "workspaces added: 4 (1, 2, 3, ...)",
        ),
        (
            {
                "workspaces": (
                    attrs.evolve(ACME, key=KeyFile("keys/other")),
                    attrs.evolve(BIRCH, key=KeyCommand(["pass", "show birch"])),
                    attrs.evolve(CEDAR, key=ApiKey(OTHER_KEY)),
                    DOGWOOD,
                )
            },
            "workspaces with another key reference: 3 (acme, birch, cedar)",
        ),
        (
            {"workspaces": (attrs.evolve(ACME, key=KeyJson("KEYS", "acme")), BIRCH, CEDAR, DOGWOOD)},
            "workspaces with another key reference: 1 (acme)",
        ),
        (
            {
                "workspaces": (
                    attrs.evolve(ACME, expect=("a.exampleb", ".example")),
                    attrs.evolve(BIRCH, expect=()),
                    CEDAR,
                    DOGWOOD,
                )
            },
            "workspaces with other expected domains: 2 (acme, birch)",
        ),
        (
            {"rules": ("a",), "workspaces": (ACME, BIRCH, CEDAR)},
            "rules was a, b and is a; workspaces removed: 1 (dogwood)",
        ),
    ],
)
async def test_another_configuration_is_not_resumed_and_what_changed_is_told(
    store: Store, fields: dict[str, object], change: str
) -> None:
    """Two halves of different audits would make no whole one. The run stays as it was."""
    run = await store.begin(PLANNED)
    await run.finish("interrupted")
    with pytest.raises(ConfigurationChangedError) as caught:
        await store.resume(attrs.evolve(PLANNED, **fields))
    assert caught.value == ConfigurationChangedError(f"Run 1 was begun with another configuration: {change}")
    assert (await store.run_info(1)).state == "interrupted"


async def test_one_key_for_two_workspaces_is_seen(store: Store) -> None:
    """By equal fingerprints, without the key being in the file."""
    run = await store.begin(config("a", "b", "c", "d"))
    await run.commit(row("b"), ApiKey(KEY))
    await run.commit(row("a"), ApiKey(KEY))
    await run.commit(row("c"), ApiKey(OTHER_KEY))
    await run.commit(failed("d"))
    keys = [each.key async for each in store.workspaces(run.id)]
    assert keys == [*[run.fingerprint(ApiKey(KEY))] * 2, run.fingerprint(ApiKey(OTHER_KEY)), None]
    assert run.fingerprint(ApiKey(KEY)) != run.fingerprint(ApiKey(OTHER_KEY))


async def test_a_key_that_was_read_elsewhere_counts_by_its_fingerprint(store: Store) -> None:
    """Made with the run's salt, it is the one that the file has for the key; the salt is not shown."""
    run = await store.begin(config("a", "b"))
    await run.commit(row("a"), ApiKey(KEY))
    await run.put(row("b"), key_fingerprint(ApiKey(KEY), run.salt))
    keys = [each.key async for each in store.workspaces(run.id)]
    assert keys == [run.fingerprint(ApiKey(KEY))] * 2
    assert repr(run.salt) not in repr(run) + repr(store)


def content(directory: Path) -> bytes:
    """All that is in its files."""
    return b"".join(each.read_bytes() for each in directory.iterdir())


async def test_no_key_is_in_the_files(tmp_path: Path) -> None:
    """Neither as text nor under a fingerprint that means something in another database."""
    prints = set()
    for name in ("a.db", "b.db"):
        async with open_store(tmp_path / name) as store:
            run = await store.begin(RunConfig(workspaces=(CEDAR,), base_url=URL))
            await run.commit(row("cedar"), ApiKey(KEY))
            prints |= {run.fingerprint(ApiKey(KEY)), ApiKey(KEY).fingerprint}
            everything = content(tmp_path)
            assert KEY.encode() not in everything
            assert KEY.removeprefix("clf_").encode() not in everything
            assert ApiKey(KEY).fingerprint.encode() not in everything
    assert len(prints) == 3


@pytest.mark.parametrize("number", [7, -1, 2**63, -(10**30)])
async def test_a_run_that_is_not_there_is_named(store: Store, number: int) -> None:
    """Before anything is read of it. The number may have more than the 64 bits of SQLite's integers."""
    with pytest.raises(NoSuchRunError, match=rf"^There is no run {number}"):
        _ = [each async for each in store.rows(number)]
    with pytest.raises(NoSuchRunError, match=rf"^There is no run {number}"):
        await store.newest_complete(before=number)


async def test_a_damaged_row_is_named(store: Store) -> None:
    """Those before it have been read by then, page by page."""
    run = await store.begin(config("a"))
    await run.commit(row("a"))
    with closing(connect(store.path)) as connection, connection:
        connection.execute("UPDATE rows SET document = ?", (encode_row(row("a"))[:-3],))
    damaged = "The row of workspace 'a' in run 1 cannot be read: "
    for read in (store.rows, store.kept):
        with pytest.raises(StoreDamagedError, match=rf"^{damaged}error: "):
            _ = [each async for each in read(run.id)]
    with closing(connect(store.path)) as connection, connection:
        connection.execute("UPDATE rows SET totals = '[1]'")
    with pytest.raises(StoreDamagedError, match=rf"^{damaged}ValueError: "):
        _ = [each async for each in store.kept(run.id)]


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    """Nobody waits for a thread that has gone."""
    async with open_store(tmp_path / "a.db") as store:
        run = await store.begin(config("a"))
        waiting = asyncio.ensure_future(run.commit(row("a")))
        await asyncio.sleep(0)
    await waiting  # what was brought in time is done
    with pytest.raises(StoreUsageError, match=r"a\.db: the store is closed"):
        await run.commit(row("a"))
    with pytest.raises(StoreUsageError):
        await store.runs()
