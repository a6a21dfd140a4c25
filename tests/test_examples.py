"""Every example runs as its first line says, for real: scripts in a process of their own, services over sockets."""

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from importlib import util
from pathlib import Path
from types import ModuleType

import aiohttp
import pytest
from aiohttp import web

from chatloom_async import Sandbox
from chatloom_async.sandbox import SandboxWorkspace
from tests.contrib.serving import serving

# Run by tests/hosts, where their frameworks are installed: aiogram_bot, discord_bot, slack_bot.
EXAMPLES = Path(__file__).parent.parent / "examples"
QUICKSTART = """\
Technical Support: acme.example
Size Guide: acme.example, acme.example.net, shop.acme.example
Product Advisor: acme.example, acme.example.com
"""


@pytest.fixture
async def acme(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SandboxWorkspace]:
    """A workspace on a served sandbox, with the environment set as a user of the API would set it."""
    sandbox = Sandbox(seed=7)
    workspace = sandbox.add_workspace("acme", agents=3)
    async with sandbox.serve() as url:
        monkeypatch.setenv("CHATLOOM_API_KEY", workspace.key.reveal())
        monkeypatch.setenv("CHATLOOM_BASE_URL", url)
        yield workspace


def load(name: str) -> ModuleType:
    """An example as a module, as a server would import it."""
    spec = util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def script(name: str, **environment: str) -> str:
    """What a script prints in a process of its own, with every warning an error."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")]
    bare = {name: value for name, value in os.environ.items() if not name.startswith("CHATLOOM_")}
    return subprocess.run(command, env={**bare, **environment}, capture_output=True, text=True, check=True).stdout


def test_quickstart_needs_no_account() -> None:
    """Without a key it runs on the sandbox."""
    assert script("quickstart") == QUICKSTART


def test_fan_out_counts_the_living_and_names_the_dead() -> None:
    """One of fifty keys is dead, and costs nobody else anything."""
    assert script("fan_out") == "customer-13: the key is dead, ask for a new one\n196 agents\n"


def test_custom_endpoint_sends_a_json_body_and_gets_a_typed_answer() -> None:
    """A POST that the package does not know."""
    assert script("custom_endpoint") == (
        "Message(id='msg_1', text='Hello!')\n"
        'POST https://chatloom.app/api/plugin/agents/agt_abc123/messages b\'{"text":"Hi"}\'\n'
    )


def test_paginated_listing_asks_for_each_page() -> None:
    """The second by the cursor of the first."""
    assert script("paginated_listing") == "a b\n"


def test_structlog_writes_a_line_for_each_attempt() -> None:
    """JSON of names and numbers, also for the attempt that failed."""
    lines = [json.loads(line) for line in script("structlog_attempts").splitlines()]
    assert [{**line, "ms": None} for line in lines] == [
        {"event": "ListAgents", "number": 1, "status": 503, "problem": "ServerError", "ms": None},
        {"event": "ListAgents", "number": 2, "status": 200, "problem": None, "ms": None},
    ]


def test_prometheus_counts_every_attempt() -> None:
    """Two calls and one retry are three requests."""
    lines = script("prometheus_metrics").splitlines()
    assert [line for line in lines if re.match(r"chatloom_(requests_total|request_seconds_count|queued)", line)] == [
        'chatloom_requests_total{operation="ListAgents",outcome="503"} 1.0',
        'chatloom_requests_total{operation="ListAgents",outcome="200"} 2.0',
        'chatloom_request_seconds_count{operation="ListAgents"} 3.0',
        "chatloom_queued 0.0",
    ]


async def test_watch_changes_tells_what_changes(acme: SandboxWorkspace) -> None:
    """A change in the dashboard becomes a line, until the program is ended."""
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "error", str(EXAMPLES / "watch_changes.py"), "0.05"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output = program.stdout
    assert output is not None
    first = [(await output.readline()).decode() for _ in range(3)]
    oldest = acme.agents[-1]
    assert first[0] == f"{oldest.name} is there, on {', '.join(oldest.domains)}\n"
    acme.allow_domain(oldest.id, "new.example")
    assert await output.readline() == f"{oldest.name}: +('new.example',) -()\n".encode()
    acme.remove_agent(oldest.id)
    assert await output.readline() == f"{oldest.name} is gone\n".encode()
    program.terminate()
    await program.wait()


async def test_the_aiohttp_service_answers_from_the_api(acme: SandboxWorkspace) -> None:
    """One client for the life of the application; a 404 of the API becomes a 404 of the service."""
    runner = web.AppRunner(load("aiohttp_service").app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    _, port = runner.addresses[0][:2]
    agent = acme.agents[0]
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        async with session.get(f"/agents/{agent.id}/domains") as found:
            assert await found.json() == list(agent.domains)
        async with session.get("/agents/agt_unknown/domains") as missing:
            assert missing.status == 404
    await runner.cleanup()


async def test_the_fastapi_service_answers_from_the_api(acme: SandboxWorkspace) -> None:
    """The same by lifespan and dependency."""
    agent = acme.agents[0]
    async with serving(load("fastapi_service").app) as client:
        found = await client.get(f"/agents/{agent.id}/domains")
        missing = await client.get("/agents/agt_unknown/domains")
    assert (found.json(), missing.status_code) == (list(agent.domains), 404)


async def test_the_fastapi_service_for_two_tenants_keeps_them_apart(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each gets its own agents, the page describes them, and each line of the log says whose call it was."""
    caplog.set_level(logging.INFO, logger="chatloom_async")
    sandbox = Sandbox(seed=7)
    workspaces = {name: sandbox.add_workspace(name, agents=2) for name in ("acme", "globex")}
    for name, workspace in workspaces.items():
        monkeypatch.setenv(f"{name.upper()}_KEY", workspace.key.reveal())
    monkeypatch.delenv("CHATLOOM_API_KEY", raising=False)
    workspaces["globex"].fails(503)
    async with sandbox.serve() as url:
        monkeypatch.setenv("CHATLOOM_BASE_URL", url)
        async with serving(load("fastapi_tenants").app) as http:
            found = {name: await http.get("/agents", headers={"X-Tenant": name}) for name in workspaces}
            workspaces["acme"].rotate_key()
            refused = await http.get("/agents", headers={"X-Tenant": "acme"})
            unknown = await http.get("/agents", headers={"X-Tenant": "initech"})
            page = (await http.get("/openapi.json")).json()
    names = {name: [agent["name"] for agent in answer.json()] for name, answer in found.items()}
    assert names == {name: [agent.name for agent in workspace.agents] for name, workspace in workspaces.items()}
    assert (refused.status_code, refused.json()) == (502, {"error": "AuthenticationError"})
    assert unknown.status_code == 422
    assert page["components"]["schemas"]["Agent"]["properties"]["createdAt"]["format"] == "date-time"
    answer = page["paths"]["/agents"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["items"] == {"$ref": "#/components/schemas/Agent"}
    assert [re.sub(r"0\.\d+ s|key=\w+|host=\S+", "", line) for line in caplog.messages] == [
        "ListAgents attempt 1: 503, again in  [label=globex  path=/api/plugin/agents ",
        "ListAgents failed after attempt 1: 401, not_retryable [label=acme  path=/api/plugin/agents ",
    ]


async def test_the_bot_answers_its_commands(acme: SandboxWorkspace) -> None:
    """A conversation over standard input and output, in a process of its own."""
    agent = acme.agents[0]
    bot = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "error", str(EXAMPLES / "bot.py")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await bot.communicate(f"hello\n/agents\n/domains {agent.id}\n/domains ../x\n".encode())
    lines = said.decode().splitlines()
    assert lines[:2] == ["Try /agents or /domains ID.", f"{agent.id}  {agent.name}"]
    assert lines[4:-1] == list(agent.domains)
    assert lines[-1].startswith("agent_id cannot be part of a path")


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short_and_says_what_it_is(example: Path) -> None:
    """Thirty-five lines or less, and a first line for the reader; a new example needs a test above."""
    lines = example.read_text("utf-8").splitlines()
    assert len(lines) <= 35
    assert lines[0].startswith('"""')
    assert example.stem in Path(__file__).read_text("utf-8")
