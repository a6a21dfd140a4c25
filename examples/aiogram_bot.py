"""bot.py on Telegram, as /agents and /domains ID. Needs aiogram, BOT_TOKEN and CHATLOOM_API_KEY."""

import asyncio
import os

from aiogram import Bot, Dispatcher
from aiogram.filters import Command, CommandObject
from aiogram.types import Message
from bot import on_message

from chatloom_async import AsyncChatloom

dispatcher = Dispatcher()


@dispatcher.message(Command("agents", "domains"))
async def answer(message: Message, command: CommandObject, chatloom: AsyncChatloom) -> None:
    text = await on_message(chatloom, f"/{command.command} {command.args or ''}")
    await message.answer(text[:4096] or "no agents")


async def main() -> None:
    async with AsyncChatloom() as chatloom, Bot(os.environ["BOT_TOKEN"]) as bot:
        await dispatcher.start_polling(bot, chatloom=chatloom)


if __name__ == "__main__":
    asyncio.run(main())
