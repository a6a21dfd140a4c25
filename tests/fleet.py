"""The audit's "must show": a fleet of workspaces, killed by SIGKILL five times on the way, and whole in the end.

    nice -n 10 python -m tests.fleet --workspaces 20000

A sandbox in a process of its own answers about 13 requests a workspace. `chatloom audit --db` reads them, is killed at
every sixth of the way and resumed. In the end every workspace must be in the report exactly once, and the memory that
the audit takes must not have followed the number of rows. Prints figures; the exit status tells whether all of it held.
"""

import argparse
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from attrs import Factory, define

from chatloom_async.cli.sandbox import make_sandbox

PROGRAM = (sys.executable, "-m", "chatloom_async")
AGENTS, KILLS = 12, 5
GROWTH_MB = 64
"""What the memory may grow by from the first quarter on, in a whole process: the rules remember every domain (100
bytes each, 200,000 of them), so that one which several workspaces share is found."""


@define
class Course:
    """What was seen on the way. `memory` has the resident megabytes by quarter of the way, `kills` the rows there."""

    total: int
    memory: dict[int, float] = Factory(dict)
    kills: list[int] = Factory(list)
    peak: float = 0.0

    def see(self, rows: int, megabytes: float) -> None:
        self.peak = max(self.peak, megabytes)
        quarter = 4 * rows // self.total
        if quarter:
            self.memory.setdefault(quarter, round(megabytes, 1))


@contextmanager
def served(workspaces: int) -> Iterator[str]:
    """The address of a sandbox without rate limit, in a process of its own."""
    options = ["--workspaces", str(workspaces), "--agents", str(AGENTS), "--rate-limit", "0"]
    with subprocess.Popen([*PROGRAM, "sandbox", *options], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        server.stdout.readline()
        yield server.stdout.readline().strip().partition("=")[2]
        server.send_signal(signal.SIGKILL)


def write_workspaces(path: Path, workspaces: int) -> set[str]:
    """The sandbox's workspaces with their keys, as NDJSON; returns their names."""
    grown = list(make_sandbox(workspaces=workspaces, agents=AGENTS, seed=7))
    path.write_text("".join(json.dumps({"name": each.name, "key": each.key.reveal()}) + "\n" for each in grown))
    return {each.name for each in grown}


def rows_in(database: Path) -> int:
    """How many rows are durable."""
    if not database.exists():
        return 0
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM rows").fetchone()[0])
        except sqlite3.OperationalError:  # it is just being made
            return 0


def resident(process: int) -> float:
    """Megabytes of a process that are in memory now; 0 where it has ended."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def audited(command: list[str], database: Path, course: Course, until: int) -> int | None:
    """Runs the audit until so many rows are durable, and kills it then. Its exit status, None where it was killed."""
    with subprocess.Popen(command) as audit:
        while audit.poll() is None:
            rows = rows_in(database)
            course.see(rows, resident(audit.pid))
            if rows >= until:
                audit.kill()
                course.kills.append(rows)
                audit.wait()
                return None
            time.sleep(0.5)
        return audit.returncode


def told(course: Course, report: Path, names: set[str], seconds: float) -> list[str]:
    """Prints the figures, and returns what did not hold."""
    rows = [json.loads(line) for line in report.read_text().splitlines()]
    counts = Counter(row["workspace"] for row in rows)
    requests, findings = (sum(map(each, rows)) for each in (lambda r: r["requests"], lambda r: len(r["findings"])))
    print(f"{len(rows):,} rows, {requests:,} requests, {findings:,} findings in {seconds:.0f} s, kills included")
    print(f"killed at {', '.join(f'{each:,}' for each in course.kills)} rows")
    print(f"MB resident by quarter: {course.memory}; peak {course.peak:.1f}")
    quarters = [course.memory[each] for each in sorted(course.memory)]
    checks = {
        "every workspace is in the report": set(counts) == names,
        "exactly once": max(counts.values()) == 1,
        "every row is ok": {row["state"] for row in rows} == {"ok"},
        f"{KILLS} kills": len(course.kills) == KILLS,
        "memory stays flat": max(quarters) - min(quarters) < GROWTH_MB,
    }
    return [what for what, holds in checks.items() if not holds]


def main() -> int:
    """The whole of it, in a directory that is removed in the end."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--workspaces", type=int, default=20_000)
    parser.add_argument("--concurrency", type=int, default=128)
    options = parser.parse_args()
    course, began = Course(options.workspaces), time.monotonic()
    with tempfile.TemporaryDirectory() as folder, served(options.workspaces) as url:
        file, database, report = (Path(folder, name) for name in ("w.ndjson", "audits.db", "report.jsonl"))
        names = write_workspaces(file, options.workspaces)
        command = [*PROGRAM, "audit", str(file), "--inline-keys", "--base-url", url, "--db", str(database)]
        command += ["--concurrency", str(options.concurrency), "--format", "jsonl", "--output", str(report)]
        command += ["--fail-on", "never"]
        for kill in range(1, KILLS + 1):
            audited(command, database, course, until=options.workspaces * kill // (KILLS + 1))
            command += ["--resume"] * ("--resume" not in command)
        status = audited(command, database, course, until=options.workspaces + 1)
        failed = told(course, report, names, time.monotonic() - began)
    if status:
        failed.append(f"the last audit ended with {status}")
    print("; ".join(f"FAILED: {each}" for each in failed) or "all of it held")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
