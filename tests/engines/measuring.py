"""What the harnesses beside this file measure: rows as they pass, of a sandbox that another process serves."""

import asyncio
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from attrs import define, field

from chatloom_async import AsyncChatloom
from chatloom_async.audit import KeyFile, Row, Workspace, audit
from chatloom_async.audit.store import Run, RunConfig, open_store
from chatloom_async.sandbox import Sandbox

SEED = 7


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


def serve(workspaces: int, latency: float, agents: int, out: Connection) -> None:
    """Another process: the sandbox, answering late, until it is ended."""

    async def serving() -> None:
        sandbox = Sandbox(seed=SEED, rate_limit=None)
        for number in range(workspaces):
            workspace = sandbox.add_workspace(f"w{number}", agents=agents)
            if latency:
                workspace.fails("slow", times=None, seconds=latency)
        async with sandbox.serve() as url:
            out.send(url)
            await asyncio.Event().wait()

    asyncio.run(serving())


@contextmanager
def served(workspaces: int, latency: float, agents: int) -> Iterator[str]:
    """The address of such a process."""
    inlet, outlet = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(workspaces, latency, agents, outlet), daemon=True
    )
    process.start()
    try:
        yield inlet.recv()
    finally:
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


async def alone(folder: Path, name: str, workspaces: list[Workspace], url: str, concurrency: int) -> Measured:
    """An audit in this process."""
    measured = Measured(len(workspaces))
    async with recorded(folder, f"alone-{name}", workspaces, url) as run:
        key = Sandbox(seed=SEED).add_workspace("w0").key
        async with AsyncChatloom(key, base_url=url) as client:
            async for row in audit(workspaces, client=client, run=run, concurrency=concurrency):
                measured.add(row)
    return measured
