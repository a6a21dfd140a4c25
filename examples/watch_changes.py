"""Tells on standard output what changes in a workspace, until Ctrl-C. Needs CHATLOOM_API_KEY; seconds as argument."""

import asyncio
import sys

from chatloom_async import AgentAdded, AgentChanged, AgentRemoved, AsyncChatloom, DomainsChanged, watch


async def main(interval: float) -> None:
    async with AsyncChatloom() as chatloom:
        async for event in watch(chatloom, interval, initial=True):
            match event:
                case AgentAdded(agent, domains):
                    print(f"{agent.name} is there, on {', '.join(domains) or 'no domains'}", flush=True)
                case AgentRemoved(agent):
                    print(f"{agent.name} is gone", flush=True)
                case AgentChanged(before, after):
                    print(f"{before.name} is now {after}", flush=True)
                case DomainsChanged(agent, added, removed):
                    print(f"{agent.name}: +{added} -{removed}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(float((sys.argv[1:] or ["60"])[0])))
