"""What a person waits for: the formats of a report on 20,000 workspaces, and the start of the program."""

import asyncio
import os
import subprocess
import sys
import tempfile
from io import StringIO
from statistics import median
from time import perf_counter, process_time

from attrs import evolve

from chatloom_async import AsyncChatloom, Sandbox
from chatloom_async.audit import Row, Workspace, audit
from chatloom_async.audit.rules import RULES
from chatloom_async.audit.session import FormatContext, FormatName, Output, make_format, rule_texts
from chatloom_async.audit.spool import RowSpool
from chatloom_async.audit.values import Summary

from ..answers import KEY
from ..fresh import environment
from .waiting import TICK

DIFFERENT = 50
STARTS = {
    "--version": ["--version"],
    "--help": ["--help"],
    "audit --help": ["audit", "--help"],
    "agents": ["agents"],
}
ROUNDS = 7


def formats(name: FormatName, workspaces: int) -> dict[str, float]:
    """Seconds of CPU for one report, and the longest time in which no other task got its turn."""
    return asyncio.run(_formats(name, workspaces))


async def _formats(name: FormatName, workspaces: int) -> dict[str, float]:
    rows, summary = await _rows(workspaces)
    stall = 0.0

    async def tick() -> None:
        nonlocal stall
        last = perf_counter()
        while True:
            await asyncio.sleep(TICK)
            now = perf_counter()
            stall, last = max(stall, now - last - TICK), now

    report = make_format(name, FormatContext(texts=rule_texts(RULES), fail_on="error", width=100))
    ticking = asyncio.create_task(tick())
    began = process_time()
    await Output(report, text := StringIO()).write(rows, summary)
    spent = process_time() - began
    ticking.cancel()
    return {"CPU, s": spent, "longest stall, ms": stall * 1e3, "size, MB": len(text.getvalue().encode()) / 1e6}


async def _rows(number: int) -> tuple[RowSpool, Summary]:
    """So many rows: those of a few sandbox workspaces with findings, under many names."""
    sandbox = Sandbox(seed=7)
    workspaces = [
        Workspace(f"w{index}", sandbox.add_workspace(f"w{index}", agents=7).key) for index in range(DIFFERENT)
    ]
    async with AsyncChatloom.for_many(transport=sandbox.transport()) as client:
        read = [row async for row in audit(workspaces, client=client)]
    names = [f"workspace-{index:05}" for index in range(number)]
    rows, summary = RowSpool(names), Summary()
    for index, name in enumerate(names):
        row = _renamed(read[index % DIFFERENT], name)
        rows.add(row)
        summary.add(row)
    return rows, summary


def _renamed(row: Row, name: str) -> Row:
    return evolve(
        row, workspace=name, findings=tuple(evolve(found, id=f"{found.id[:-5]}{name[-5:]}") for found in row.findings)
    )


def starts(url: str) -> dict[str, float]:
    """CPU of the program's start, and how many times that of `import aiohttp` it is; medians of turns.

    `agents` also makes a call, to the server at `url`.
    """
    commands = {"import aiohttp": ["-c", "import aiohttp"]}
    commands |= {name: ["-m", "chatloom_async", *arguments] for name, arguments in STARTS.items()}
    samples: dict[str, list[float]] = {name: [] for name in commands}
    settings = environment() | {"CHATLOOM_API_KEY": KEY, "CHATLOOM_BASE_URL": url}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS):
            for name, arguments in commands.items():
                samples[name].append(_cpu(arguments, folder, settings))
    reference = samples.pop("import aiohttp")
    numbers = {"import aiohttp, ms": median(reference) * 1e3}
    for name, values in samples.items():
        numbers[f"{name}, ms"] = median(values) * 1e3
        numbers[f"{name} : import aiohttp"] = median(a / b for a, b in zip(values, reference, strict=True))
    return numbers


def _cpu(arguments: list[str], folder: str, settings: dict[str, str]) -> float:
    before = os.times()
    subprocess.run([sys.executable, *arguments], cwd=folder, env=settings, stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system
