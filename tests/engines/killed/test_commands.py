"""The commands that the documentation gives for a cluster by hand, run as they stand there, but for the port."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from chatloom_async import engines
from chatloom_async.testing.plugin import serve_in_thread
from tests.engines.cluster import free_port
from tests.engines.planted import planted

pytest.importorskip("distributed")
pytestmark = pytest.mark.cluster
FENCE = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
(BLOCK,) = (text for text in FENCE.findall(engines.__doc__ or "") if "dask scheduler" in text)


def test_the_commands_of_the_page_audit_on_workers(tmp_path: Path) -> None:
    """A scheduler, two workers, and the audit on them: its rows are there, and its run is kept."""
    sandbox, workspaces = planted(tmp_path, 20)
    entries = [f'[[workspaces]]\nname = "{each.name}"\nkey_file = "{each.name}.key"\n' for each in workspaces]
    (tmp_path / "workspaces.toml").write_text("".join(entries))
    port = str(free_port())
    lines = [line.partition("  #")[0] for line in BLOCK.replace("8786", port).splitlines()]
    exports, programs = lines[1], lines[2:]
    assert [shlex.split(line)[:2] for line in programs] == [
        ["dask", "scheduler"],
        ["dask", "worker"],
        ["chatloom", "audit"],
    ]
    environment = {
        **os.environ,
        **dict(word.split("=") for word in shlex.split(exports)[1:]),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    with ExitStack() as stack:
        environment["CHATLOOM_BASE_URL"] = stack.enter_context(serve_in_thread(sandbox))
        for number, line in enumerate(programs[:-1]):
            log = stack.enter_context((tmp_path / f"{number}.log").open("wb"))
            process = subprocess.Popen(shlex.split(line), env=environment, cwd=tmp_path, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        while (tmp_path / "0.log").read_text().count("Register worker") < 2:
            assert process.poll() is None
            time.sleep(0.05)
        audit = [*shlex.split(programs[-1]), "--format", "jsonl", "--fail-on", "never"]
        done = subprocess.run(audit, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 20), done.stderr
    assert {json.loads(line)["state"] for line in done.stdout.splitlines()} == {"ok"}
    assert done.stderr.startswith(f"reading on the cluster at tcp://127.0.0.1:{port}, up to 512 workspaces at once\n")
    assert (tmp_path / "audits.db").exists()
