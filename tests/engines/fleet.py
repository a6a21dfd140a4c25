"""Audits 20,000 workspaces of a sandbox on two worker processes, kills one in the middle, and checks what came out.

    python -m tests.engines.fleet [--workspaces 20000] [--latency 0.4] [--shard-size 80] [--more]

Prints what was measured and ends with status 1 where a workspace is missing or there twice, where two workers are not
1.6 times as fast as one process, or where the coordinator's memory grows. The server answers each request only after
`--latency` seconds, so that it is the wait that is shared out, not the two cores of a small machine. All shards take
the same time here, so there have to be many: the last round, and the one that makes up for the killed worker, are full.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from distributed import Client

from chatloom_async.audit import Workspace
from chatloom_async.engines import DaskEngine, audit_on
from chatloom_async.engines.shard import fitting_size
from tests.engines.cluster import Cluster
from tests.engines.measuring import Measured, alone, planted, recorded, served

AGENTS, THREADS, LIMIT = 2, 8, 900.0  # a shard has 8 workspaces at once: 64 in a worker, as in one process
FASTER, FLAT = 1.6, 12.0


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
    """All that is measured, printed. False where something is not as it must be.

    One process is measured before and after the workers, so that a machine that others use, too, shows: what counts
    is the mean of both.
    """
    workspaces = planted(folder, options.workspaces)
    some = workspaces[: options.workspaces // 5]
    before = await alone(folder, "before", some, url, 64)
    print(f"one process, 64 at once:           {before.rate:6.0f} workspaces/s")
    two = await on_workers(folder, workspaces, url, options.shard_size, 2, kill=True)
    after = await alone(folder, "after", some, url, 64)
    print(f"one process, once more:            {after.rate:6.0f} workspaces/s ({after.rate / before.rate:.2f}x)")
    one = (before.rate + after.rate) / 2
    print(f"two workers, one of them killed:   {two.rate:6.0f} workspaces/s ({two.rate / one:.2f}x the mean of these)")
    if options.more:
        await others(folder, some, url, one)
    grown = two.memory[-2] - two.memory[0]
    print(f"{two.total:,} workspaces: {dict(two.states)}, each exactly once: {two.once}")
    print(f"coordinator: {', '.join(f'{each:.0f}' for each in two.memory)} MB after each tenth, {grown:+.1f} MB")
    return two.once and two.rate >= FASTER * one and grown <= FLAT


async def others(folder: Path, some: list[Workspace], url: str, one: float) -> None:
    """What is not asked for, but good to know."""
    wide = await alone(folder, "wide", some, url, 128)
    print(f"one process, 128 at once:          {wide.rate:6.0f} workspaces/s ({wide.rate / one:.2f}x)")
    for workers in (1, 2, 4):
        size = fitting_size(len(some), workers * THREADS)
        calm = await on_workers(folder, some, url, size, workers, kill=False)
        print(f"{workers} workers, 64 at once in each:     {calm.rate:6.0f} workspaces/s ({calm.rate / one:.2f}x)")


async def main() -> int:
    """Status 0 where all is as it must be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workspaces", type=int, default=20_000)
    parser.add_argument("--latency", type=float, default=0.4, help="seconds until the server answers")
    parser.add_argument("--shard-size", type=int, default=80)
    parser.add_argument("--more", action="store_true", help="one, two and four workers as well, with none killed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served(options.workspaces, options.latency, AGENTS) as url:
        async with asyncio.timeout(LIMIT):
            return 0 if await compare(options, Path(folder), url) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
