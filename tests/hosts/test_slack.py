"""The Slack bot: slash commands as Slack sends them go in, and what the bot would send comes out."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from chatloom_async.sandbox import SandboxWorkspace

pytest.importorskip("slack_bolt", reason="slack-bolt is of the dependency group hosts")
from slack_bolt.async_app import AsyncBoltRequest


async def answers(load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, command: dict[str, str]) -> Any:
    """The status of the acknowledgement, and what was sent to the command's response URL, on a Slack of this test."""
    said: list[Any] = []

    async def identify(request: web.Request) -> web.Response:
        return web.json_response({"ok": True, "team_id": "T1", "bot_id": "B1", "user_id": "U2"})

    async def respond(request: web.Request) -> web.Response:
        said.append((await request.json())["text"])
        return web.Response(text="ok")

    slack = web.Application()
    slack.add_routes([web.post("/api/auth.test", identify), web.post("/respond", respond)])
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-1")
    module = load("slack_bot")
    async with TestServer(slack) as server, module.chatloom:
        module.app.client.base_url = str(server.make_url("/api/"))
        body = {"team_id": "T1", "user_id": "U1", "response_url": str(server.make_url("/respond")), **command}
        acknowledged = await module.app.async_dispatch(AsyncBoltRequest(body=body, mode="socket_mode"))
    return acknowledged.status, said


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ({"command": "/agents", "text": ""}, ["agt_2  Two\nagt_1  One"]),
        ({"command": "/domains", "text": "agt_1"}, ["one.example\none.test"]),
        ({"command": "/domains", "text": "agt_2"}, ["no domains"]),
        ({"command": "/domains"}, ["Try /agents or /domains ID."]),
    ],
)
async def test_a_command_is_answered(
    acme: SandboxWorkspace,
    load: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    command: dict[str, str],
    said: list[str],
) -> None:
    """Acknowledged, and answered at the URL that came with it."""
    assert await answers(load, monkeypatch, command) == (200, said)


async def test_no_agents_are_said_to_be_none(
    acme: SandboxWorkspace, load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slack refuses an empty message."""
    for agent in acme.agents:
        acme.remove_agent(agent.id)
    assert await answers(load, monkeypatch, {"command": "/agents"}) == (200, ["no agents"])
