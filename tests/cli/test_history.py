"""Audits that are kept: `--db`, `--resume`, `--baseline`, `chatloom runs`, `diff`."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chatloom_async.audit import Row, Workspace
from chatloom_async.audit.keys import KeyEnv
from chatloom_async.audit.store import RunConfig, open_store
from chatloom_async.cli import sources
from chatloom_async.sandbox import Sandbox
from tests.cli.conftest import Ran
from tests.cli.test_program import STOPPING, wait_for

Chatloom = Callable[..., Ran]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of a database that is not there yet, in the working directory."""
    monkeypatch.chdir(tmp_path)
    return "a.db"


@pytest.fixture
def two(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file with acme and birch, each of three agents."""
    monkeypatch.setenv("BIRCH_KEY", sandbox.add_workspace("birch", agents=3).key.reveal())
    (tmp_path / "two.csv").write_text("name,key_env\nacme,CHATLOOM_API_KEY\nbirch,BIRCH_KEY\n")
    return "two.csv"


def documents(ran: Ran) -> dict[str, dict[str, Any]]:
    """The rows of a JSON Lines report, by workspace."""
    rows = [json.loads(line) for line in ran.out.splitlines()]
    assert len({row["workspace"] for row in rows}) == len(rows)
    return {row["workspace"]: row for row in rows}


def test_a_run_is_kept_and_listed(chatloom: Chatloom, db: str, two: str) -> None:
    """The next steps lead from keeping to comparing."""
    first = chatloom("audit", two, "--db", db, "--format", "jsonl")
    assert (first.status, sorted(documents(first))) == (0, ["acme", "birch"])
    assert first.err.splitlines()[1:] == ["nothing found"]
    second = chatloom("audit", two, "--db", db)
    assert second.err.splitlines()[1:] == ["nothing found", f"next: chatloom diff --db {db}"]
    listed = chatloom("runs", "--db", db)
    heading, *lines = (line.split() for line in listed.out.splitlines())
    assert heading == (
        "run started (UTC) took state planned ok partial failed pending error warning info".split()  # noqa: SIM905
    )
    assert [line[4:] for line in lines] == [["finished", "2", "2", "0", "0", "0", "0", "0", "0"]] * 2
    assert (listed.status, listed.err) == (0, f"next: chatloom diff --db {db}\n")


def test_a_terminal_has_the_state_in_colour(
    chatloom: Chatloom, sandbox: Sandbox, db: str, two: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Green is done. What a comparison found has one too, and fits the width."""
    chatloom("audit", two, "--db", db)
    sandbox["acme"].add_agent(name="Wild", domains=("localhost",))
    chatloom("audit", two, "--db", db)
    for name, value in {"TTY_COMPATIBLE": "1", "TERM": "xterm", "COLUMNS": "70"}.items():
        monkeypatch.setenv(name, value)
    assert "\x1b[32mfinished\x1b[0m" in chatloom("runs", "--db", db).out
    lines = chatloom("diff", "--db", db).out.splitlines()
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
    assert (plain != lines, max(map(len, plain)) <= 70) == (True, True)


def test_runs_are_a_document_too(chatloom: Chatloom, db: str, two: str) -> None:
    """With what a run was about."""
    chatloom("audit", two, "--db", db, "--rule", "domain-ip", "--only", "birch")
    ran = chatloom("runs", "--db", db, "--format", "json")
    (run,) = json.loads(ran.out)["runs"]
    started, finished, url = (run.pop(name) for name in ("started", "finished", "base_url"))
    assert (started < finished, url.startswith("http://127.0.0.1:"), ran.err) == (True, True, "")
    assert run == {
        "id": 1, "state": "finished", "version": "0.1.0", "rules": ["domain-ip"], "planned": 1, "unselected": 1,
        "pending": 0, "paused": 0.0, "ok": 1, "partial": 0, "failed": 0, "error": 0, "warning": 0, "info": 0,
    }  # fmt: skip


def test_an_interrupted_run_is_resumed_and_reads_only_what_is_missing(
    chatloom: Chatloom, started: Start, sandbox: Sandbox, db: str, two: str
) -> None:
    """The closing line says how; what is under way at Ctrl-C may end. Every workspace is reported once."""
    sandbox["birch"].fails("slow", times=None, seconds=60)
    process = started("audit", two, "--db", db, "--format", "jsonl")
    wait_for(lambda: sandbox["acme"].requests >= 4 and sandbox["birch"].requests >= 1)
    running = chatloom("runs", "--db", db).out.splitlines()[1].split()
    assert running[3:6] == ["-", "running", "2"]
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline() == STOPPING
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, list(documents(Ran(0, out, "")))) == (130, ["acme"])
    assert err.splitlines()[-1] == "next: add --resume to continue"
    sandbox["birch"].recovers()
    asked = sandbox["acme"].requests
    ran = chatloom("audit", two, "--db", db, "--format", "jsonl", "--resume")
    assert (ran.status, sorted(documents(ran))) == (0, ["acme", "birch"])
    assert sandbox["acme"].requests == asked
    assert ", 4 requests in " in ran.err
    assert ran.err.splitlines()[0].endswith(" s, after 4 requests for 1 of them")
    assert chatloom("runs", "--db", db).out.splitlines()[1].split()[4:6] == ["finished", "2"]
    again = chatloom("audit", two, "--db", db, "--resume")
    assert (again.status, again.err) == (
        2, "error: Run 1 is finished, and none of its workspaces failed. Leave --resume out to start a run.\n"
    )  # fmt: skip


