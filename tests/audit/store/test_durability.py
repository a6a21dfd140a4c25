"""What was acknowledged stays: through SIGKILL, a full disk and a cancelled audit; and many commits share one flush."""

import asyncio
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from sqlite3 import Connection

import pytest

from chatloom_async.audit import Row
from chatloom_async.audit.store import Run, Store, StoreFullError, open_store, thread
from chatloom_async.fanout import Ok, fan_out
from tests.audit.store.samples import agent, config, found, row

PROGRAM = Path(__file__).with_name("killed_audit.py")
ROOT = Path(__file__).parents[3]
LARGE = tuple(agent(f"agt_{number}", [os.urandom(400).hex()]) for number in range(12))  # 5 KB, compressed


def killed(database: Path, workspaces: int, after: int) -> tuple[list[str], bool]:
    """What an audit printed until it was killed, `after` acknowledgements and a moment later; and whether it ended."""
    command = [sys.executable, PROGRAM, database, str(workspaces)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as one:
        assert one.stdout
        lines = []
        for line in one.stdout:
            lines.append(line.strip())
            if sum(each.startswith("done") for each in lines) >= after:
                time.sleep(random.random() * 0.02)  # anywhere in a batch
                one.kill()
                after = 10**9
        one.wait()
    assert one.returncode in (0, -9)
    return [each for each in lines if " " in each], one.returncode == 0


def killed_after(seconds: float, database: Path, workspaces: int) -> None:
    """Kills an audit that long after its process was started, unless it ended before."""
    command = [sys.executable, PROGRAM, database, str(workspaces)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)}) as one:
        with suppress(subprocess.TimeoutExpired):
            one.wait(seconds)
        one.kill()


async def test_an_audit_that_is_killed_again_and_again_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """In the end every workspace has exactly one row, and none was read again after it was acknowledged."""
    count, acknowledged, rounds, ended = 3000, set[str](), 0, False
    while not ended:
        after = random.randrange(200) if rounds < 6 else 10**9
        lines, ended = killed(tmp_path / "a.db", count, after)
        said = [line.split() for line in lines if len(line) == len("read w00000")]
        assert acknowledged.isdisjoint(name for verb, name in said if verb == "read")
        acknowledged |= {name for verb, name in said if verb == "done"}
        rounds += 1
        async with open_store(tmp_path / "a.db", write=False) as store:
            stored = {each.workspace async for each in store.rows(1)}
            assert acknowledged <= stored
    names = [f"w{number:05}" for number in range(count)]
    async with open_store(tmp_path / "a.db", write=False) as store:
        assert [each async for each in store.rows(1)] == [row(n, findings=(found(n, "localhost"),)) for n in names]
        (info,) = await store.runs()
        assert (info.state, info.ok, info.error) == ("finished", count, count)
        assert rounds > 3


async def test_an_audit_that_is_killed_as_it_begins_is_no_obstacle(tmp_path: Path) -> None:
    """At whatever moment, the creation of the tables included, the next one goes on from there."""
    for _ in range(5):
        killed_after(random.random() * 0.5, tmp_path / "a.db", 20)
    lines, ended = killed(tmp_path / "a.db", 20, 10**9)
    assert (ended, len(lines) <= 40) == (True, True)
    async with open_store(tmp_path / "a.db", write=False) as store:
        assert [each.workspace async for each in store.rows((await store.runs())[-1].id)] == [
            f"w{number:05}" for number in range(20)
        ]


async def fill(run: Run, names: list[str]) -> list[str]:
    """Commits until there is no space; the names that were acknowledged."""
    done = []
    async for result in fan_out(names, lambda name: run.commit(large(name)), concurrency=8):
        if isinstance(result, Ok):
            done.append(result.item)
        else:
            assert isinstance(result.error, StoreFullError)
    return sorted(done)


def large(name: str) -> Row:
    """A row of some pages."""
    return row(name, agents=LARGE)


async def pages_at_most(store: Store, pages: int) -> None:
    """Sets the size at which the database is full."""
    await store._thread.call(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone())


