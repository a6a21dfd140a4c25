"""How many requests with which outcome, how long they took, and how many wait, for Prometheus. Here of a sandbox."""

import asyncio

from prometheus_client import Counter, Gauge, Histogram, generate_latest

from chatloom_async import AsyncChatloom, Attempt, Sandbox

REQUESTS = Counter("chatloom_requests", "Requests on the wire.", ["operation", "outcome"])
SECONDS = Histogram("chatloom_request_seconds", "How long one request takes.", ["operation"])
QUEUED = Gauge("chatloom_queued", "Calls that wait for the rate limit.")


def measure(attempt: Attempt) -> None:
    REQUESTS.labels(attempt.operation, attempt.status or type(attempt.error).__name__).inc()
    SECONDS.labels(attempt.operation).observe(attempt.elapsed)


async def main() -> None:
    sandbox = Sandbox(seed=7)
    acme = sandbox.add_workspace("acme", agents=3)
    acme.fails(503)
    async with AsyncChatloom(acme.key, transport=sandbox.transport(), on_attempt=measure) as chatloom:
        QUEUED.set_function(lambda: sum(limit.queued for limit in chatloom.limits.values()))
        await asyncio.gather(chatloom.list_agents(), chatloom.list_agents())
        print(generate_latest().decode())  # or prometheus_client.start_http_server(9100) for the life of a service


asyncio.run(main())
