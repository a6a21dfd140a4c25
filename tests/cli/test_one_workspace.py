"""`chatloom agents`, `domains` and `call`: one workspace, one key, which is never an argument."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from chatloom_async import AsyncChatloom, ConfigurationError, MockTransport
from chatloom_async.cli.options import Access
from chatloom_async.cli.workspace import agents, get, readable
from chatloom_async.sandbox import Sandbox
from tests.cli.conftest import Ran, stdin_of
from tests.samples import AGENTS, KEY, answer

Chatloom = Callable[..., Ran]


def test_agents_are_a_table(chatloom: Chatloom, sandbox: Sandbox) -> None:
    """Every column is there where there is no terminal to be too narrow."""
    ran = chatloom("agents")
    assert (ran.status, ran.err) == (0, "")
    heading, *lines = (line.split() for line in ran.out.splitlines())
    assert heading == ["id", "name", "status", "position", "created", "template", "colors"]
    newest_first = sorted(sandbox["acme"].agents, key=lambda agent: agent.created_at, reverse=True)
    assert [line[0] for line in lines] == [agent.id for agent in newest_first]


def test_agents_as_json_have_every_field(chatloom: Chatloom, sandbox: Sandbox) -> None:
    """One document, or one agent a line; the same agents in both."""
    document = json.loads(chatloom("agents", "--format", "json").out)
    lines = [json.loads(line) for line in chatloom("agents", "--format", "jsonl").out.splitlines()]
    assert document == {"agents": lines, "count": 3}
    assert set(lines[0]) == {
        "id", "name", "primary_color", "secondary_color", "position", "template", "status", "created_at",
    }  # fmt: skip


def test_domains_are_lines(chatloom: Chatloom, sandbox: Sandbox) -> None:
    """Nothing but domains is on stdout, in the API's order."""
    agent = sandbox["acme"].agents[0]
    assert chatloom("domains", agent.id) == Ran(0, "".join(f"{domain}\n" for domain in agent.domains), "")
    document = json.loads(chatloom("domains", agent.id, "--format", "json").out)
    assert document == {"agent_id": agent.id, "domains": list(agent.domains)}


def test_domains_can_go_to_a_file(chatloom: Chatloom, sandbox: Sandbox, tmp_path: Path) -> None:
    """Then nothing is on stdout."""
    agent, file = sandbox["acme"].agents[0], tmp_path / "domains.txt"
    assert chatloom("domains", agent.id, "--output", str(file)) == Ran(0, "", "")
    assert file.read_text("utf-8").splitlines() == [*agent.domains]


def test_an_empty_list_of_domains_is_explained(chatloom: Chatloom, sandbox: Sandbox) -> None:
    """Since the documentation does not say what it means."""
    agent = sandbox["acme"].add_agent(name="Bare", domains=())
    ran = chatloom("domains", agent.id)
    assert (ran.status, ran.out) == (0, "")
    assert ran.err.startswith("The list is empty. The API's documentation does not say")


def test_call_prints_what_the_api_sent(chatloom: Chatloom, sandbox: Sandbox) -> None:
    """Where it is not for a person, as it came, but for the line break with which a line of text ends."""
    ran = chatloom("call", "/api/plugin/agents")
    assert (ran.status, ran.err, ran.out.count("\n"), ran.out[-1]) == (0, "", 1, "\n")
    assert json.loads(ran.out)["count"] == 3
    assert "primaryColor" in ran.out


@pytest.mark.parametrize(
    "path",
    [
        "api",
        "//evil.example/api",
        "/a b",
        "/a#b",
        "/a\nb",
        "/../x",
        "/a/%2e%2e/x",
        "/a/./b",
        "/{agent}",
        "/a?b#c",
        "@evil",
        "",
    ],
)
def test_a_path_must_stay_where_it_seems_to_be(path: str) -> None:
    """Nothing is sent for a path that could lead elsewhere."""
    words = "The path must start with a single /, hold no . or .. between slashes, and no blank or #. "
    with pytest.raises(ConfigurationError, match=f"^{re.escape(words)}"):
        get(path)


@pytest.mark.parametrize("path", ["/", "/api/plugin/agents", "/api/a%20b?x=1&y=%7B", "/a/..b/c."])
def test_other_paths_are_sent_as_they_are(path: str) -> None:
    """Below the base URL."""
    assert get(path).request("https://chatloom.app").url == f"https://chatloom.app{path}"


