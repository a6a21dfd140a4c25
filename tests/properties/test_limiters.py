"""What must leave no trace in a key's pace: calls that were cancelled before they were sent, and calls with other keys.

Each schedule runs on a virtual clock, with them and without them; everything else must leave at the same moments.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from math import inf

from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from chatloom_async import RateLimit
from chatloom_async.policy.limiter import KeyedLimiter, PermitOutcome
from tests.properties.virtual_loop import START, VirtualLoop

RAN: Counter[str] = Counter()
EDGE = 1e-6
AT_ONCE = 1e-10  # within the resolution of the event loop: in the same round, before or behind


@frozen
class Visit:
    """A call as the limiter sees it: it comes at `comes`, and holds its permit for `lasts` seconds.

    It is given up after `patience` seconds, if it was not sent by then.
    """

    number: int
    key: str
    comes: float
    lasts: float
    outcome: PermitOutcome
    patience: float


@st.composite
def visits(draw: st.DrawFn) -> list[Visit]:
    """Some calls in the order in which they come. No two things happen at one moment, so that order decides nothing."""
    seconds = st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0])
    outcomes: st.SearchStrategy[PermitOutcome] = st.sampled_from(["succeeded", "failed", "throttled"])
    patience = st.sampled_from([inf, inf, 0.0, 0.05, 0.7, 2.0])
    schedule, now = [], 0.0
    for number in range(draw(st.integers(4, 16))):
        now += draw(seconds) + 1e-4
        lasts = draw(seconds) + (number + 1) * 1.0371e-3  # not when a token comes either
        schedule.append(Visit(number, draw(st.sampled_from("aab")), now, lasts, draw(outcomes), draw(patience)))
    return schedule


LIMITS = st.builds(
    RateLimit, per_second=st.sampled_from([0.5, 2.0]), burst=st.integers(1, 3), concurrency=st.integers(1, 3)
)
STRATEGIES = (LIMITS, visits(), st.integers(0, 99))


def departures(limit: RateLimit, schedule: Sequence[Visit], given_up: dict[int, float]) -> dict[int, float]:
    """The moments at which requests leave, by number; `given_up` says when, for those that do not follow `patience`."""
    loop, moments = VirtualLoop(), dict[int, float]()
    limiter = KeyedLimiter(limit, loop)

    async def call(visit: Visit) -> None:
        await limiter.acquire(visit.key)
        moments[visit.number] = loop.time() - START
        await asyncio.sleep(visit.lasts)
        limiter.release(visit.key, visit.outcome, visit.lasts if visit.outcome == "throttled" else None)

    def begin(visit: Visit) -> None:
        task = loop.create_task(call(visit))
        until = given_up.get(visit.number, visit.comes + visit.patience)
        if until < inf:
            loop.call_at(START + until, lambda: visit.number in moments or task.cancel())

    for visit in schedule:
        loop.call_at(START + visit.comes, begin, visit)
    loop.pass_time(3600.0)
    loop.end()
    assert {(state.in_flight, state.queued) for state in limiter.states().values()} <= {(0, 0)}
    return moments


def traces(limit: RateLimit, schedule: Sequence[Visit], given_up: dict[int, float]) -> dict[int, tuple[float, ...]]:
    """Who leaves at another moment than without the unsent and the other key; by number, both moments."""
    moments = departures(limit, schedule, given_up)
    sent = [visit for visit in schedule if visit.number in moments]
    found = dict[int, tuple[float, ...]]()
    for key in "ab":
        own = [visit for visit in sent if visit.key == key]
        alone = departures(limit, own, {})
        pairs = {each.number: (moments[each.number], alone.get(each.number, inf)) for each in own}
        found |= {number: pair for number, pair in pairs.items() if abs(pair[0] - pair[1]) >= EDGE}
    return found


@settings(max_examples=50, deadline=None)
@given(*STRATEGIES)
def test_what_was_not_sent_and_other_keys_leave_no_trace(limit: RateLimit, schedule: list[Visit], which: int) -> None:
    """Given up in the queue at any moment; then, one of those that left, at the very moment of its turn."""
    assert traces(limit, schedule, {}) == {}
    if moments := departures(limit, schedule, {}):
        victim = sorted(moments)[which % len(moments)]
        for shift in (-AT_ONCE, AT_ONCE):
            assert traces(limit, schedule, {victim: moments[victim] + shift}) == {}
    RAN["limiters"] += 1
