"""Many keys over real connections that break in every way: no answer ever reaches another key, or another call's hands.

An answer that was sent unasked may reach the same key's call that was just sent, as documented: it names that key all
the same.
"""

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from chatloom_async import (
    AiohttpTransport,
    AllowedDomains,
    AsyncChatloom,
    ChatloomError,
    RetryPolicy,
    Timeouts,
)
from chatloom_async.transports.aiohttp.connection import WatchedConnection
from tests.faults.mixed import FAULTS, Mix
from tests.faults.rows import PURE_PYTHON
from tests.raw_server import RawServer

RAN: Counter[str] = Counter()
QUICK = RetryPolicy(base=0.001, throttle_base=0.001)
TIMEOUTS = Timeouts(connect=5.0, read=5.0, attempt=10.0)
PROMPT = sorted(set(FAULTS) - {"slow"})
NAMES = ["well"] * 5 + PROMPT
MIXES = st.builds(
    Mix,
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=6),
    seed=st.integers(0, 2**16),
    unasked=st.sampled_from([0.0, 0.0, 0.5]),
)
STRATEGIES = (MIXES, st.integers(1, 6), st.integers(1, 4))


async def answers(mix: Mix, keys: int, rounds: int, **options: Any) -> list[tuple[str, str, Any]]:
    """What each call gets: several rounds of calls with all keys at once."""
    transport, got = AiohttpTransport(**options), []
    async with RawServer(mix) as server:
        common: dict[str, Any] = {"rate_limit": None, "retry": QUICK, "timeouts": TIMEOUTS, "transport": transport}
        client = AsyncChatloom("clf_key0", base_url=server.url, **common)
        for number in range(rounds):
            turn = [(number + place) % keys for place in range(keys)]  # else each key might find its own connection
            names = [(f"clf_key{key}", f"agt_{number}_{key}") for key in turn]
            calls = [client.with_key(key).get_allowed_domains(agent) for key, agent in names]
            results = await asyncio.gather(*calls, return_exceptions=True)
            got += [(key, agent, result) for (key, agent), result in zip(names, results, strict=True)]
            if mix.unasked:
                await asyncio.sleep(0.01)  # so that what is sent unasked has arrived
        await client.aclose()
        await transport.aclose()
    return got


def mixed_up(got: list[tuple[str, str, Any]], *, unasked: bool) -> list[tuple[str, str, Any]]:
    """The calls that got what was not theirs; where answers come `unasked`, only the key can tell."""
    wrong = []
    for key, agent, result in got:
        if isinstance(result, AllowedDomains):
            if result.domains[0] != key or not (unasked or result.domains[1] == agent):
                wrong.append((key, agent, result))
        elif not isinstance(result, ChatloomError):
            wrong.append((key, agent, result))
    return wrong


@settings(max_examples=20, deadline=None, phases=[Phase.explicit, Phase.generate])  # time is real: do not shrink
@given(*STRATEGIES)
def test_each_answer_is_for_its_own_key_and_call(mix: Mix, keys: int, rounds: int) -> None:
    """Whatever mix of faults the keys meet; every call ends with its own answer or with an error of this package."""
    got = asyncio.run(answers(mix, keys, rounds))
    assert (mixed_up(got, unasked=bool(mix.unasked)), len(got)) == ([], keys * rounds)
    RAN["isolation"] += 1


async def test_the_check_would_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """If keys shared connections that are kept in spite of unasked answers, these would reach other keys."""
    monkeypatch.setattr(WatchedConnection, "rest", lambda _: None)
    got = await answers(Mix(["well"], unasked=1.0), 3, 4, share_connections=True)
    assert mixed_up(got, unasked=True) != []


@pytest.mark.parametrize("name", PROMPT)
async def test_every_fault_of_the_mix_happens(name: str) -> None:
    """A call that meets it alone ends as it should: with the answer or by an error."""
    ((_, _, result),) = await answers(Mix([name]), 1, 1)
    good = {"well", "chunked", "gzip", "in pieces", "until the end", *(["too much"] if PURE_PYTHON else [])}
    assert isinstance(result, AllowedDomains) is (name in good), result
