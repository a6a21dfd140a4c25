"""bot.py on Slack, as /agents and /domains ID. Needs slack-bolt, SLACK_BOT_TOKEN, SLACK_APP_TOKEN, CHATLOOM_API_KEY."""

import asyncio
import os
import re

from bot import on_message
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond

from chatloom_async import AsyncChatloom

app, chatloom = AsyncApp(token=os.environ["SLACK_BOT_TOKEN"]), AsyncChatloom()


@app.command(re.compile("/(agents|domains)"))
async def answer(ack: AsyncAck, respond: AsyncRespond, command: dict[str, str]) -> None:
    await ack()  # Slack waits 3 seconds for this, and then for minutes
    await respond(await on_message(chatloom, f"{command['command']} {command.get('text', '')}") or "no agents")


async def main() -> None:
    async with chatloom:
        await AsyncSocketModeHandler(app, os.environ["SLACK_APP_TOKEN"]).start_async()


if __name__ == "__main__":
    asyncio.run(main())
