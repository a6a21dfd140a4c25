"""An outage of the API: what the client adds to it."""

import asyncio

import pytest

from chatloom_async import AsyncChatloom, MockTransport, ServerError
from chatloom_async.testing import VirtualClock
from tests.samples import KEY, failure


@pytest.mark.parametrize("at_once", [1, 50, 500])
async def test_retries_add_little_to_an_outage(at_once: int) -> None:
    """500 calls with 50 keys, all answered with a 500, make 535 requests: what the budget holds is 35 retries."""
    transport = MockTransport(lambda _: failure(500))
    client = AsyncChatloom(KEY, transport=transport, rate_limit=None, clock=VirtualClock())
    clones = [client.with_key(f"clf_key{number}") for number in range(50)]
    ended: list[object] = []
    for first in range(0, 500, at_once):
        calls = (clones[number % 50].list_agents() for number in range(first, first + at_once))
        ended += await asyncio.gather(*calls, return_exceptions=True)
    assert (len(ended), {type(each) for each in ended}, len(transport.requests)) == (500, {ServerError}, 535)