def test_what_failed_is_read_again(chatloom: Chatloom, sandbox: Sandbox, db: str, two: str) -> None:
    """Of a finished run, too; what was read is kept, and every workspace is reported once."""
    sandbox["birch"].fails(404, times=None)
    first = chatloom("audit", two, "--db", db, "--html", "r.html")
    assert first.status == 3
    assert first.err.splitlines()[-1] == "next: add --resume to read 1 failed workspace again"
    again = "next: run 1 has 1 failed left: add --resume to the command that began it\n"
    assert chatloom("runs", "--db", db).err == again
    sandbox["birch"].recovers()
    asked = sandbox["acme"].requests
    ran = chatloom("audit", two, "--db", db, "--format", "jsonl", "--resume")
    assert (ran.status, {name: row["state"] for name, row in documents(ran).items()}) == (
        0, {"acme": "ok", "birch": "ok"}
    )  # fmt: skip
    assert sandbox["acme"].requests == asked
    assert chatloom("runs", "--db", db).out.splitlines()[1].split()[4:9] == ["finished", "2", "2", "0", "0"]


def test_a_run_whose_process_was_killed_is_interrupted(
    chatloom: Chatloom, started: Start, sandbox: Sandbox, db: str, two: str
) -> None:
    """It holds the file no more. The command that began it goes on with it, and no other does."""
    sandbox["birch"].fails("slow", times=None, seconds=60)
    process = started("audit", two, "--db", db, "--rule", "domain-*")
    wait_for(lambda: sandbox["birch"].requests >= 1)
    assert chatloom("runs", "--db", db).err == ""
    process.kill()
    process.communicate()
    for _ in range(2):  # looking changes nothing
        listed = chatloom("runs", "--db", db)
        assert listed.out.splitlines()[1].split()[3:6] == ["-", "interrupted", "2"]
        assert listed.err.startswith("next: run 1 has ")
        assert listed.err.endswith(" pending left: add --resume to the command that began it\n")
    other = chatloom("audit", two, "--db", db, "--resume", "--rule", "domain-ip")
    assert (other.status, other.out) == (2, "")
    assert other.err.startswith("error: Run 1 was begun with another configuration: rules was domain-duplicate, ")
    assert other.err.endswith(
        " and is domain-ip. Undo the change to continue that run, or leave --resume out to start another.\n"
    )
    sandbox["birch"].recovers()
    assert chatloom("audit", two, "--db", db, "--rule", "domain-*", "--resume").status == 0