def test_a_refused_key_is_one_line_and_status_4(chatloom: Chatloom, sandbox: Sandbox) -> None:
    """The line says what to do; it shows no key."""
    old = sandbox["acme"].key.reveal()
    sandbox["acme"].rotate_key()
    ran = chatloom("agents")
    assert (ran.status, ran.out) == (4, "")
    assert ran.err.startswith("error: HTTP 401: ")
    assert len(ran.err.splitlines()) == 1
    assert old not in ran.err


def test_without_a_key_there_is_a_hint(chatloom: Chatloom) -> None:
    """Status 2: it is a matter of configuration."""
    ran = chatloom("agents")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("error: There is no API key: CHATLOOM_API_KEY is not set. Set it, or name a file with ")


def test_the_key_may_come_from_a_file(
    chatloom: Chatloom, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that only its owner can read."""
    monkeypatch.delenv("CHATLOOM_API_KEY")
    path = tmp_path / "key"
    path.write_text(sandbox["acme"].key.reveal() + "\n")
    path.chmod(0o644)
    ran = chatloom("agents", "--key-file", str(path))
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith(
        f"error: The key file {path} can be read by others: chmod 600 {path}. Name a file that holds the key"
    )
    path.chmod(0o600)
    assert chatloom("agents", "--key-file", str(path)).status == 0


def test_the_key_may_come_from_standard_input(
    chatloom: Chatloom, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line of it, with the byte order mark that some shells put before what they pipe."""
    monkeypatch.delenv("CHATLOOM_API_KEY")
    for mark in ("", "\ufeff"):
        monkeypatch.setattr(sys, "stdin", stdin_of(mark + sandbox["acme"].key.reveal() + "\n"))
        assert chatloom("agents", "--key-file", "-").status == 0
    monkeypatch.setattr(sys, "stdin", stdin_of("hunter2\n"))
    ran = chatloom("agents", "--key-file", "-")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("error: The API key does not start with the prefix clf_ of all keys.")


def test_an_agent_that_is_not_there_is_one_line(chatloom: Chatloom, sandbox: Sandbox) -> None:
    """The API's message, the hint, status 4; an id that cannot be one is status 2."""
    ran = chatloom("domains", "agt_nobody")
    assert (ran.status, ran.out) == (4, "")
    assert ran.err.startswith("error: HTTP 404: ")
    assert KEY not in ran.err


@pytest.mark.parametrize(
    ("words", "status", "end"),
    [
        (("domains", "../x"), 2, " `chatloom agents` lists the ids."),
        (
            ("call", "/no/such/path"),
            4,
            " Check the path, also that of the base URL. An id must be of the key's own workspace.",
        ),
        (("agents", "--base-url", "http://example.com"), 2, ", without credentials, query or fragment."),
    ],
)
def test_hints_are_in_the_terms_of_the_command_line(
    chatloom: Chatloom, sandbox: Sandbox, words: tuple[str, ...], status: int, end: str
) -> None:
    """The library's name its arguments and methods."""
    ran = chatloom(*words)
    assert (ran.status, ran.err.endswith(f"{end}\n")) == (status, True), ran.err
    assert re.search(r"list_agents|AsyncChatloom|base_url|=", ran.err) is None


def test_an_answer_that_is_429_to_the_end_says_what_to_do(
    chatloom: Chatloom, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no option for the rate limit to be lowered with."""
    sandbox["acme"].fails(429, times=None, retry_after=3600)
    ran = chatloom("agents")
    assert ran.status == 4
    assert ran.err.endswith(
        " Wait a minute; let other programs with this key make fewer requests, or ask support@chatloom.app.\n"
    )


class HalfAList(Access):
    """Leads to an API whose list is shorter than it says."""

    async def client(self) -> AsyncChatloom:
        return AsyncChatloom(KEY, transport=MockTransport(lambda _: answer({**AGENTS, "count": 2})))


async def test_a_list_that_contradicts_itself_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """It is shown all the same, with a warning and status 3."""
    status = await agents(access=HalfAList())
    printed = capsys.readouterr()
    assert (status, printed.out.splitlines()[1][:10], printed.err) == (
        3,
        "agt_abc123",
        "warning: the API states 2 agents, but its list has 1, or an id twice.\n",
    )


def test_json_that_is_too_deep_to_be_indented_is_shown_as_it_came() -> None:
    """With what is invisible escaped, as ever."""
    deep, shown = "[" * 300 + '"\u202e"' + "]" * 300, "[" * 300 + '"\\u202e"' + "]" * 300
    assert readable(orjson.loads(deep), deep) == shown + "\n"
    assert readable(["\u202e"], '["\u202e"]') == '[\n  "\\u202e"\n]\n'
