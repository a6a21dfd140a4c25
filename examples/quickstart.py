"""Every agent of a workspace, and where its widget may load. Without CHATLOOM_API_KEY it runs on the sandbox."""

import asyncio
import os

from chatloom_async import AsyncChatloom, Sandbox


def connect() -> AsyncChatloom:
    if "CHATLOOM_API_KEY" in os.environ:
        return AsyncChatloom()
    sandbox = Sandbox(seed=7)
    return AsyncChatloom(sandbox.add_workspace("acme", agents=3).key, transport=sandbox.transport())


async def main() -> None:
    async with connect() as chatloom:
        for agent in await chatloom.list_agents():
            domains = await chatloom.get_allowed_domains(agent.id)
            print(f"{agent.name}: {', '.join(domains) or 'no domains'}")


asyncio.run(main())