async def test_a_pause_is_not_time_that_an_audit_took(chatloom: Chatloom, db: str) -> None:
    """Two minutes, a night, three minutes."""
    moment = datetime(2026, 3, 1, 22, tzinfo=UTC)
    async with open_store(db, now=lambda: moment) as store:
        run = await store.begin(RunConfig(workspaces=WORKSPACES[:1], base_url="https://chatloom.app"))
        moment += timedelta(minutes=2)
        await run.finish("interrupted")
        moment += timedelta(hours=9)
        run = await store.resume(RunConfig(workspaces=WORKSPACES[:1], base_url="https://chatloom.app"))
        moment += timedelta(minutes=3)
        await run.commit(Row("acme", "ok"))
        await run.finish()
        (told,) = await store.runs()
    assert told.paused == 9 * 3600
    listed = await asyncio.to_thread(chatloom, "runs", "--db", db)
    assert listed.out.splitlines()[1].split()[1:5] == ["2026-03-01", "22:00", "5:00", "finished"]


async def test_a_run_that_no_program_began_is_resumed_by_one_of_your_own(chatloom: Chatloom, db: str) -> None:
    """The line is the same."""
    async with open_store(db) as store:
        await store.begin(RunConfig(workspaces=WORKSPACES, base_url="https://chatloom.app"))
    listed = await asyncio.to_thread(chatloom, "runs", "--db", db)
    assert listed.err == "next: run 1 has 3 pending left: add --resume to the command that began it\n"
    async with open_store("none.db"):
        pass
    assert (await asyncio.to_thread(chatloom, "runs", "--db", "none.db")).err == ""


def test_a_resume_that_cannot_be_makes_no_file(chatloom: Chatloom, db: str, two: str) -> None:
    """A typo in a path leaves nothing behind."""
    assert chatloom("audit", two, "--db", db, "--resume").status == 2
    assert sorted(each.name for each in Path.cwd().iterdir()) == [two]


def test_ctrl_c_lets_end_what_is_under_way(started: Start, sandbox: Sandbox, db: str, two: str) -> None:
    """It is not lost, and no workspace begins any more."""
    for each in sandbox:
        each.fails("slow", times=1, seconds=1)
    process = started("audit", two, "--db", db, "--concurrency", "1", "--format", "jsonl")
    wait_for(lambda: sandbox["acme"].requests == 1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, list(documents(Ran(0, out, "")))) == (130, ["acme"])
    assert sandbox["birch"].requests == 0
    assert err.splitlines()[1].startswith("interrupted after 1 of 2 workspaces: 1 ok | 3 agents, ")


def test_only_what_the_baseline_did_not_have_fails(chatloom: Chatloom, sandbox: Sandbox, db: str, two: str) -> None:
    """An old debt is reported, and does not fail the build."""
    sandbox["acme"].add_agent(name="Wild", domains=("localhost",))
    first = chatloom("audit", two, "--db", db)
    assert first.status == 1
    assert first.err.splitlines()[-1] == "next: add --baseline 1 to fail on new findings only"
    same = chatloom("audit", two, "--db", db, "--baseline", "1")
    assert same.status == 0
    assert same.err.splitlines()[1:] == [
        "findings: 1 error | 0 new since run 1 | begin with acme",
        f"next: chatloom diff --db {db} 1 2",
    ]
    sandbox["birch"].add_agent(name="Wilder", domains=("*",))
    more = chatloom("audit", two, "--db", db, "--baseline", "1", "--html", "r.html")
    assert more.status == 1
    page = Path("r.html").read_text()
    assert ("1 finding is new since run 1, and marked as new." in page, page.count('class="new"')) == (True, 1)
    assert more.err.splitlines()[1] == "findings: 2 errors | 1 new since run 1"
    for number in ("9", "99999999999999999999"):
        none = chatloom("audit", two, "--db", db, "--baseline", number)
        assert (none.status, none.err.splitlines()[-1]) == (
            2, f"error: There is no run {number}. `chatloom runs --db PATH` lists the runs that it holds."
        )  # fmt: skip


def test_what_is_no_database_is_told_in_words_that_fit(chatloom: Chatloom, db: str, two: str) -> None:
    """Nothing is made of it, so none is promised."""
    assert chatloom("runs", "--db", two).err == (
        f"error: {two}: file is not a database. "
        "Choose another --db, such as one that `chatloom audit --db PATH` made.\n"
    )