async def test_a_full_database_refuses_rows_and_keeps_those_that_it_took(tmp_path: Path) -> None:
    """When there is space again, the same run goes on, without being opened anew."""
    names = [f"w{number}" for number in range(40)]
    async with open_store(tmp_path / "a.db") as store:
        run = await store.begin(config(*names))
        await pages_at_most(store, 60)
        done = await fill(run, names)
        assert 0 < len(done) < len(names)
        assert [each.workspace async for each in store.rows(run.id)] == done
        with pytest.raises(StoreFullError) as caught:
            await run.commit(large(next(name for name in names if name not in done)))
        assert str(caught.value) == (
            f"{tmp_path / 'a.db'}: database or disk is full. Free some space, then continue with --resume."
        )
        await pages_at_most(store, 10_000)
        assert await fill(run, names) == sorted(names)
        await run.finish()


@contextmanager
def small_disk(directory: Path, size: str) -> Iterator[None]:
    """A disk of that size, in the place of the directory."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "chatloom-test", directory], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", directory], check=True)


def grow(disk: Path, size: str) -> None:
    """Gives a small disk that size."""
    subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)


def may_mount() -> bool:
    """Whether this process may mount a file system: root in a container usually may not."""
    return (
        sys.platform == "linux"
        and os.geteuid() == 0
        and shutil.which("unshare") is not None
        and subprocess.run(
            ["unshare", "--mount", "mount", "-t", "tmpfs", "chatloom-test", "/mnt"], check=False, capture_output=True
        ).returncode
        == 0
    )


@pytest.mark.skipif(not may_mount(), reason="needs to mount a small disk")
async def test_a_full_disk_is_survived_and_the_run_resumed(tmp_path: Path) -> None:
    """A real one; the log could not be written to the end, and the rows that were acknowledged are all there."""
    names = [f"w{number}" for number in range(200)]
    path = tmp_path / "a.db"
    with small_disk(tmp_path, "1m"):
        async with open_store(path) as store:
            run = await store.begin(config(*names))
            done = await fill(run, names)
            assert 0 < len(done) < len(names)
        grow(tmp_path, "16m")
        async with open_store(path) as store:
            assert [each.workspace async for each in store.rows(1)] == done
            run = await store.resume(config(*names))
            assert await fill(run, [each.name async for each in run.pending(config(*names).workspaces)])
            await run.finish()
            assert [each.workspace async for each in store.rows(1)] == sorted(names)


async def test_commits_that_come_together_share_a_transaction(tmp_path: Path) -> None:
    """Of 64 at once, 32 are written together, and then the others."""
    names = [f"w{number}" for number in range(64)]
    statements: list[str] = []

    def watch(connection: Connection) -> None:
        connection.set_trace_callback(statements.append)

    async with open_store(tmp_path / "a.db") as store:
        run = await store.begin(config(*names))
        await store._thread.call(watch)
        await asyncio.gather(*(run.commit(row(name)) for name in names))
        await store._thread.call(lambda connection: connection.set_trace_callback(None))
    assert sum(each.startswith("INSERT INTO rows") for each in statements) == 2
    assert sum(each == "COMMIT" for each in statements) == 3  # the first one is that of `watch`


async def test_a_few_commits_at_once_share_a_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the first of them, though the disk has nothing to do: they come in one step of the event loop."""
    monkeypatch.setattr(thread, "INTERVAL", 0.0)
    statements: list[str] = []
    async with open_store(tmp_path / "a.db") as store:
        run = await store.begin(config("a", "b", "c"))
        await store._thread.call(lambda connection: connection.set_trace_callback(statements.append))
        await asyncio.gather(*(run.commit(row(name)) for name in ("a", "b", "c")))
        await store._thread.call(lambda connection: connection.set_trace_callback(None))
    assert sum(each.startswith("INSERT INTO rows") for each in statements) == 1


