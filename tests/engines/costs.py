"""What it costs to read in shards: milliseconds of CPU for a workspace, in one process and on a worker of Dask.

    python -m tests.engines.costs [--workspaces 1000] [--rounds 3]

A sandbox of seven agents a workspace answers without delay, from a process of its own, which is not counted. CPU time
says what machines are needed for, also where others use this one: what is printed is the median of shuffled rounds.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from chatloom_async.audit import Workspace
from chatloom_async.engines import audit_on
from chatloom_async.engines.dask import workers_here
from tests.engines.measuring import alone, planted, recorded, served

AGENTS = 7
SIZES = (1, 8, 32, 250)
MANY = 10_000_000
Costs = tuple[float, float]
"""Milliseconds for a workspace: in this process, and in the worker."""


async def on_a_worker(folder: Path, name: str, workspaces: list[Workspace], url: str, size: int) -> Costs:
    """In shards of this size. The cluster's scheduler is in this process, so it is counted with the coordinator."""
    async with workers_here(1) as engine, recorded(folder, name, workspaces, url) as run:
        client: Any = engine.client
        await client.run(time.process_time)
        (before,) = (await client.run(time.process_time)).values()
        began = time.process_time()
        async for row in audit_on(engine, workspaces, base_url=url, run=run, shard_size=size):
            assert row.state == "ok"
        here = time.process_time() - began
        (after,) = (await client.run(time.process_time)).values()
    return here * 1e3 / len(workspaces), (after - before) * 1e3 / len(workspaces)


async def in_one_process(folder: Path, name: str, workspaces: list[Workspace], url: str) -> Costs:
    """As `audit` does it."""
    began = time.process_time()
    measured = await alone(folder, name, workspaces, url, 64)
    assert measured.once
    return (time.process_time() - began) * 1e3 / len(workspaces), 0.0


async def measured(options: argparse.Namespace, folder: Path, url: str) -> dict[int, list[Costs]]:
    """By shard size, with 0 for one process."""
    workspaces, found = planted(folder, options.workspaces), defaultdict[int, list[Costs]](list)
    for number in range(options.rounds):
        for size in random.sample((0, *SIZES), len(SIZES) + 1):
            name = f"{size}-{number}"
            if size:
                found[size].append(await on_a_worker(folder, name, workspaces, url, size))
            else:
                found[size].append(await in_one_process(folder, name, workspaces, url))
    return found


def told(found: dict[int, list[Costs]]) -> None:
    """The table, and what follows for many workspaces."""
    typical = {size: (middle(costs, 0), middle(costs, 1)) for size, costs in found.items()}
    print(f"one process:             {typical[0][0]:6.2f} ms of CPU for a workspace")
    for size in SIZES:
        here, there = typical[size]
        print(f"shards of {size:>3}: coordinator {here:5.2f} ms, worker {there:6.2f} ms")
    (few_here, few_there), (here, there) = typical[1], typical[250]
    print(f"a shard more: coordinator {few_here - here:.1f} ms, worker {few_there - there:.1f} ms")
    print(
        f"{MANY:,} such workspaces in shards of 250: {MANY * there / 3.6e6:.0f} core-hours of workers, "
        f"{MANY * here / 3.6e6:.0f} of the one coordinator; {MANY * typical[0][0] / 3.6e6:.0f} in one process"
    )


def middle(costs: Sequence[Costs], place: int) -> float:
    """The median of here (0) or there (1)."""
    return median(each[place] for each in costs)


def main() -> None:
    """What the options say."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workspaces", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served(options.workspaces, 0.0, AGENTS) as url:
        told(asyncio.run(measured(options, Path(folder), url)))


if __name__ == "__main__":
    main()