def test_two_runs_are_compared(chatloom: Chatloom, sandbox: Sandbox, db: str, two: str) -> None:
    """The last two, unless others are named; as a table, as JSON and as Markdown."""
    chatloom("audit", two, "--db", db)
    wild = sandbox["acme"].add_agent(name="Wild", domains=("localhost",))
    chatloom("audit", two, "--db", db)
    chatloom("audit", two, "--db", db)
    assert json.loads(chatloom("diff", "--db", db, "--format", "json").out)["summary"]["unchanged"] == 2
    told = chatloom("diff", "--db", db, "1", "2")
    assert told.status == 0
    assert told.out.splitlines()[1:4] == ["workspaces: 1 changed", "agents: 1 added", "findings: 1 new"]
    assert f"acme       +  agent Wild ({wild.id})" in told.out
    assert chatloom("diff", "--db", db, "2").out.splitlines()[1:] == told.out.splitlines()[1:]
    document = json.loads(chatloom("diff", "1", "2", "--db", db, "--format", "json").out)
    assert (document["old"]["id"], document["new"]["id"], document["summary"]["findings_new"]) == (1, 2, 1)
    assert f"- **+** agent `Wild` (`{wild.id}`)" in chatloom("diff", "--db", db, "1", "3", "--format", "markdown").out


def test_a_selection_is_compared_with_the_whole(chatloom: Chatloom, sandbox: Sandbox, db: str, two: str) -> None:
    """What was not selected is not compared, and is not taken for removed."""
    chatloom("audit", two, "--db", db)
    sandbox["birch"].add_agent(name="Wild", domains=("localhost",))
    chatloom("audit", two, "--db", db, "--only", "birch")
    told = chatloom("diff", "--db", db).out.splitlines()
    assert told[1:5] == [
        "note: The new run was to read only 1 of 2 workspaces. The others are not compared.",
        "workspaces: 1 changed, 1 not compared",
        "agents: 1 added",
        "findings: 1 new",
    ]
    assert "removed" not in chatloom("diff", "--db", db, "2", "1").out.replace("agents: 1 removed", "")


def test_runs_of_different_workspaces_are_compared_if_there_are_no_others(
    chatloom: Chatloom, sandbox: Sandbox, db: str, two: str
) -> None:
    """The last two: what they have in common is nothing, and the result says so."""
    for name in ("acme", "acme", "birch"):
        chatloom("audit", two, "--db", db, "--only", name)
    document = json.loads(chatloom("diff", "--db", db, "--format", "json").out)
    assert (document["old"]["id"], document["new"]["id"]) == (2, 3)


def test_less_than_two_runs_cannot_be_compared(chatloom: Chatloom, db: str) -> None:
    """Nor can those of a database that does not exist."""
    assert chatloom("diff", "--db", db).err.startswith("error: a.db: there is no such file. ")
    chatloom("audit", "--sandbox", "--only", "acorn", "--db", "b.db")
    ran = chatloom("diff", "--db", "b.db")
    assert ran.status == 2
    assert ran.err == (
        "error: b.db: it takes two runs to compare, and there is one. `chatloom runs --db PATH` lists the runs; "
        "every `chatloom audit --db PATH` adds one.\n"
    )


def test_a_database_that_is_deleted_during_the_audit_is_missed(chatloom: Chatloom, sandbox: Sandbox, db: str) -> None:
    """The report is whole, and nothing is advised that needs the run."""
    listed = [{"name": "acme", "key_command": ["sh", "-c", "rm a.db*; echo $CHATLOOM_API_KEY"]}]
    Path("w.json").write_text(json.dumps(listed))
    ran = chatloom("audit", "w.json", "--db", db, "--format", "json")
    assert (ran.status, json.loads(ran.out)["workspaces"][0]["state"]) == (4, "ok")
    assert ran.err == (
        "error: a.db: the file was moved, removed or replaced, so the run is not in it. "
        "Run the audit again, and leave the file where it is until the audit ends.\n"
    )


async def test_a_run_that_lacks_only_its_report_is_resumed_for_that(chatloom: Chatloom, db: str) -> None:
    """It was interrupted while the report was written, so no workspace is left."""
    async with open_store(db) as store:
        run = await store.begin(RunConfig(workspaces=[Workspace("acme", KeyEnv("KEY"))], base_url="http://127.0.0.1:1"))
        await run.commit(Row("acme", "ok"))
    listed = await asyncio.to_thread(chatloom, "runs", "--db", db)
    assert listed.err == "next: to write the report of run 1, add --resume to the command that began it\n"


