"""How many requests a client has in flight over all of its keys."""

import asyncio
from contextlib import suppress
from weakref import WeakSet

import pytest

from chatloom_async import AsyncChatloom, MockTransport, Request, Response
from chatloom_async.policy import forks
from chatloom_async.policy.concurrency import MAX_IN_FLIGHT, ClientLimiter, ConcurrencyLimit, Slots
from chatloom_async.policy.limiter import KeyedLimiter, PermitOutcome, RateLimit, Unlimited
from chatloom_async.testing import VirtualClock
from tests.samples import KEY, api


async def test_no_more_than_256_requests_are_in_flight_however_many_are_made() -> None:
    """A thousand calls at once, without a rate limit, keep to the gate; all of them are answered."""
    now = most = 0

    async def handler(request: Request) -> Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return api(request)

    client = AsyncChatloom(KEY, transport=MockTransport(handler), rate_limit=None)
    clones = [client, client.with_key("clf_other"), client.with_options(deadline=None)]
    lists = await asyncio.gather(*(clones[number % 3].list_agents() for number in range(1000)))
    assert (len(lists), most) == (1000, MAX_IN_FLIGHT)


async def test_a_call_cancelled_at_the_gate_gives_its_permit_back() -> None:
    """It was not sent, so its key has lost nothing."""
    limiter = KeyedLimiter(RateLimit(per_second=1.0, burst=2), VirtualClock())
    gated = ClientLimiter(limiter, ConcurrencyLimit(1))
    permit = await gated.acquire("a", asyncio.get_running_loop())
    waiting = asyncio.create_task(gated.acquire("b", asyncio.get_running_loop()))
    await asyncio.sleep(0)
    assert limiter.states()["b"].in_flight == 1
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert limiter.states()["b"].in_flight == 0
    permit.release("succeeded")
    await gated.acquire("b", asyncio.get_running_loop())
    assert {key: state.in_flight for key, state in gated.states().items()} == {"a": 0, "b": 1}


async def test_a_call_that_waits_at_the_gate_heeds_a_429_of_its_key() -> None:
    """It has had its turn, but not been sent: so it waits until Retry-After like those behind it."""
    clock = VirtualClock()
    gated = ClientLimiter(KeyedLimiter(RateLimit(), clock), ConcurrencyLimit(2))
    permit = await gated.acquire("a", asyncio.get_running_loop())
    await gated.acquire("b", asyncio.get_running_loop())
    waiting = asyncio.create_task(gated.acquire("a", asyncio.get_running_loop()))
    await asyncio.sleep(0)
    permit.release("throttled", 30.0)
    await waiting
    assert clock.time() == 30.0
    assert {key: state.in_flight for key, state in gated.states().items()} == {"a": 1, "b": 1}


async def test_every_place_can_be_taken_again() -> None:
    """However many have left."""
    slots = Slots(3)
    for _ in range(2):
        assert [slots.take() for _ in range(4)] == [True, True, True, False]
        for _ in range(3):
            slots.leave()


class Recorded(Unlimited):
    """A limiter that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def release(self, key: str, outcome: PermitOutcome, retry_after: float | None = None) -> None:
        self.told.append((key, outcome, retry_after))


async def test_a_permit_that_was_not_used_is_called_unused() -> None:
    """Not failed: nothing was sent."""
    limiter = Recorded()
    gated, loop = ClientLimiter(limiter, ConcurrencyLimit(1)), asyncio.get_running_loop()
    permit = await gated.acquire("a", loop)
    waiting = asyncio.create_task(gated.acquire("b", loop))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    permit.release("throttled", 3.0)
    assert limiter.told == [("b", "unused", None), ("a", "throttled", 3.0)]


async def test_a_limiter_that_raises_costs_no_place() -> None:
    """One of the user's, whose store is gone: the error comes out, and there is a slot for the next call."""

    class Broken(Unlimited):
        def release(self, key: str, outcome: PermitOutcome, retry_after: float | None = None) -> None:
            raise OSError("the store is gone")

    gated, loop = ClientLimiter(Broken(), ConcurrencyLimit(1)), asyncio.get_running_loop()
    for _ in range(2):
        with pytest.raises(OSError, match="store is gone"), await gated.acquire("a", loop):
            pass


