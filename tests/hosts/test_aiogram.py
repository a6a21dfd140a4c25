"""The Telegram bot: updates as Telegram sends them go in, and what the bot would send comes out."""

from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

from chatloom_async import AsyncChatloom
from chatloom_async.sandbox import SandboxWorkspace

pytest.importorskip("aiogram", reason="aiogram is of the dependency group hosts")
from aiogram import Bot
from aiogram.client.session.base import BaseSession
from aiogram.types import Chat, Message, Update, User


class Recording(BaseSession):
    """Telegram's side: takes every method, and answers it with a message."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[str, object]] = []

    async def make_request(self, bot: Bot, method: Any, timeout: int | None = None) -> Any:  # noqa: ASYNC109  # aiogram's
        self.sent.append((type(method).__name__, getattr(method, "text", None)))
        return Message(message_id=2, date=datetime.now(UTC), chat=Chat(id=1, type="private"))

    async def close(self) -> None:
        """Nothing is open."""

    async def stream_content(self, *_: Any, **__: Any) -> AsyncGenerator[bytes, None]:
        yield b""


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("/agents", [("SendMessage", "agt_2  Two\nagt_1  One")]),
        ("/domains agt_1", [("SendMessage", "one.example\none.test")]),
        ("/domains agt_2", [("SendMessage", "no domains")]),
        ("/domains", [("SendMessage", "Try /agents or /domains ID.")]),
        ("hello", []),
    ],
)
async def test_a_command_is_answered(
    acme: SandboxWorkspace, load: Callable[[str], ModuleType], text: str, sent: list[tuple[str, str]]
) -> None:
    """Through the dispatcher, with its filters; other messages are left alone."""
    assert await answers(load, text) == sent


async def answers(load: Callable[[str], ModuleType], text: str) -> list[tuple[str, object]]:
    """What the bot sends when somebody writes this."""
    session = Recording()
    user = User(id=1, is_bot=False, first_name="Ada")
    message = Message(message_id=1, date=datetime.now(UTC), chat=Chat(id=1, type="private"), from_user=user, text=text)
    async with AsyncChatloom() as chatloom:
        bot = Bot("1:token", session=session)
        await load("aiogram_bot").dispatcher.feed_update(bot, Update(update_id=1, message=message), chatloom=chatloom)
    return session.sent


async def test_no_agents_are_said_to_be_none(acme: SandboxWorkspace, load: Callable[[str], ModuleType]) -> None:
    """Telegram refuses an empty message."""
    for agent in acme.agents:
        acme.remove_agent(agent.id)
    assert await answers(load, "/agents") == [("SendMessage", "no agents")]