async def test_commits_that_come_one_after_the_other_share_a_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a moment after another one, so that each flush serves several. What does not wait ends it for all."""
    monkeypatch.setattr(thread, "INTERVAL", 60.0)
    async with open_store(tmp_path / "a.db") as store:
        run, tasks = await store.begin(config("a", "b", "c")), list[asyncio.Task[None]]()
        for name in ("a", "b", "c"):
            tasks.append(asyncio.create_task(run.commit(row(name))))
            await asyncio.sleep(0.05)
        assert [task.done() for task in tasks] == [False] * 3
        assert len([each async for each in store.rows(run.id)]) == 3
        await asyncio.wait_for(asyncio.gather(*tasks), 30.0)


async def test_commits_are_not_kept_waiting_by_those_that_go_on_coming(tmp_path: Path) -> None:
    """Fewer than make a full batch, and never a moment without one."""
    names = [f"w{number}" for number in range(thread.BATCH - 2)]
    async with open_store(tmp_path / "a.db") as store:
        run, tasks = await store.begin(config(*names)), list[asyncio.Task[None]]()
        for name in names:
            tasks.append(asyncio.create_task(run.commit(row(name))))
            await asyncio.sleep(thread.INTERVAL / 3)
        assert tasks[0].done()
        await asyncio.gather(*tasks)


async def test_a_commit_that_is_cancelled_harms_nobody(tmp_path: Path) -> None:
    """The row is stored or not; its neighbours are."""
    names = [f"w{number}" for number in range(20)]
    async with open_store(tmp_path / "a.db") as store:
        run = await store.begin(config(*names))
        tasks = [asyncio.create_task(run.commit(row(name))) for name in names]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert {each.workspace async for each in store.rows(run.id)} >= set(names[1::2])


async def test_what_waits_for_the_disk_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever brings more waits before it is taken, so that a slow disk costs no memory."""
    monkeypatch.setattr(thread, "ROOM", 8)
    names = [f"w{number}" for number in range(50)]
    async with open_store(tmp_path / "a.db") as store:
        run = await store.begin(config(*names))
        waiting = [asyncio.create_task(run.commit(row(name))) for name in names]
        await asyncio.sleep(0)
        assert len(store._thread._waiting) <= 8
        await asyncio.gather(*waiting)
        assert len([each async for each in store.rows(run.id)]) == 50


def resident() -> int:
    """Bytes of this process that are in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """Neither while they are committed nor while they are read; 64 commits at a time are acknowledged in good time."""
    names = [f"w{number:05}" for number in range(4000)]
    agents = tuple(agent(f"agt_{number}") for number in range(12))
    async with open_store(tmp_path / "a.db") as store:
        run = await store.begin(config(*names))

        async def commit(some: list[str]) -> None:
            async for result in fan_out(some, lambda name: run.commit(row(name, agents=agents))):
                assert isinstance(result, Ok)

        await commit(names[:500])
        before, started = resident(), time.monotonic()
        await commit(names[500:])
        rate = 3500 / (time.monotonic() - started)
        assert sum([1 async for _ in store.rows(run.id)]) == 4000
        assert resident() - before < 5_000_000
        assert rate > 100  # a laptop's disk gives thousands; this only catches one flush a row


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_large_rows_do_not_stay_in_memory(tmp_path: Path) -> None:
    """SQLite keeps what a statement was last given for as long as the statement, and each batch has one of its own."""
    agents = tuple(agent(f"agt_{number}", [os.urandom(20_000).hex()]) for number in range(12))  # 240 KB, compressed
    names = [f"w{number}" for number in range(128)]
    async with open_store(tmp_path / "a.db") as store:
        run, rest = await store.begin(config(*names)), iter(names)
        await asyncio.gather(*(run.commit(row(name, agents=agents)) for name in islice(rest, 32)))
        before = resident()
        for size in (2, 6, 10, 14, 18, 22, 24):
            await asyncio.gather(*(run.commit(row(name, agents=agents)) for name in islice(rest, size)))
        assert resident() - before < 10_000_000  # all of them are 23 MB


def test_a_loop_that_ends_before_the_store_is_closed_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread finishes what it has, and nobody is told."""
    monkeypatch.setattr(thread, "INTERVAL", 0.0)
    loop = asyncio.new_event_loop()
    opened = open_store(tmp_path / "a.db")

    async def leave() -> None:
        store = await opened.__aenter__()
        run = await store.begin(config("a"))
        task = asyncio.ensure_future(run.commit(row("a")))
        for _ in range(3):  # until the thread has it
            await asyncio.sleep(0)
        task.cancel()

    async def kept() -> list[Row]:
        async with open_store(tmp_path / "a.db", write=False) as store:
            return [each async for each in store.rows(1)]

    loop.run_until_complete(leave())
    loop.close()
    while not (rows := asyncio.run(kept())):
        time.sleep(0.01)
    assert rows == [row("a")]
