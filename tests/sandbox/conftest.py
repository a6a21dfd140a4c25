"""A sandbox, and one function to ask it through each of its skins, so that every scenario runs against all of them."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
import pytest

from chatloom_async.sandbox import Sandbox, SandboxWorkspace
from chatloom_async.wire.auth import ApiKey
from tests.sandbox.skins import SKINS, Ask, Clock, bearer


@pytest.fixture
def clock() -> Clock:
    """A clock for the rate limit, and a sleep for slow answers."""
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Sandbox:
    """A sandbox with nothing wrong in its data, on a clock that the test moves."""
    return Sandbox(seed=7, trouble=0, clock=clock, sleep=clock.sleep)


@pytest.fixture
def acme(sandbox: Sandbox) -> SandboxWorkspace:
    """A workspace with two agents that nobody has changed."""
    return sandbox.add_workspace("acme", agents=2)


@pytest.fixture(params=SKINS)
async def ask(request: pytest.FixtureRequest, sandbox: Sandbox) -> AsyncIterator[Ask]:
    """Asks the sandbox through one of its skins; the answer is (status, JSON), or "cut" or "lost".

    Header names given as `seen` are added to the answer with their values.
    """
    async with SKINS[request.param](sandbox) as send:

        async def ask(
            path: str, headers: Mapping[str, str] | ApiKey, *seen: str, method: str = "GET"
        ) -> tuple[Any, ...] | str:
            answer = await send(method, path, bearer(headers) if isinstance(headers, ApiKey) else headers)
            if isinstance(answer, str):
                return answer
            status, received, body = answer
            is_json = received.get("Content-Type") == "application/json" and body
            return status, orjson.loads(body) if is_json else body, *(received.get(name) for name in seen)

        yield ask