async def test_a_429_at_the_gate_takes_no_token_of_its_key() -> None:
    """The turn that is over was not used, so it can be had again at once when the pause ends."""
    clock = VirtualClock()
    limiter = KeyedLimiter(RateLimit(per_second=0.01, burst=2), clock)
    gated, loop = ClientLimiter(limiter, ConcurrencyLimit(1)), asyncio.get_running_loop()
    permit = await gated.acquire("a", loop)
    waiting = asyncio.create_task(gated.acquire("a", loop))
    await asyncio.sleep(0)
    permit.release("throttled", 30.0)
    await waiting
    assert clock.time() == 30.0


def test_a_loop_that_was_closed_with_calls_under_way_takes_no_place_of_the_next() -> None:
    """Each event loop has the whole width."""
    gate = ConcurrencyLimit(1)

    async def enter() -> bool:
        return gate.slots(asyncio.get_running_loop()).take()

    assert [asyncio.run(enter()) for _ in range(3)] == [True, True, True]


async def test_a_loop_keeps_its_places_while_another_has_its_own() -> None:
    """What was taken in one is still taken when that loop is asked for again."""
    gate, other, here = ConcurrencyLimit(1), asyncio.new_event_loop(), asyncio.get_running_loop()
    assert [gate.slots(here).take(), gate.slots(other).take(), gate.slots(here).take()] == [True, True, False]
    other.close()


def test_the_gate_works_in_event_loops_one_after_the_other() -> None:
    """Also where the first of them had to wait for it."""
    gated = ClientLimiter(Unlimited(), ConcurrencyLimit(1))

    async def two() -> None:
        async def one() -> None:
            with await gated.acquire("a", asyncio.get_running_loop()):
                await asyncio.sleep(0)

        await asyncio.gather(one(), one())

    asyncio.run(two())
    asyncio.run(two())
    assert gated.states() == {}


def test_a_permit_can_be_given_back_when_the_loop_is_gone() -> None:
    """As when a call that a closed loop left behind is only now collected: its key gets the permit back."""
    limiter = KeyedLimiter(RateLimit(), VirtualClock())
    gated = ClientLimiter(limiter, ConcurrencyLimit(1))
    loop = asyncio.new_event_loop()
    permit = loop.run_until_complete(gated.acquire("a", loop))
    waiting = loop.create_task(gated.acquire("b", loop))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    permit.release("failed")
    with suppress(RuntimeError):
        waiting.get_coro().close()  # what waited for a slot is collected, too
    assert [state.in_flight for state in limiter.states().values()] == [0, 0]


async def test_places_are_handed_on_in_the_order_in_which_they_were_asked_for() -> None:
    """While somebody waits, nobody else finds a free one."""
    slots, entered = Slots(1), list[int]()

    async def enter(number: int) -> None:
        await slots.wait()
        entered.append(number)

    assert slots.take()
    waiting = [asyncio.create_task(enter(number)) for number in range(3)]
    await asyncio.sleep(0)
    for _ in waiting:
        slots.leave()
        assert not slots.take()
    await asyncio.gather(*waiting)
    assert entered == [0, 1, 2]
    slots.leave()
    assert slots.take()
    assert not slots.take()


@pytest.mark.parametrize("first", ["cancelled", "handed a place"])
async def test_a_place_survives_whoever_is_cancelled_while_it_is_handed_on(first: str) -> None:
    """One that is cancelled is passed over, one that had just been handed a place hands it on; there is one in all."""
    slots = Slots(1)
    assert slots.take()
    cancelled, patient = (asyncio.create_task(slots.wait()) for _ in range(2))
    await asyncio.sleep(0)
    steps = [cancelled.cancel, slots.leave]
    for step in steps if first == "cancelled" else reversed(steps):
        step()
    await patient
    assert cancelled.cancelled()
    assert not slots.take()
    slots.leave()
    assert [slots.take(), slots.take()] == [True, False]


async def test_a_permit_of_the_parent_is_not_the_childs_in_a_child_of_a_child_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each fork counts."""
    monkeypatch.setattr(forks, "_states", WeakSet())
    monkeypatch.setattr(forks, "count", 1)  # this is a child already
    limiter = KeyedLimiter(RateLimit(), VirtualClock())
    client = ClientLimiter(limiter, ConcurrencyLimit(1))
    inherited = await client.acquire("a", asyncio.get_running_loop())
    forks._after_fork()
    await client.acquire("a", asyncio.get_running_loop())
    inherited.release("succeeded")
    assert limiter.states()["a"].in_flight == 1
