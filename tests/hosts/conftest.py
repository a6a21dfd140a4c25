"""What every bot's test needs: a workspace to ask, and the examples as modules. The bots' own services are faked."""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from chatloom_async import Sandbox
from chatloom_async.sandbox import SandboxWorkspace

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch, chatloom_sandbox: Sandbox, chatloom_server: str) -> SandboxWorkspace:
    """A served workspace with two agents, and the environment of a user's program."""
    workspace = chatloom_sandbox.add_workspace("of the bot", agents=0)
    workspace.add_agent(id="agt_1", name="One", domains=["one.example", "one.test"])
    workspace.add_agent(id="agt_2", name="Two")
    monkeypatch.setenv("CHATLOOM_API_KEY", workspace.key.reveal())
    monkeypatch.setenv("CHATLOOM_BASE_URL", chatloom_server)
    return workspace


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """An example as a module, imported anew: it finds bot.py beside itself, as a script does."""
    monkeypatch.syspath_prepend(EXAMPLES)

    def load(name: str) -> ModuleType:
        monkeypatch.delitem(sys.modules, name, raising=False)
        return import_module(name)

    return load
