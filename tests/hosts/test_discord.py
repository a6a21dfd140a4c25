"""The Discord bot: interactions as Discord sends them go in, and what the bot would send comes out."""

import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from chatloom_async.sandbox import SandboxWorkspace

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # before Python 3.13 it imports audioop
    discord = pytest.importorskip("discord", reason="discord.py is of the dependency group hosts")


class FakeInteraction:
    """An interaction whose answers are recorded instead of sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.response = self.followup = self

    async def defer(self) -> None:
        self.sent.append("deferred")

    async def send(self, text: str) -> None:
        self.sent.append(text)


@pytest.mark.parametrize(
    ("command", "arguments", "said"),
    [
        ("agents", {}, "agt_2  Two\nagt_1  One"),
        ("domains", {"agent_id": "agt_1"}, "one.example\none.test"),
        ("domains", {"agent_id": "agt_2"}, "no domains"),
        ("domains", {"agent_id": "a b"}, "Try /agents or /domains ID."),
    ],
)
async def test_a_command_is_answered(
    acme: SandboxWorkspace, load: Callable[[str], ModuleType], command: str, arguments: dict[str, str], said: str
) -> None:
    """First a sign of life, then the answer."""
    assert await answers(load, command, **arguments) == ["deferred", said]


async def answers(load: Callable[[str], ModuleType], command: str, **arguments: str) -> list[str]:
    """What the bot sends when somebody uses the command."""
    module, interaction = load("discord_bot"), FakeInteraction()
    async with module.chatloom:
        await module.commands.get_command(command).callback(interaction, **arguments)
    return interaction.sent


async def test_no_agents_are_said_to_be_none(acme: SandboxWorkspace, load: Callable[[str], ModuleType]) -> None:
    """Discord refuses an empty message."""
    for agent in acme.agents:
        acme.remove_agent(agent.id)
    assert await answers(load, "agents") == ["deferred", "no agents"]


async def test_the_commands_are_these(acme: SandboxWorkspace, load: Callable[[str], ModuleType]) -> None:
    """As Discord is told of them when the bot starts."""
    told: list[Any] = [
        command.to_dict(load("discord_bot").commands) for command in load("discord_bot").commands.get_commands()
    ]
    assert [(each["name"], [option["name"] for option in each["options"]]) for each in told] == [
        ("agents", []),
        ("domains", ["agent_id"]),
    ]
