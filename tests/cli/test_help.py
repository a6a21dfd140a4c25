"""`--help`: the overview, the page of each command, and that what they show works."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from chatloom_async.audit import KeyEnv, load_workspaces
from chatloom_async.audit.mutes import load_mutes
from chatloom_async.cli.app import MODULES, command_line
from chatloom_async.cli.help import COMMANDS, EXAMPLES, GROUPS
from chatloom_async.sandbox import Sandbox
from tests.cli.conftest import Ran

Chatloom = Callable[..., Ran]
EXAMPLE = re.compile(r"^ +\$ (chatloom .*)$", re.MULTILINE)


def test_every_command_explains_itself(chatloom: Chatloom) -> None:
    """The overview has the first line of every command's page, in its group."""
    overview = chatloom("--help")
    assert (overview, chatloom("-h")) == (chatloom(), overview)
    flat = " ".join(overview.out.split())
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(COMMANDS)
    for name, (usage, summary) in COMMANDS.items():
        assert f" {name} {summary} " in flat
        ran = chatloom(name, "--help")
        assert (ran.status, ran.err) == (0, "")
        assert ran.out.startswith(f"{summary}\n")
        assert f"\nUSAGE\n  chatloom {name} {usage}\n" in ran.out
        assert "\nEXAMPLES\n  $ chatloom " in ran.out


def test_frequent_options_come_first_and_examples_last(chatloom: Chatloom) -> None:
    """In groups with names."""
    headings = [line for line in chatloom("audit", "--help").out.splitlines() if line.isupper() and line[0] != " "]
    assert headings == [
        "USAGE", "ARGUMENTS", "FREQUENT OPTIONS", "WHICH WORKSPACES", "RULES AND FINDINGS", "HOW IT RUNS",
        "LIST OF WORKSPACES", "ACCEPTED FINDINGS", "CTRL-C", "EXIT STATUS", "EXAMPLES",
    ]  # fmt: skip


def test_parameters_have_their_names_values_and_defaults(chatloom: Chatloom) -> None:
    """As they are given."""
    assert (
        chatloom("diff", "--help").out.partition("ARGUMENTS\n")[2].partition("\nEXAMPLES")[0]
        == """\
  OLD  Number of the earlier run. Without NEW: the run to compare with the one
       before it.
  NEW  Number of the later run. Default: the last one.

OPTIONS
      --db PATH        File that `chatloom audit --db PATH` wrote. Required.
      --format FORMAT  table, json, or markdown (for a pull request). Default:
                       table.
  -o, --output FILE    Write to this file. Default: stdout.
"""
    )
    assert "      --baseline RUN   Fail only on findings" in chatloom("audit", "--help").out


@pytest.mark.parametrize(("columns", "widest"), [("30", 48), ("64", 64), ("400", 100)])
def test_help_fits_the_terminal(chatloom: Chatloom, monkeypatch: pytest.MonkeyPatch, columns: str, widest: int) -> None:
    """Unless that is too narrow to read. Examples and files are never broken."""
    monkeypatch.setenv("COLUMNS", columns)
    text = chatloom("audit", "--help").out.partition("EXIT STATUS")[0]
    filled = [line for line in text.splitlines() if "=" not in line and not line.startswith(" " * 24)]
    assert widest - 8 < max(map(len, filled)) <= widest


@pytest.mark.parametrize("words", [("frobnicate", "--help"), ("--help", "frobnicate")])
def test_help_for_what_is_no_command_is_an_error(chatloom: Chatloom, words: tuple[str, ...]) -> None:
    """The overview would hide the mistake."""
    ran = chatloom(*words)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith('error: Unknown command "frobnicate". ')


def test_the_files_that_the_help_shows_can_be_used(chatloom: Chatloom, tmp_path: Path) -> None:
    """The list of workspaces, and the mutes."""
    page = chatloom("audit", "--help").out
    for name in ("workspaces", "mutes"):
        (entry,) = re.findall(rf"^ +\[\[{name}\]\].*?(?=\n\n)", page, re.MULTILINE | re.DOTALL)
        (tmp_path / f"{name}.toml").write_text(entry)
    (acme,), (mute,) = load_workspaces(tmp_path / "workspaces.toml"), load_mutes(tmp_path / "mutes.toml")
    assert (acme.name, acme.key, acme.expect) == ("acme", KeyEnv("ACME_CHATLOOM_KEY"), ("acme.example",))
    assert mute.target == "rule domain-wildcard, workspace acme*, subject *.acme.example"


def test_the_examples_run(
    chatloom: Chatloom, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of the overview. A server only has its command line read."""
    monkeypatch.chdir(tmp_path)
    Path("workspaces.toml").write_text('[[workspaces]]\nname = "acme"\nkey_env = "CHATLOOM_API_KEY"\n')
    sandbox["acme"].add_agent(id="agt_abc123", domains=("acme.example",))
    pages = [EXAMPLES.replace("$", " $"), *(chatloom(name, "--help").out for name in COMMANDS)]
    lines = [line for page in pages for line in EXAMPLE.findall(page)]
    assert len(lines) > 2 * len(COMMANDS)
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        command = next((words[: words.index(mark)] for mark in ("|", ">") if mark in words), words)
        if command[0] == "sandbox":
            assert command_line("sandbox").parse_args(command)[0].__name__ == "sandbox"
        else:
            ran = chatloom(*command)
            assert (ran.status, "error" in ran.err) == (0, False), (line, ran)


@pytest.mark.parametrize(
    ("words", "unneeded"),
    [
        ("", {"attrs", "cyclopts", "rich", "asyncio", "typing"}),
        ("audit", {"aiohttp", "rich", "chatloom_async.client", "chatloom_async.audit.rules", "chatloom_async.sandbox"}),
        ("agents", {"aiohttp", "rich", "chatloom_async.client"}),
    ],
)
def test_help_does_not_import_what_it_does_not_need(words: str, unneeded: set[str]) -> None:
    """It appears at once."""
    arguments = [*words.split(), "--help"]
    code = f"import sys; before = {{*sys.modules}}; from chatloom_async.cli import main; main({arguments})"
    code += f"; print(*sorted({unneeded} & ({{*sys.modules}} - before)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""


def test_modules_of_commands_are_where_they_are_looked_for() -> None:
    """The function has the name of its command, and its docstring begins with the summary."""
    for name, (_, summary) in COMMANDS.items():
        function = getattr(import_module(f"chatloom_async.cli.{MODULES.get(name, name)}"), name)
        assert function.__doc__.startswith(summary)
