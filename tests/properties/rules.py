"""What must hold of everything that a world has seen: each rule is a function that fails where it does not hold.

The rules are written from what the client promises, not from how it keeps it. EDGE allows for rounding, and for the
grain in which the client's time limits ring.
"""

import asyncio
from collections import Counter, defaultdict

from chatloom_async import AllowedDomains, Attempt, ChatloomError, ClientClosedError, ConnectionLostError
from chatloom_async.policy.lifetime import MIN_INTERVAL
from chatloom_async.policy.retry import COST
from tests.properties.surroundings import KEYS, Sent
from tests.properties.world import ORIGIN, Call, World

EDGE = 1e-6
LATE = MIN_INTERVAL + EDGE
MAX_RETRY_AFTER = 86_400.0


def no_call_outlives_its_deadline(world: World) -> None:
    """Neither one that is over nor one that is under way."""
    for call in world.calls:
        elapsed = (call.ended or world.loop.time()) - call.began
        assert call.deadline is None or elapsed <= call.deadline + LATE, (call, elapsed)


def a_cancelled_call_ends_at_once_and_as_cancelled(world: World) -> None:
    """No retry, no wait and no error of ours takes the place of a cancellation, nor does one come from nowhere."""
    for call in world.calls:
        is_cancelled = call.task.done() and call.task.cancelled()
        assert is_cancelled is (call.cancelled is not None), call
        assert call.ended == call.cancelled or not is_cancelled, call


def every_answer_is_its_own_calls(world: World) -> None:
    """An answer names the key and the agent that it was given to; what fails, fails by an error of this package."""
    for call in world.calls:
        if call.task.done() and not call.task.cancelled():
            result = call.result
            own = AllowedDomains((f"{call.name}.{call.agent}",))
            assert result == own or isinstance(result, ChatloomError), (call, result)
            assert isinstance(result, ClientClosedError) or call.attempts, call


def at_most_burst_and_rate_leave_in_any_window(world: World) -> None:
    """Counted where requests arrive, for each key, between any two of them."""
    for name in KEYS:
        moments = [sent.at for sent in world.server.sent if sent.name == name]
        for first, begin in enumerate(moments):
            for last in range(first, len(moments)):
                allowed = world.limit.burst + world.limit.per_second * (moments[last] - begin)
                assert last - first + 1 <= allowed + EDGE, (name, begin, moments[last])
        assert world.server.most[name] <= world.limit.concurrency


def first_come_first_served(world: World) -> None:
    """Who asked earlier is never still waiting for a permit after the moment at which a later one got theirs."""
    for turns in world.limiter.turns.values():
        longest = 0.0
        for turn in turns:
            assert turn.granted is None or turn.granted >= longest - EDGE, turns
            longest = max(longest, turn.left)


def a_429_closes_the_gate_of_its_key(world: World) -> None:
    """Until Retry-After, or for a second where there is none, nothing leaves with that key."""
    by_key: dict[str, list[Sent]] = defaultdict(list)
    for sent in world.server.sent:
        by_key[sent.name].append(sent)
    for history in by_key.values():
        for refused in history:
            if refused.answer.kind == 429 and refused.answered is not None:
                asked = refused.answer.retry_after
                opens = refused.answered + (1.0 if asked is None else min(asked, MAX_RETRY_AFTER))
                early = [each for each in history if refused.answered < each.at < opens - EDGE]
                assert not early, (refused, early)


def no_attempt_comes_before_retry_after(world: World) -> None:
    """Whatever status asked for it; and attempts follow one another, from the call's beginning on."""
    for call in world.calls:
        earliest = 0.0
        for number, attempt in enumerate(call.attempts, 1):
            assert attempt.number == number
            assert attempt.started >= earliest - EDGE, call
            earliest = attempt.started + attempt.waited + attempt.elapsed
            earliest += getattr(attempt.error, "retry_after", None) or 0.0


def retries(call: Call) -> list[Attempt]:
    """The failed attempts that were followed by another one."""
    return call.attempts[:-1]


def is_free(attempt: Attempt, call: Call) -> bool:
    """Whether it is the first transient failure of its call, and looks like a stale connection."""
    error = attempt.error
    earlier = [each for each in call.attempts if each.number < attempt.number and kind(each) == kind(attempt)]
    return isinstance(error, ConnectionLostError) and not error.received and not earlier


def kind(attempt: Attempt) -> str:
    """How a repeat is paid for: "transient", "throttle" and so on."""
    return attempt.error.kind if isinstance(attempt.error, ChatloomError) else ""


def calls_make_as_many_attempts_as_the_policy_says(world: World) -> None:
    """Counted by kind of failure; and only failures that a repeat can cure are repeated."""
    most = {"once": 2, "transient": world.policy.attempts, "throttle": world.policy.throttle_attempts}
    for call in world.calls:
        for what, times in Counter(map(kind, retries(call))).items():
            assert times < most.get(what, 1), call


def retries_stay_within_the_budget(world: World) -> None:
    """Never below empty or above full; and all that was spent is covered by what was there and what was earned."""
    transient, throttle = world.budgets
    scopes = [(transient, ORIGIN), *((throttle, key.fingerprint) for key in KEYS.values())]
    for budget, scope in scopes:
        assert 0.0 <= budget.left(scope) <= world.capacity, (scope, budget.left(scope))
    for what, names in (("transient", list(KEYS)), *(("throttle", [name]) for name in KEYS)):
        spent, earned = 0.0, 0.0
        for call in world.calls:
            if call.name in names:
                paid = [each for each in retries(call) if kind(each) == what and not is_free(each, call)]
                spent += COST[what] * len(paid)  # type: ignore[index]
                earned += max(COST[what] if paid else 0.0, 1.0)  # type: ignore[index]
        assert spent <= world.capacity + earned + EDGE, (what, names, spent, earned)


def nothing_is_left_behind(world: World) -> None:
    """When all calls are over, no permit is out, nobody waits, no time limit runs, and a burst leaves at once."""
    assert {(state.in_flight, state.queued) for state in world.limiter.states().values()} <= {(0, 0)}
    assert not world.client._shared.lifetime._limits
    assert not asyncio.all_tasks(world.loop)
    world.loop.pass_time(2 * MAX_RETRY_AFTER)  # longer than any pause
    world.server.scripts.clear()
    world.server.usual.clear()
    before = len(world.server.sent)
    burst = min(world.limit.burst, world.limit.concurrency)
    for _ in range(burst):
        world.call("anna", None)
    world.loop.settle()
    assert len(world.server.sent) == before + burst
    world.finish()


ALWAYS = (no_call_outlives_its_deadline, a_cancelled_call_ends_at_once_and_as_cancelled)
IN_THE_END = (
    *ALWAYS,
    every_answer_is_its_own_calls,
    at_most_burst_and_rate_leave_in_any_window,
    first_come_first_served,
    a_429_closes_the_gate_of_its_key,
    no_attempt_comes_before_retry_after,
    calls_make_as_many_attempts_as_the_policy_says,
    retries_stay_within_the_budget,
)
