"""Clients in two processes, stood for by two clients in one, on a shared limiter."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from chatloom_async import AsyncChatloom, DeadlineExceededError, RateLimit, RateLimitError, Sandbox
from chatloom_async.contrib.redis import RedisLimiter, RedisUnavailableError
from tests.contrib.redis.server import RedisServer, free_port
from tests.samples import KEY


async def test_a_429_holds_back_the_other_client(server: RedisServer) -> None:
    """One process is told to wait; the other does not even ask. What it gave up leaves no trace."""
    sandbox = Sandbox(seed=7)
    acme = sandbox.add_workspace("acme", agents=1)
    acme.fails(429, retry_after=30)
    async with RedisLimiter(server.url) as one, RedisLimiter(server.url) as other:
        first = AsyncChatloom(acme.key, transport=sandbox.transport(), rate_limit=one, retry=None)
        second = AsyncChatloom(acme.key, transport=sandbox.transport(), deadline=0.1).with_options(rate_limit=other)
        with pytest.raises(RateLimitError):
            await first.list_agents()
        with pytest.raises(DeadlineExceededError):
            await second.list_agents()
        state = await one.state(acme.key)
    assert (acme.requests, state.in_flight, state.queued, round(state.rate, 2)) == (1, 0, 0, 2.8)
    name = one.fingerprint(acme.key)
    assert sorted(server.client.keys()) == [f"chatloom:{{{name}}}:state"]  # type: ignore[type-var, arg-type]


async def test_calls_succeed(server: RedisServer) -> None:
    """More calls than the burst, through two clients; all succeed, and no slot stays taken."""
    sandbox = Sandbox(seed=7)
    acme = sandbox.add_workspace("acme", agents=3)
    limit = RateLimit(per_second=200.0, burst=2)
    async with RedisLimiter(server.url, limit) as one, RedisLimiter(server.url, limit) as other:
        clients = [AsyncChatloom(acme.key, transport=sandbox.transport(), rate_limit=each) for each in (one, other)]
        assert [len(await client.list_agents()) for client in clients * 4] == [3] * 8
    assert server.client.zcard(f"chatloom:{{{one.fingerprint(acme.key)}}}:flights") == 0


async def test_without_redis_and_without_a_share() -> None:
    """The call fails as one that could not connect: nothing was sent, and the history says so."""
    sandbox = Sandbox(seed=7)
    acme = sandbox.add_workspace("acme")
    limiter = RedisLimiter(f"redis://127.0.0.1:{free_port()}", share=None, retry_every=60.0)
    client = AsyncChatloom(acme.key, transport=sandbox.transport(), rate_limit=limiter, retry=None)
    async with limiter:
        with pytest.raises(RedisUnavailableError) as caught:
            await client.list_agents()
    assert (acme.requests, len(caught.value.attempts), caught.value.stop_reason) == (0, 1, "disabled")


async def test_the_documentation_shows_how_several_processes_share_a_limit(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block runs as it stands, but for the server's address."""
    page = (Path(__file__).parents[3] / "examples" / "README.md").read_text("utf-8")
    (block,) = (text for text in re.findall(r"^```py\n(.*?)^```$", page, re.MULTILINE | re.DOTALL) if "Redis" in text)
    monkeypatch.setenv("CHATLOOM_API_KEY", KEY)
    names: dict[str, Any] = {}
    code = compile(block.replace("redis://localhost", server.url), "page", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    await eval(code, names)
    assert isinstance(names["limiter"], RedisLimiter)
