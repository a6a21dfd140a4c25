"""`chatloom audit`: sources, filters, formats, closing lines and exit statuses."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatloom_async.audit import outage
from chatloom_async.cli import sources
from chatloom_async.cli.sandbox import make_sandbox
from chatloom_async.sandbox import Sandbox
from tests.cli.conftest import Ran, stdin_of
from tests.samples import KEY

Chatloom = Callable[..., Ran]
EMBEDDED_NOTICE = "auditing an embedded sandbox on this machine. Its data is fictional.\n"

ESTIMATE = "estimate: 26 requests if each workspace has 12 agents, at least 1 s at 4 requests a second and key\n"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded sandbox is small here, so that the rate limit does not make tests wait."""
    monkeypatch.setattr(sources, "EMBEDDED", {"workspaces": 3, "agents": 2, "seed": 7})


@pytest.fixture
def three(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file with acme, which is fine, birch, whose agents fail, and cedar, whose key is not set."""
    birch = sandbox.add_workspace("birch", agents=2)
    birch.fails(403, times=None, on="*/allowed-domains")
    monkeypatch.setenv("BIRCH_KEY", birch.key.reveal())
    path = tmp_path / "three.json"
    names = {"acme": "CHATLOOM_API_KEY", "birch": "BIRCH_KEY", "cedar": "CEDAR_KEY"}
    entries = [{"name": name, "key_env": key, "tags": [name[:1]]} for name, key in names.items()]
    path.write_text(json.dumps(entries))
    return str(path)


def test_without_file_and_key_it_audits_the_embedded_sandbox_and_says_so(chatloom: Chatloom) -> None:
    """A first try needs no account."""
    ran = chatloom("audit")
    domains = {each.name: sum(len(agent.domains) for agent in each.agents) for each in make_sandbox(**sources.EMBEDDED)}
    assert ran.status == 0
    assert [line.split()[:4] for line in ran.out.splitlines()[:4]] == [
        ["workspace", "state", "agents", "domains"],
        *([name, "ok", "2", str(count)] for name, count in domains.items()),
    ]
    first, totals, findings, advice = ran.err.splitlines(keepends=True)
    assert first == f"No workspaces file and no CHATLOOM_API_KEY: {EMBEDDED_NOTICE}"
    assert totals.startswith(f"3 workspaces: 3 ok | 6 agents, {sum(domains.values())} domains, 9 requests in ")
    assert findings == "findings: 1 warning, 1 info | begin with cedar\n"
    assert advice.startswith("next: export CHATLOOM_API_KEY=... && chatloom audit ")


def test_the_embedded_sandbox_can_be_asked_for(chatloom: Chatloom, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where there is a key, which is not used then."""
    monkeypatch.setenv("CHATLOOM_API_KEY", KEY)
    ran = chatloom("audit", "--sandbox", "--only", "a*", "--format", "jsonl")
    assert ran.status == 0
    assert [json.loads(line)["workspace"] for line in ran.out.splitlines()] == ["acorn"]
    assert ran.err.startswith(f"--sandbox: {EMBEDDED_NOTICE}")
    assert ran.err.splitlines()[-1] == "next: leave out --sandbox to audit the workspace of your key"


def test_without_a_file_it_audits_the_workspace_of_the_key(chatloom: Chatloom, sandbox: Sandbox) -> None:
    """The closing lines propose to keep it."""
    ran = chatloom("audit")
    count = sum(len(agent.domains) for agent in sandbox["acme"].agents)
    assert ran.status == 0
    assert ran.out.splitlines()[1].split() == ["default", "ok", "3", str(count), "0", "0", "0"]
    assert ran.err.splitlines()[0].startswith(f"1 workspace: 1 ok | 3 agents, {count} domains, 4 requests in ")
    assert ran.err.splitlines()[1:] == [
        "nothing found",
        "next: add --db audits.db to keep the run and compare later ones with it",
    ]


@pytest.mark.parametrize(("key", "problem"), [("", "is empty"), ("abc", "does not start with the prefix clf_")])
@pytest.mark.parametrize("command", [["audit"], ["audit", "--dry-run"], ["agents"]])
def test_a_variable_that_holds_no_key_is_wrong_usage(
    chatloom: Chatloom, monkeypatch: pytest.MonkeyPatch, command: list[str], key: str, problem: str
) -> None:
    """Such as that of a secret that a CI system does not have: the variable is named, and nothing is audited."""
    monkeypatch.setenv("CHATLOOM_API_KEY", key)
    ran = chatloom(*command)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith(f"error: Environment variable CHATLOOM_API_KEY: The API key {problem}")


@pytest.mark.parametrize(
    ("option", "meant"),
    [("--formt", "Did you mean --format?"), ("--frmat=json", "Did you mean --format?"), ("--zzzzzz", "See `chatloom")],
)
def test_a_wrong_option_suggests_one(chatloom: Chatloom, option: str, meant: str) -> None:
    """Although the list of workspaces may have any name."""
    ran = chatloom("audit", option, "json")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith(f'error: Unknown option: "{option.partition("=")[0]}". {meant}')


def test_workspaces_that_fail_are_told_and_make_the_status_3(chatloom: Chatloom, three: str) -> None:
    """The table has the worst last, and the closing line the command that tries them again."""
    ran = chatloom("audit", three)
    assert ran.status == 3
    assert [line.split()[:3] for line in ran.out.splitlines()[1:4]] == [
        ["acme", "ok", "3"],
        ["birch", "partial", "2"],
        ["cedar", "failed", "-"],
    ]
    assert "KeyUnavailableError: The environment variable CEDAR_KEY is not set." in ran.out
    assert ran.err.splitlines()[0].startswith("3 workspaces: 1 ok, 1 partial, 1 failed | 5 agents, ")
    assert ran.err.splitlines()[2] in (
        "next: set CEDAR_KEY, then add --only birch --only cedar to read only them again",
        "next: set CEDAR_KEY, then add --only cedar --only birch to read only them again",
    )


def test_every_variable_that_is_not_set_is_named_once(chatloom: Chatloom, sandbox: Sandbox, tmp_path: Path) -> None:
    """Of references of both kinds."""
    (tmp_path / "w.csv").write_text("name,key_env,key_json\na,CHATLOOM_API_KEY,\nb,,KEYS#b\nc,,KEYS#c\nd,D_KEY,\n")
    planned = chatloom("audit", str(tmp_path / "w.csv"), "--dry-run")
    assert planned.err.splitlines()[-1] == "warning: variables of keys that are not set here: KEYS, D_KEY"
    assert chatloom("audit", str(tmp_path / "w.csv")).err.splitlines()[-1] == (
        "next: set KEYS, D_KEY, then add --only b --only c --only d to read only them again"
    )


@pytest.mark.parametrize("path", ["~no-such-user/key", "~/key"])
def test_a_key_file_without_a_home_directory_fails_one_workspace(
    chatloom: Chatloom, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """An unknown user, and a container whose user has no entry and no HOME: the other workspaces are read."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # KeyError, as for a user without an entry
    file = tmp_path / "w.json"
    file.write_text(json.dumps([{"name": "acme", "key_env": "CHATLOOM_API_KEY"}, {"name": "birch", "key_file": path}]))
    assert chatloom("audit", str(file), "--dry-run").status == 0
    ran = chatloom("audit", str(file), "--format", "jsonl")
    rows = {row["workspace"]: row for row in map(json.loads, ran.out.splitlines())}
    assert (ran.status, rows["acme"]["state"], rows["birch"]["state"]) == (3, "ok", "failed")
    assert rows["birch"]["error"]["type"] == "KeyUnavailableError"
    assert f"The key file {path} cannot be read: " in rows["birch"]["error"]["message"]


def test_columns_that_are_ignored_are_reported(chatloom: Chatloom, sandbox: Sandbox, tmp_path: Path) -> None:
    """On standard error, with the name of the file."""
    path = tmp_path / "w.csv"
    path.write_text("name;key_env;owner;city\nacme;CHATLOOM_API_KEY;Ann;Oslo\n")
    ran = chatloom("audit", str(path), "--format", "jsonl")
    assert ran.status == 0
    assert ran.err.splitlines()[0] == f"{path}: ignored the columns owner, city: they are not a field"


def test_an_api_that_answers_429_only_ends_the_audit_after_the_longest_pause(
    chatloom: Chatloom, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last line names the cause."""
    monkeypatch.setattr(outage, "GIVE_UP_AFTER", 0.0)
    monkeypatch.setattr(outage, "SHOW_THROTTLING_AFTER", 0.0)
    sandbox["acme"].fails(429, times=None)
    ran = chatloom("audit", "--max-pause", "0.3")
    first, *_, last = ran.err.splitlines()
    assert ran.status == 4
    assert first.startswith("paused: HTTP 429: ")
    assert last.startswith("cause: Not read, since nothing worked in the first 0 s. HTTP 429: ")
    assert chatloom("audit", "--max-pause", "-1").err.startswith('error: Invalid value "-1.0" for --max-pause. ')


def test_where_nothing_can_be_audited_the_status_is_4(chatloom: Chatloom, three: str) -> None:
    """No workspace was read, not even in part."""
    ran = chatloom("audit", three, "--tag", "c", "--format", "jsonl")
    assert ran.status == 4
    assert [json.loads(line)["state"] for line in ran.out.splitlines()] == ["failed"]


def test_a_report_can_go_to_a_file(chatloom: Chatloom, three: str, tmp_path: Path) -> None:
    """Nothing is on stdout then."""
    ran = chatloom("audit", three, "--exclude", "[bc]*", "--format", "json", "--output", str(tmp_path / "report.json"))
    assert (ran.status, ran.out) == (0, "")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["summary"]["workspaces"] == {"total": 1, "ok": 1, "partial": 0, "failed": 0}
    assert [(row["workspace"], len(row["agents"])) for row in report["workspaces"]] == [("acme", 3)]


def test_workspaces_come_on_standard_input_as_ndjson(
    chatloom: Chatloom, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With keys in them only where that is asked for."""
    line = json.dumps({"name": "acme", "key": sandbox["acme"].key.reveal()})
    monkeypatch.setattr(sys, "stdin", stdin_of(line))
    assert chatloom("audit", "-", "--inline-keys", "--format", "jsonl").status == 0
    monkeypatch.setattr(sys, "stdin", stdin_of(line))
    ran = chatloom("audit", "-")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("error: standard input: line 1 (acme): holds a key itself, which a file should not: ")
    assert "clf_" not in ran.err


@pytest.mark.parametrize(
    ("form", "printed"),
    [
        (
            "table",
            """\
workspace  key                             tags  expected domains
acme       environment variable ACME_KEY   eu    acme.example
birch      environment variable BIRCH_KEY
""",
        ),
        (
            "jsonl",
            """\
{"name":"acme","key":"environment variable ACME_KEY","tags":["eu"],"expect":["acme.example"]}
{"name":"birch","key":"environment variable BIRCH_KEY","tags":[],"expect":null}
""",
        ),
    ],
)
def test_a_dry_run_lists_what_would_be_audited(chatloom: Chatloom, tmp_path: Path, form: str, printed: str) -> None:
    """No key is resolved, and nothing is sent. Variables that are not set are named."""
    (tmp_path / "w.csv").write_text("name,key_env,tags,expect\nacme,ACME_KEY,eu,acme.example\nbirch,BIRCH_KEY,,\n")
    ran = chatloom("audit", str(tmp_path / "w.csv"), "--dry-run", "--format", form)
    assert ran == Ran(0, printed, f"{ESTIMATE}warning: variables of keys that are not set here: ACME_KEY, BIRCH_KEY\n")


def test_a_dry_run_can_be_a_json_document(chatloom: Chatloom) -> None:
    """Of the embedded sandbox, too; its keys are not shown."""
    ran = chatloom("audit", "--sandbox", "--dry-run", "--format", "json", "--only", "acorn")
    assert json.loads(ran.out) == {"workspaces": [{"name": "acorn", "key": "clf_***", "tags": [], "expect": None}]}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--sandbox", "--base-url", "http://127.0.0.1:1"], "--sandbox brings its own workspaces and address"),
        (["w.toml", "--sandbox"], "--sandbox brings its own workspaces and address"),
        (["--base-url", "http://127.0.0.1:1"], "--base-url needs workspaces: name a file, or set CHATLOOM_API_KEY."),
        (["no.toml"], "no.toml: cannot be read: No such file or directory. Check the path, and who may read it."),
        (["--only", "nobody"], "No workspace is selected, out of 3 in the list."),
        (["--output", "/no/such/dir/a"], "--output /no/such/dir/a cannot be written: No such file or directory."),
        (["--html", "r", "--output", "./r"], "--html r is the same file as --output r: one would overwrite the other."),
        (["--html", "/no/such/dir/b"], "--html /no/such/dir/b cannot be written: No such file or directory."),
        (["--rule", "nonsense"], "No rule is called 'nonsense'. The rules are agent-color-contrast, "),
        (["--rule", "agent-colour-invalid"], "No rule is called 'agent-colour-invalid'. Similar: agent-color-invalid"),
        (["--rules", "no.py"], "no.py: cannot be read: No such file or directory."),
        (["--mutes", "no.toml"], "no.toml: cannot be read: No such file or directory."),
        (["--fail-on", "fatal"], 'Invalid value "fatal" for --fail-on.'),
        (["--resume"], "Resuming needs the database of earlier runs. Name the database: --db PATH"),
        (["--baseline", "1"], "A baseline needs the database of earlier runs. Name the database: --db PATH"),
        (["--baseline", "1", "--db", "no.db"], "no.db: there is no such file. Check the path of --db;"),
        (["--resume", "--db", "no.db"], "no.db: there is no such file. Leave --resume out to start a run."),
        (["--db", "/no/such/dir/a.db"], "/no/such/dir/a.db: unable to open database file."),
        (["--db", "."], ".: it is a directory."),
        (["--db", ""], ".: it is a directory."),
        (["--db", "/", "--resume"], "/: it is a directory."),
        (["--concurrency", "0"], 'Invalid value "0" for --concurrency. Must be >= 1.'),
        (["--format", "xml"], 'Invalid value "xml" for --format.'),
        (["--bogus"], 'Unknown option: "--bogus". '),
        (["one.toml", KEY], "Unexpected: clf_***. A key is never an argument"),
        (["--baseline", "1", "--resume", "--db", "no.db"], "no.db: there is no such file. Leave --resume out"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(chatloom: Chatloom, arguments: list[str], error: str) -> None:
    """It says what is wrong and where to read on; no key, no traceback."""
    ran = chatloom("audit", *arguments)
    assert (ran.status, ran.out) == (2, "")
    line = ran.err.splitlines()[-1]
    assert line.startswith(f"error: {error}")
    assert KEY not in ran.err


@pytest.mark.parametrize("arguments", [["--resume"], ["--baseline", "1"], ["--resume", "--db", "no.db"]])
def test_what_needs_a_database_is_refused_before_anything_is_announced(
    chatloom: Chatloom, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line: no sandbox is said to be audited."""
    monkeypatch.chdir(tmp_path)
    ran = chatloom("audit", *arguments)
    assert (ran.status, len(ran.err.splitlines()), list(tmp_path.iterdir())) == (2, 1, [])


@pytest.mark.parametrize(
    "arguments",
    [
        ["agents", "--api-key", KEY],
        ["agents", f"--api-key={KEY}"],
        ["agents", KEY],
        ["audit", "--key", KEY],
        ["audit", "w.toml", f"--token={KEY}"],
        ["call", "/api/plugin/agents", "--API_KEY", KEY],
    ],
)
def test_a_key_as_an_argument_is_refused_with_the_way_that_there_is(chatloom: Chatloom, arguments: list[str]) -> None:
    """By whatever name it is given; it is not shown."""
    ran = chatloom(*arguments)
    assert (ran.status, ran.out) == (2, "")
    assert "A key is never an argument, where others could read it: set the environment variable CHATLOOM_API_KEY" in (
        ran.err
    )
    assert KEY not in ran.err


@pytest.mark.parametrize("arguments", [["runs"], ["runs", "--db"], ["diff"]])
def test_a_database_that_is_needed_is_asked_for(chatloom: Chatloom, arguments: list[str]) -> None:
    """In the words of the help text."""
    assert chatloom(*arguments) == Ran(2, "", f"error: --db PATH is needed. See `chatloom {arguments[0]} --help`.\n")


def test_an_argument_that_is_needed_is_asked_for(chatloom: Chatloom) -> None:
    """By its name."""
    assert chatloom("domains").err == "error: AGENT_ID is needed. See `chatloom domains --help`.\n"


def test_an_address_that_is_no_address_is_refused(chatloom: Chatloom, three: str) -> None:
    """Before anything is sent."""
    ran = chatloom("audit", three, "--base-url", "http://example.com")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("error: The base URL uses plain http")


def test_a_defect_is_one_line_with_its_place(chatloom: Chatloom, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a traceback, but enough for a report, and without a key."""

    def broken(**_: Any) -> None:
        raise LookupError(f"surprise {KEY}")

    monkeypatch.setattr(sources, "make_sandbox", broken)
    ran = chatloom("audit", "--sandbox")
    assert ran.status == 4
    assert ran.err.splitlines()[-1].startswith("error: unexpected LookupError: surprise clf_*** (test_audit.py, line ")
    assert "This is a defect: please report it. " in ran.err


def test_the_last_line_names_the_cause_if_nothing_was_read(chatloom: Chatloom, tmp_path: Path) -> None:
    """A closed port, for every workspace; status 4."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    lines = [f'{{"name": "w{number}", "key": "{KEY}"}}\n' for number in range(3)]
    (tmp_path / "w.ndjson").write_text("".join(lines))
    ran = chatloom(
        "audit",
        str(tmp_path / "w.ndjson"),
        "--inline-keys",
        "--base-url",
        f"http://127.0.0.1:{port}",
        "--format",
        "json",
    )
    assert ran.status == 4
    assert ran.err.splitlines()[-1].startswith(f"cause: http://127.0.0.1:{port} refused the connection.")


LIMITS = """
import resource, sys
from chatloom_async.cli.readers import raise_descriptor_limit
soft, hard = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
raise_descriptor_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.skipif(os.name == "nt", reason="has no such limit")
@pytest.mark.parametrize(("soft", "hard", "raised"), [(256, 1024, 1024), (256, 8192, 4096), (5000, 8192, 5000)])
def test_the_limit_of_open_files_is_raised(soft: int, hard: int, raised: int) -> None:
    """As far as the system allows, and no further than an audit needs."""
    command = [sys.executable, "-c", LIMITS, str(soft), str(hard)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"({raised}, {hard})\n"
