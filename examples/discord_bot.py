"""bot.py on Discord, as /agents and /domains. Needs discord.py, DISCORD_TOKEN and CHATLOOM_API_KEY."""

import asyncio
import os

import discord
from bot import on_message

from chatloom_async import AsyncChatloom

bot = discord.Client(intents=discord.Intents.none())
commands, chatloom = discord.app_commands.CommandTree(bot), AsyncChatloom()
bot.setup_hook = commands.sync


@commands.command(description="Every agent of the workspace")
async def agents(interaction: discord.Interaction) -> None:
    await interaction.response.defer()  # Discord waits 3 seconds for this, and then for minutes
    await interaction.followup.send((await on_message(chatloom, "/agents"))[:2000] or "no agents")


@commands.command(description="Where the widget of an agent may load")
async def domains(interaction: discord.Interaction, agent_id: str) -> None:
    await interaction.response.defer()
    await interaction.followup.send((await on_message(chatloom, f"/domains {agent_id}"))[:2000])


if __name__ == "__main__":
    bot.run(os.environ["DISCORD_TOKEN"])
    asyncio.run(chatloom.aclose())
