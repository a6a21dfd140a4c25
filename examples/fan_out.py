"""One question to many workspaces at once: who has how many agents? Here 50 of the sandbox, one with a dead key."""

import asyncio

from chatloom_async import AgentList, AsyncChatloom, AuthenticationError, Err, Ok, Sandbox, fan_out


async def main() -> None:
    sandbox = Sandbox(seed=7)
    keys = {name: sandbox.add_workspace(name, agents=4).key for name in map("customer-{}".format, range(50))}
    sandbox["customer-13"].rotate_key()  # the key above has just become invalid
    chatloom = AsyncChatloom(keys["customer-0"], transport=sandbox.transport())

    async def agents_of(customer: str) -> AgentList:
        return await chatloom.with_key(keys[customer]).list_agents()

    total = 0
    async for result in fan_out(keys, agents_of, concurrency=16):
        match result:
            case Ok(_, agents):
                total += len(agents)
            case Err(customer, AuthenticationError()):
                print(f"{customer}: the key is dead, ask for a new one")
            case Err(customer, error):
                print(f"{customer}: {error}")
    print(f"{total} agents")


asyncio.run(main())
