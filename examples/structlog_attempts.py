"""One structured log line for each request on the wire. Here a sandbox that answers 503 first."""

import asyncio

import structlog

from chatloom_async import AsyncChatloom, Attempt, Sandbox

log = structlog.get_logger("chatloom")


def tell(attempt: Attempt) -> None:
    """Names and numbers only, so that no text of a server's gets into the logs."""
    problem = None if attempt.error is None else type(attempt.error).__name__
    ms = round(attempt.elapsed * 1000)
    log.info(attempt.operation, number=attempt.number, status=attempt.status, problem=problem, ms=ms)


async def main() -> None:
    sandbox = Sandbox(seed=7)
    acme = sandbox.add_workspace("acme", agents=3)
    acme.fails(503)
    async with AsyncChatloom(acme.key, transport=sandbox.transport(), on_attempt=tell) as chatloom:
        await chatloom.list_agents()


if __name__ == "__main__":
    structlog.configure(processors=[structlog.processors.JSONRenderer()])
    asyncio.run(main())
