"""`chatloom audit --engine dask` as a person runs it: processes of its own, on a terminal's keys, with a cluster."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chatloom_async.cli.sandbox import make_sandbox as embedded
from chatloom_async.cli.sources import EMBEDDED
from chatloom_async.testing.plugin import serve_in_thread
from tests.engines.planted import planted

pytest.importorskip("distributed")
pytestmark = pytest.mark.cluster
PROGRAM = (sys.executable, "-m", "chatloom_async")


def run(folder: Path, *arguments: str, moment: Callable[[], object] | None = None) -> subprocess.CompletedProcess[str]:
    """The program in a session of its own, with a directory for temporary files; Ctrl-C comes once the moment is there.

    It reaches every process of the session, as it does on a terminal.
    """
    (folder / "tmp").mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(folder / "tmp")}
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [*PROGRAM, "audit", *arguments, "--engine", "dask", "--format", "jsonl"]
    with subprocess.Popen(
        command, cwd=folder, env=environment, text=True, start_new_session=True, **streams
    ) as process:
        while moment is not None and not moment():
            assert process.poll() is None
            time.sleep(0.02)
        if moment is not None:
            os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def test_the_sandbox_is_read_by_processes_that_leave_nothing_behind(tmp_path: Path) -> None:
    """Twelve rows; no key is told, and none is in a file any more. No process complains."""
    ran = run(tmp_path, "--sandbox")
    sandbox = embedded(**EMBEDDED)
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert sorted((row["workspace"], row["state"]) for row in rows) == [(each.name, "ok") for each in sandbox]
    first, second, totals, *_ = ran.stderr.splitlines()
    assert (first[:9], second[:36]) == ("--sandbox", "reading on a cluster on this machine")
    assert totals.startswith("12 workspaces: 12 ok | 84 agents, ")
    assert len(ran.stderr.splitlines()) == 5
    left = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    everything = (ran.stdout + ran.stderr).encode() + left
    assert [each.name for each in sandbox if each.key.reveal().encode() in everything] == []


def test_ctrl_c_ends_the_audit_and_no_worker(tmp_path: Path) -> None:
    """What is under way ends, status 130; resumed, no workspace is read twice."""
    sandbox, workspaces = planted(tmp_path, 80)
    for each in sandbox:
        each.fails("slow", times=1, seconds=0.4)
    lines = [json.dumps({"name": each.name, "key_file": f"{each.name}.key"}) for each in workspaces]
    (tmp_path / "w.ndjson").write_text("\n".join(lines))
    with serve_in_thread(sandbox) as url:
        asked = ("w.ndjson", "--base-url", url, "--db", "a.db", "--concurrency", "8", "--fail-on", "never")
        begun = run(tmp_path, *asked, moment=lambda: sandbox.requests >= 20)
        read = sandbox.requests
        done = run(tmp_path, *asked, "--resume")
    assert begun.returncode == 130, begun.stderr
    assert begun.stderr.splitlines()[1].startswith("stopping: requests in flight have 10 s to finish; ")
    assert begun.stderr.splitlines()[2].startswith(f"interrupted after {read // 2} of 80 workspaces: {read // 2} ok | ")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 80)
    assert sandbox.requests == 160