@pytest.mark.parametrize("command", ["runs", "diff"])
def test_a_directory_is_not_a_database(chatloom: Chatloom, command: str) -> None:
    """Nor is the empty path, which stands for the working directory."""
    for path in (".", "", "/"):
        ran = chatloom(command, "--db", path)
        assert (ran.status, ran.out) == (2, "")
        assert ran.err.startswith(f"error: {path or '.'}: it is a directory. Check the path of --db; ")


def test_the_embedded_sandbox_can_be_kept_and_compared(
    chatloom: Chatloom, monkeypatch: pytest.MonkeyPatch, db: str
) -> None:
    """Its port is another one each time, and it is the same workspaces all the same."""
    monkeypatch.setattr(sources, "EMBEDDED", {"workspaces": 2, "agents": 2, "seed": 7})
    for _ in range(2):
        assert chatloom("audit", "--db", db).status == 0
    ran = chatloom("diff", "--db", db)
    assert ran.out.splitlines()[1:] == ["2 workspaces did not change"]


WORKSPACES = tuple(Workspace(name, KeyEnv(f"KEY_{name}")) for name in ("acme", "birch", "cedar"))


def test_the_last_complete_run_is_the_baseline(chatloom: Chatloom, sandbox: Sandbox, db: str, two: str) -> None:
    """Where there is none yet, this run becomes it, and its findings do not fail it."""
    sandbox["acme"].add_agent(name="Wild", domains=("localhost",))
    first = chatloom("audit", two, "--db", db, "--baseline", "last")
    assert (first.status, first.err.splitlines()[0]) == (
        0, "No earlier complete run has one of these workspaces: run 1 becomes the baseline, and no finding fails it."
    )  # fmt: skip
    assert chatloom("audit", two, "--db", db, "--baseline", "last").status == 0
    sandbox["birch"].add_agent(name="Wilder", domains=("*",))
    third = chatloom("audit", two, "--db", db, "--baseline", "last")
    assert (third.status, third.err.splitlines()[1]) == (1, "findings: 2 errors | 1 new since run 2")


@pytest.mark.parametrize("option", ["--output", "--html"])
def test_a_report_that_cannot_be_written_begins_no_run(chatloom: Chatloom, two: str, db: str, option: str) -> None:
    """The other report stays as it is, and no file is left behind."""
    Path("old").write_text("kept")
    given = {"--output": "old", "--html": "new", option: "no/such/file"}
    refused = chatloom("audit", two, "--db", db, *(word for pair in given.items() for word in pair))
    assert refused.status == 2
    assert refused.err == (
        f"error: {option} no/such/file cannot be written: No such file or directory. Choose a path in a directory that "
        "exists and that you may write to.\n"
    )
    assert (sorted(each.name for each in Path.cwd().iterdir()), Path("old").read_text()) == (["old", two], "kept")


@pytest.mark.skipif(sys.platform == "win32", reason="has no pipes in directories")
def test_a_report_may_go_through_a_pipe(started: Start, sandbox: Sandbox, two: str, db: str) -> None:
    """Who reads it gets all of it."""
    os.mkfifo("pipe")
    ours = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)  # which does not wait for who writes
    process = started("audit", two, "--format", "jsonl", "--output", "pipe")
    process.communicate(timeout=30)
    with os.fdopen(ours) as pipe:
        rows = [json.loads(line)["workspace"] for line in pipe]
    assert (sorted(rows), process.returncode) == (["acme", "birch"], 0)


def test_a_refused_resume_leaves_the_last_report_alone(chatloom: Chatloom, two: str, db: str) -> None:
    """The file for the report is emptied when there is something to put into it."""
    chatloom("audit", two, "--db", db, "--output", "report.txt")
    report = Path("report.txt").read_text("utf-8")
    refused = chatloom("audit", two, "--db", db, "--resume", "--output", "report.txt")
    assert (refused.status, Path("report.txt").read_text("utf-8")) == (2, report)
