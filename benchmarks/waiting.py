"""The CPU and memory of what a person waits for after a large audit: a resumed run, and the comparison of two runs.

    python -m benchmarks.waiting [WORKSPACES]      20,000 of seven agents, if no number is given: about five minutes

It writes two runs to a database through the store's own interface. All workspaces differ between the two, and the last
workspace of the second run is missing. Each command runs as a process of its own.
"""

import asyncio
import os
import random
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from chatloom_async import Agent, Sandbox
from chatloom_async.audit import AuditedAgent, KeyEnv, Row, Workspace
from chatloom_async.audit.rules import RULES, Evidence, Judge
from chatloom_async.audit.store import Run, RunConfig, open_store

from .fresh import environment

WORKSPACES, AGENTS, BATCH = 20_000, 7, 256
APPLIED = tuple(rule for rule in RULES if rule.needs != "dns")
KEY = "KEY_OF_THE_LAST"


def row_of(number: int, run: int) -> Row:
    """The row of a workspace: one in twelve shares a domain with others, a few have findings of their own."""
    draw = random.Random(number)
    agents = []
    for place in range(AGENTS):
        domains = [f"shop{place}.w{number}.example", f"www.w{number}.example", f"a{place}.customer{number}.com"]
        domains += [f"agency{number % 500}.com"] * (place == 0 and number % 12 == 0)
        domains += ["localhost"] * (place == 1 and draw.random() < 0.5)
        domains += [f"new{number}.example"] * (place == 3 and run == 2)
        status = "active" if draw.random() < 0.8 else "paused"
        name = f"Agent {place}" + " renamed" * (run == 2 and place < 3)
        created = datetime(2026, 3, 1, tzinfo=UTC)
        colours = "#611F69", "#764ba2", "bottom-right", "modern"
        agents.append(AuditedAgent(Agent(f"agt_{number}_{place}", name, *colours, status, created), tuple(domains)))
    return Row(f"w{number:06}", "ok", tuple(agents), requests=AGENTS + 1)


async def write_run(run: Run, workspaces: list[Workspace], number: int) -> None:
    """Commits a row of each workspace, with all findings, as an audit does."""
    judge = Judge(APPLIED)

    def rows() -> Iterator[tuple[Row, str]]:
        for place, workspace in enumerate(workspaces):
            key = f"{place:032}"
            yield judge.judge(row_of(place, number), workspace, Evidence(fingerprint=key)), key

    source = rows()
    while batch := list(islice(source, BATCH)):
        await asyncio.gather(*(run.put(row, key) for row, key in batch))


async def peak(process: int) -> float:
    """The most memory that the process had, in MB (Linux). `ru_maxrss` would count this process, which forked it."""
    kilobytes, status = "0", Path(f"/proc/{process}/status")
    with suppress(OSError, IndexError):
        while True:
            kilobytes = status.read_text().split("VmHWM:")[1].split()[0]  # noqa: ASYNC240 - it is not on a disk
            await asyncio.sleep(0.05)
    return int(kilobytes) / 1024


async def measured(name: str, *words: str) -> None:
    """Runs a command of the program, and prints what it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "chatloom_async",
        *words,
        env=environment(),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    watching = asyncio.create_task(peak(process.pid))
    _, errors = await process.communicate()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{name:20} {cpu:6.1f} s of CPU, {await watching:4.0f} MB, status {process.returncode}")
    if process.returncode not in (0, 1):
        print(errors.decode())


async def main(count: int) -> None:
    """Writes the database and measures each command."""
    sandbox = Sandbox(seed=7)
    os.environ[KEY] = sandbox.add_workspace("last", agents=AGENTS).key.reveal()
    workspaces = [Workspace(f"w{number:06}", KeyEnv(KEY)) for number in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        listed, db = Path(folder, "workspaces.csv"), Path(folder, "audits.db")
        lines = (f"{workspace.name},{KEY}\n" for workspace in workspaces)
        await asyncio.to_thread(listed.write_text, "name,key_env\n" + "".join(lines))
        async with sandbox.serve() as url:
            config = RunConfig(workspaces=workspaces, base_url=url, rules=tuple(rule.id for rule in APPLIED))
            async with open_store(db) as store:
                for number, last in ((1, count), (2, count - 1)):
                    run = await store.begin(config)
                    await write_run(run, workspaces[:last], number)
                    await run.finish("finished" if last == count else "interrupted")
            await measured("audit --dry-run", "audit", str(listed), "--dry-run")  # Python keeps what it compiles here
            for form in ("json", "table"):
                await measured(f"diff, {form}", "diff", "--db", str(db), "1", "2", "--format", form)
            for form in ("json", "table"):
                copy = shutil.copyfile(db, Path(folder, f"{form}.db"))
                options = ("--db", str(copy), "--base-url", url, "--format", form, "--fail-on", "never")
                await measured(f"--resume, {form}", "audit", str(listed), "--resume", *options)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else WORKSPACES))
