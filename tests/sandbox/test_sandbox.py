"""The sandbox as a whole: how it holds its workspaces, what it refuses, and what it never shows."""

import logging
import pickle
import subprocess
import sys
from typing import Any

import aiohttp
import pytest

from chatloom_async.sandbox import Sandbox
from chatloom_async.sandbox.routes import WARM, SandboxRequest
from chatloom_async.wire.errors import ConfigurationError
from chatloom_async.wire.message import Request
from tests.sandbox.skins import bearer

LIST = "/api/plugin/agents"


def test_a_sandbox_holds_workspaces(sandbox: Sandbox) -> None:
    """Workspaces are found by name, counted, and iterated in the order in which they were added."""
    assert (len(sandbox), bool(sandbox)) == (0, True)
    acme, other = sandbox.add_workspace("acme", agents=12), sandbox.add_workspace("other", agents=1)
    assert sandbox["acme"] is acme
    assert list(sandbox) == [acme, other]
    assert [item in sandbox for item in ("acme", acme, "nobody", None)] == [True, True, False, False]
    assert repr([sandbox, acme]) == "[Sandbox(seed=7, workspaces=2), SandboxWorkspace('acme', 12 agents)]"
    with pytest.raises(KeyError):
        sandbox["nobody"]


@pytest.mark.parametrize(("name", "agents"), [("", 1), ("acme", 1), ("new", -1)])
def test_impossible_workspaces(sandbox: Sandbox, name: str, agents: int) -> None:
    """A workspace has a name of its own and no negative number of agents."""
    sandbox.add_workspace("acme")
    with pytest.raises(ConfigurationError):
        sandbox.add_workspace(name, agents=agents)
    assert [workspace.name for workspace in sandbox] == ["acme"]


@pytest.mark.parametrize("options", [{"trouble": 1.1}, {"rate_limit": 0}, {"rate_limit": 300, "burst": 0}])
def test_impossible_sandboxes(options: dict[str, Any]) -> None:
    """Options out of range are refused."""
    with pytest.raises(ConfigurationError):
        Sandbox(**options)


async def test_without_a_rate_limit() -> None:
    """`rate_limit=None` never answers 429."""
    sandbox = Sandbox(rate_limit=None)
    headers = bearer(sandbox.add_workspace("acme", agents=0).key)
    transport = sandbox.transport()
    answers = [await transport.send(Request("GET", f"https://chatloom.app{LIST}", headers)) for _ in range(500)]
    assert {getattr(answer, "status", None) for answer in answers} == {200}


def test_only_so_many_answers_are_kept(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rendered answers are dropped, the oldest first, when more workspaces than that are read; they come back equal."""
    assert WARM == 4096
    monkeypatch.setattr("chatloom_async.sandbox.routes.WARM", 2)
    workspaces = [sandbox.add_workspace(name) for name in ("a", "b", "c")]
    asked = [SandboxRequest("GET", LIST, x_api_key=workspace.key.reveal()) for workspace in workspaces]
    first = [sandbox.handle(each) for each in asked]
    assert [workspace.pages is None for workspace in workspaces] == [True, False, False]
    assert [sandbox.handle(each) for each in asked] == first


def test_importing_it_does_not_import_aiohttp() -> None:
    """The in-memory sandbox works without aiohttp."""
    program = (
        "import sys; sys.modules['aiohttp'] = None; from chatloom_async.sandbox import Sandbox; Sandbox().transport()"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


async def test_nothing_shows_a_key(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """No repr, log or skin tells a key."""
    caplog.set_level(logging.NOTSET)
    acme = sandbox.add_workspace("acme", agents=1)
    text = acme.key.reveal()
    asked = SandboxRequest("GET", LIST, f"Bearer {text}", text)
    async with (
        sandbox.serve() as url,
        aiohttp.ClientSession() as session,
        session.get(url + LIST, headers=bearer(acme.key)) as answer,
    ):
        await answer.read()
    shown = [sandbox, acme, acme.key, sandbox.transport(), sandbox.asgi(), sandbox.log, asked, acme.agents]
    assert text not in repr(shown) + caplog.text
    with pytest.raises(TypeError):
        pickle.dumps(acme)
