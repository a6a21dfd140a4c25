"""Audits 20,000 workspaces of a sandbox on two worker processes, kills one in the middle, and checks what came out.

    python -m tests.engines.fleet [--workspaces 20000] [--latency 0.2] [--shard-size 250]

Prints what was measured and ends with status 1 where a workspace is missing or there twice, where two workers are not
1.6 times as fast as one process, or where the coordinator's memory grows. The server answers each request only after
`--latency` seconds, so that it is the wait that is shared out, not the two cores of a small machine.
"""

import argparse
import asyncio
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from attrs import define, field
from distributed import Client

from chatloom_async import AsyncChatloom
from chatloom_async.audit import KeyFile, Row, Workspace, audit
from chatloom_async.audit.store import Run, RunConfig, open_store
from chatloom_async.engines import DaskEngine, audit_on
from chatloom_async.sandbox import Sandbox
from tests.engines.cluster import Cluster

SEED, AGENTS, THREADS, LIMIT = 7, 2, 8, 600.0  # a shard has 8 workspaces at once: 64 in a worker, as in one process
FASTER, FLAT = 1.6, 12.0


@define
class Measured:
    """Rows as they pass: how often each workspace came, in what state, how fast, and this process's memory in MB."""

    total: int
    began: float = field(factory=time.monotonic)
    ended: float = 0.0
    seen: Counter[str] = field(factory=Counter)
    states: Counter[str] = field(factory=Counter)
    memory: list[float] = field(factory=list)

    def add(self, row: Row) -> int:
        self.seen[row.workspace] += 1
        self.states[row.state] += 1
        self.ended = time.monotonic()
        if self.seen.total() % max(1, self.total // 10) == 0:
            self.memory.append(resident())
        return self.seen.total()

    @property
    def rate(self) -> float:
        """Workspaces in a second."""
        return self.seen.total() / (self.ended - self.began)

    @property
    def once(self) -> bool:
        """Whether each came exactly once, and ok."""
        return len(self.seen) == self.seen.total() == self.states["ok"] == self.total


def resident() -> float:
    """Megabytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def serve(workspaces: int, latency: float, out: Connection) -> None:
    """Another process: the sandbox, answering late, until it is ended."""

    async def serving() -> None:
        sandbox = Sandbox(seed=SEED, rate_limit=None)
        for number in range(workspaces):
            workspace = sandbox.add_workspace(f"w{number}", agents=AGENTS)
            if latency:
                workspace.fails("slow", times=None, seconds=latency)
        async with sandbox.serve() as url:
            out.send(url)
            await asyncio.Event().wait()

    asyncio.run(serving())


@contextmanager
def served(workspaces: int, latency: float) -> Iterator[str]:
    """The address of such a process."""
    inlet, outlet = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(workspaces, latency, outlet), daemon=True
    )
    process.start()
    yield inlet.recv()
    process.kill()
    process.join()


def planted(folder: Path, workspaces: int) -> list[Workspace]:
    """References to the keys that the server's sandbox has."""
    sandbox, found = Sandbox(seed=SEED), list[Workspace]()
    for number in range(workspaces):
        path = folder / f"{number}.key"
        path.touch(0o600)
        path.write_text(sandbox.add_workspace(f"w{number}", agents=0).key.reveal())
        found.append(Workspace(f"w{number}", KeyFile(path)))
    return found


@asynccontextmanager
async def recorded(folder: Path, name: str, workspaces: list[Workspace], url: str) -> AsyncIterator[Run]:
    """A run in a database of its own; it can only be finished if every workspace has a row."""
    async with open_store(folder / f"{name}.db") as store:
        run = await store.begin(RunConfig(workspaces=workspaces, base_url=url))
        yield run
        await run.finish()


async def alone(folder: Path, workspaces: list[Workspace], url: str, concurrency: int) -> Measured:
    """An audit in this process."""
    measured = Measured(len(workspaces))
    async with recorded(folder, f"alone-{concurrency}", workspaces, url) as run:
        key = Sandbox(seed=SEED).add_workspace("w0").key
        async with AsyncChatloom(key, base_url=url) as client:
            async for row in audit(workspaces, client=client, run=run, concurrency=concurrency):
                measured.add(row)
    return measured


async def on_workers(
    folder: Path, workspaces: list[Workspace], url: str, shard_size: int, workers: int, *, kill: bool
) -> Measured:
    """An audit on a cluster; where asked for, one worker is killed when two fifths are done."""
    home = folder / f"cluster-{workers}-{kill}"
    home.mkdir()
    cluster = Cluster(home)
    try:
        for _ in range(workers):
            cluster.start_worker(threads=THREADS)
        async with (
            Client(cluster.address, asynchronous=True) as connected,
            recorded(folder, home.name, workspaces, url) as run,
        ):
            client: Any = connected
            await client.wait_for_workers(workers, timeout=60)
            measured = Measured(len(workspaces))
            engine = DaskEngine(client)
            async for row in audit_on(engine, workspaces, base_url=url, run=run, shard_size=shard_size):
                if measured.add(row) == measured.total * 2 // 5 and kill:
                    pid = next(iter((await client.run(os.getpid)).values()))
                    os.kill(pid, signal.SIGKILL)
                    print(f"killed worker process {pid} after {measured.seen.total():,} workspaces")
        return measured
    finally:
        cluster.close()


async def compare(options: argparse.Namespace, folder: Path, url: str) -> bool:
    """All that is measured, printed. False where something is not as it must be."""
    workspaces = planted(folder, options.workspaces)
    some = workspaces[: options.workspaces // 5]
    one = await alone(folder, some, url, 64)
    print(f"one process, 64 at once:           {one.rate:6.0f} workspaces/s")
    wide = await alone(folder, some, url, 128)
    print(f"one process, 128 at once:          {wide.rate:6.0f} workspaces/s ({wide.rate / one.rate:.2f}x)")
    single = await on_workers(folder, some, url, options.shard_size, 1, kill=False)
    print(f"one worker, 64 at once:            {single.rate:6.0f} workspaces/s ({single.rate / one.rate:.2f}x)")
    two = await on_workers(folder, workspaces, url, options.shard_size, 2, kill=True)
    print(f"two workers, one of them killed:   {two.rate:6.0f} workspaces/s ({two.rate / one.rate:.2f}x)")
    grown = two.memory[-2] - two.memory[0]
    print(f"{two.total:,} workspaces: {dict(two.states)}, each exactly once: {two.once}")
    print(f"coordinator: {', '.join(f'{each:.0f}' for each in two.memory)} MB after each tenth, {grown:+.1f} MB")
    return two.once and two.rate >= FASTER * one.rate and grown <= FLAT


async def main() -> int:
    """Status 0 where all is as it must be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workspaces", type=int, default=20_000)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds until the server answers")
    parser.add_argument("--shard-size", type=int, default=250)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served(options.workspaces, options.latency) as url:
        async with asyncio.timeout(LIMIT):
            return 0 if await compare(options, Path(folder), url) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
