"""A bot for the terminal: /agents, /domains ID. A chat framework would call `on_message`. Needs CHATLOOM_API_KEY."""

import asyncio
import sys

from chatloom_async import AsyncChatloom, ChatloomError


async def on_message(chatloom: AsyncChatloom, text: str) -> str:
    try:
        match text.split():
            case ["/agents"]:
                return "\n".join(f"{agent.id}  {agent.name}" for agent in await chatloom.list_agents())
            case ["/domains", agent_id]:
                return "\n".join(await chatloom.get_allowed_domains(agent_id)) or "no domains"
            case _:
                return "Try /agents or /domains ID."
    except ChatloomError as error:
        return str(error)  # says what happened and what to do next, and never shows the key


async def main() -> None:
    async with AsyncChatloom(deadline=10.0) as chatloom:
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(await on_message(chatloom, line), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
