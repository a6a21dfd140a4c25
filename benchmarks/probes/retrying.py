"""What the retry machinery costs a call that succeeds at once, and what entering tenacity on every call would cost."""

import asyncio

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from chatloom_async import AsyncChatloom, ChatloomError, RetryPolicy

from ..answers import KEY
from ..arms.chatloom import UNREACHED
from ..timing import calls_in_turns, difference, medians
from .null import NullTransport

WITH, WITHOUT, ENTERED = "whole call on a null transport, us", "the same with retry=None, us", "tenacity entered"


def measure(rounds: int) -> dict[str, float]:
    """Microseconds per call, from so many rounds of 100 calls."""
    return asyncio.run(_measure(rounds))


async def _measure(rounds: int) -> dict[str, float]:
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(ChatloomError), stop=stop_after_attempt(3), wait=wait_random_exponential()
    )
    async with AsyncChatloom(KEY, transport=NullTransport(), rate_limit=UNREACHED, retry=RetryPolicy()) as client:
        single = client.with_options(retry=None)

        async def entered() -> object:
            return await retrying.copy()(single.list_agents)

        pieces = {WITH: client.list_agents, WITHOUT: single.list_agents, ENTERED: entered}
        samples = await calls_in_turns(pieces, batch=100, rounds=rounds)
    return {
        "retry machinery, us": difference(samples, WITH, WITHOUT),
        "tenacity entered on every call, us": difference(samples, ENTERED, WITHOUT),
    } | medians({name: samples[name] for name in (WITH, WITHOUT)})
