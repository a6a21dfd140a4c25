"""How many calls of one workspace run side by side: one as long as that is as fast as the rate limit allows."""

import asyncio
import itertools
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from unittest.mock import Mock

import pytest

from chatloom_async import (
    ApiKey,
    AsyncChatloom,
    ConnectError,
    ListAgents,
    MockTransport,
    RateLimit,
    Request,
)
from chatloom_async.audit import Failure, Row, Workspace, audit
from chatloom_async.audit.lanes import Lanes, Pace
from chatloom_async.audit.reading import _is_slow
from chatloom_async.audit.rules import Judge
from chatloom_async.testing import VirtualClock
from tests.loop_time import LoopTime
from tests.samples import AGENT, DOMAINS, KEY, OTHER_KEY, answer, failure

LIMIT = RateLimit()


class Api:
    """Answers after so many seconds, lists so many agents, and knows how many requests it had at once."""

    def __init__(self, agents: int, seconds: float, **special: Any) -> None:
        self.clock, self.seconds, self.special = VirtualClock(), seconds, special
        self.ids = [f"agt_{number}" for number in range(agents)]
        self.inside = self.at_once = 0

    async def __call__(self, request: Request) -> Any:
        self.inside += 1
        self.at_once = max(self.at_once, self.inside)
        try:
            if not request.url.endswith("/allowed-domains"):
                await self.clock.sleep(self.seconds)
                agents = [{**AGENT, "id": agent_id} for agent_id in self.ids]
                return answer({"agents": agents, "count": len(agents)})
            seconds, result = self.special.get(request.url.split("/")[-2], (self.seconds, answer(DOMAINS)))
            await self.clock.sleep(seconds)
            if isinstance(result, BaseException):
                raise result
            return result
        finally:
            self.inside -= 1


async def read(api: Api, limit: Any = LIMIT, **options: Any) -> Row:
    """The row of the one workspace."""
    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(api), clock=api.clock, rate_limit=limit)
    rows = audit([Workspace("acme", ApiKey(KEY))], client=client, judge=Judge(()), **options)
    (row,) = [row async for row in rows]
    return row


def fastest(agents: int, seconds: float, limit: RateLimit = LIMIT) -> float:
    """Seconds in which that can be read at best: the list, a burst, then as the rate allows, and the last answer."""
    sent = agents + 1
    burst = 0.0 if agents == 0 else seconds
    return max(burst, (sent - limit.burst) / limit.per_second) + seconds


@pytest.mark.parametrize("agents", [0, 1, 7, 12, 40, 200])
@pytest.mark.parametrize(("seconds", "lanes"), [(0.001, 1), (0.05, 1), (0.2, 8), (1.0, 8)])
async def test_lanes_make_no_workspace_slower_than_the_rate_limit_does(seconds: float, lanes: int, agents: int) -> None:
    """But for the first eight calls, of which each may take 0.15 s more; and with slow answers, one answer's time."""
    api = Api(agents, seconds)
    row = await read(api)
    assert (row.state, len(row.agents), row.requests) == ("ok", agents, agents + 1)
    assert api.at_once <= lanes
    slack = 7 * seconds if lanes == 1 else seconds
    assert api.clock.time() <= fastest(agents, seconds) + slack
    if agents >= 40:
        assert api.clock.time() == pytest.approx(fastest(agents, seconds), abs=seconds)


@pytest.mark.parametrize("limit", [None, RateLimit(per_second=50.0, burst=8, concurrency=4)])
async def test_a_higher_limit_is_used(limit: RateLimit | None) -> None:
    """One lane with answers of 0.1 s would be slower than it."""
    api = Api(40, 0.1)
    assert (await read(api, limit)).state == "ok"
    lanes = limit.concurrency if limit else 8
    assert (api.at_once, api.clock.time()) == (lanes, pytest.approx(0.1 + 0.1 * math.ceil(40 / lanes), abs=0.15))


class OwnLimiter:
    """Lets everything pass."""

    async def acquire(self, key: str) -> None:
        return

    def release(self, key: str, outcome: str, retry_after: float | None = None) -> None:
        return


async def test_a_limiter_of_ones_own_is_taken_for_one_like_the_default() -> None:
    """What it allows is not known."""
    api = Api(10, 0.05)
    assert (await read(api, OwnLimiter())).state == "ok"
    assert api.at_once == 1


@pytest.mark.parametrize(
    "special", [(30.0, ConnectError("No answer", reason="unreachable")), (0.001, failure(503)), (30.0, answer(DOMAINS))]
)
async def test_one_agent_that_makes_trouble_does_not_hold_up_the_others(special: Any) -> None:
    """Whether it fails, is tried again, or only takes long: a second later, the others go on beside it."""
    api = Api(40, 0.01, agt_0=special)
    alone = Api(1, 0.01, agt_0=special)
    row, expected = await read(api, deadline=100.0), await read(alone, deadline=100.0)
    assert (row.agents[0], len(row.agents)) == (expected.agents[0], 40)
    assert all(agent.domains for agent in row.agents[1:])
    assert api.at_once > 1
    assert api.clock.time() <= max(alone.clock.time(), fastest(40, 0.01)) + 30.0


async def test_a_call_that_cancels_itself_is_one_agents_failure() -> None:
    """The others are read."""
    api = Api(3, 0.01, agt_1=(0.0, asyncio.CancelledError()))
    row = await read(api)
    assert [agent.error for agent in row.agents] == [None, Failure("CancelledError", "no message"), None]


@pytest.mark.parametrize(("seconds", "answers"), [(0.01, 4.5), (0.5, 1.5)])
async def test_a_refused_key_ends_the_workspace(seconds: float, answers: float) -> None:
    """In one lane or in several: nothing more is sent, and what is under way is cancelled; also if two are refused."""
    refused = seconds / 2, failure(401)
    api = Api(40, seconds, agt_3=refused, agt_4=refused)
    row = await read(api)
    assert (row.state, row.error and row.error.type) == ("partial", "AuthenticationError")
    assert sum(agent.domains is not None for agent in row.agents) == (3 if seconds < 0.15 else 0)
    assert (api.inside, api.clock.time()) == (0, pytest.approx(answers * seconds))


@pytest.mark.parametrize(("lag", "slow"), [(0.0, True), (1.0, True), (1.1, False), (5.0, False)])
async def test_an_answer_is_slow_by_the_seconds_before_it_came(
    monkeypatch: pytest.MonkeyPatch, lag: float, slow: bool
) -> None:
    """Of two seconds, one was the API's if the answer may have been there for the other."""
    clock = VirtualClock()

    async def handler(_: Request) -> Any:
        await clock.sleep(2.0)
        return answer({"agents": [], "count": 0})

    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(handler), clock=clock)
    monkeypatch.setattr(Pace, "lag", lag)
    assert _is_slow(await client.exchange(ListAgents()), 1.0, Pace()) is slow


async def test_a_pace_knows_how_late_the_loop_is(loop_time: LoopTime) -> None:
    """And allows fewer lanes the later it is; an answer may have come three steps of the loop ago."""
    pace = Pace()
    with pace, pace:
        for _ in range(4):
            await loop_time.pass_by(0.2)
        assert (pace.lanes(8), pace.lag) == (1, pytest.approx(0.4))
        for _ in range(20):
            await loop_time.pass_by(0.02)
        assert 1 < pace.lanes(8) < 8
        for _ in range(100):
            await loop_time.pass_by(0.01)
        assert (pace.lanes(8), pace.lag) == (8, pytest.approx(0.02))
    for _ in range(4):
        await loop_time.pass_by(0.2)
    assert pace.lanes(8) == 8, "nobody looks any more"


async def test_a_pace_can_have_a_coarse_clock(loop_time: LoopTime, monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of Windows, which moves every 16 ms: its timers may be called while the time is still the same."""
    loop, problems = asyncio.get_running_loop(), list[dict[str, Any]]()
    loop.set_exception_handler(lambda _, context: problems.append(context))
    monkeypatch.setattr(loop, "_clock_resolution", 0.1)
    pace = Pace()
    with pace:
        for _ in range(3):
            await loop_time.pass_by(0.0)
        for _ in range(4):
            await loop_time.pass_by(0.2)
    assert (problems, pace.lanes(8)) == ([], 1)


async def ends(api: Api) -> list[float]:
    """When each of three workspaces was read, one after the other."""
    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(api), clock=api.clock)
    workspaces = [Workspace(f"w{number}", ApiKey(f"{KEY}{number}")) for number in range(3)]
    return [api.clock.time() async for _ in audit(workspaces, client=client, judge=Judge(()), concurrency=1)]


async def test_a_slow_answer_opens_the_lanes_of_the_next_workspaces() -> None:
    """They need not find out by themselves: of eight answers, seven come at once."""
    assert await ends(Api(7, 0.2)) == pytest.approx([0.4, 0.8, 1.2])


async def test_a_list_counts_as_slow_later_than_an_answer_except_for_the_first() -> None:
    """It takes the connection's set-up, too. The first workspace cannot know that the other answers will be fast."""
    fast = dict.fromkeys((f"agt_{number}" for number in range(7)), (0.05, answer(DOMAINS)))
    assert await ends(Api(7, 0.25, **fast)) == pytest.approx([0.3, 0.9, 1.5])


async def test_a_busy_loop_opens_no_more_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    """More connections would only make it busier."""
    monkeypatch.setattr(Pace, "lanes", lambda *_: 1)
    api = Api(7, 0.5)
    assert (await read(api)).state == "ok"
    assert (api.at_once, api.clock.time()) == (1, pytest.approx(4.0))


async def test_lanes_that_are_cancelled_do_not_open_others() -> None:
    """Though their only call was stuck until then."""
    clock, begun = VirtualClock(), list[int]()

    async def read(item: int) -> int:
        begun.append(item)
        await asyncio.Event().wait()
        return 1  # pragma: no cover - it is cancelled

    looks = list[Callable[[], None]]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "call_later", lambda _, look: looks.append(look) or Mock())
        patch.setattr(clock, "time", itertools.count(0.0, 10.0).__next__)
        task = asyncio.create_task(Lanes(range(3), read, 3, clock, first=1).run())
        await asyncio.sleep(0.01)
        task.cancel()
        asyncio.get_running_loop().call_soon(looks[0])
        with pytest.raises(asyncio.CancelledError):
            await task
    assert begun == [0]


async def test_one_answer_that_does_not_come_holds_up_no_other() -> None:
    """While it is waited for, another lane reads the rest."""
    api = Api(20, 0.01, agt_0=(30.0, answer(DOMAINS)))
    row = await read(api)
    assert (row.state, len(row.agents)) == ("ok", 20)
    assert api.clock.time() < 31


async def test_lanes_may_be_told_to_stop_twice() -> None:
    """By a lane that ends with an error of its own while it is cancelled."""
    ended = list[int]()

    async def read(item: int) -> int:
        try:
            await asyncio.sleep(0 if item == 1 else 60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            if item == 0:
                await asyncio.sleep(0)
                raise
        finally:
            ended.append(item)
        return 0

    await asyncio.wait_for(Lanes(range(9), read, 3, VirtualClock(), first=3).run(), 5.0)
    assert sorted(ended) == [0, 1, 2]


async def test_a_lane_that_answers_its_cancellation_hides_no_other() -> None:
    """It says that there is nothing more to do, after all lanes were cancelled from outside."""
    both = asyncio.Barrier(3)

    async def read(item: int) -> int:
        try:
            await both.wait()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if item == 0:
                raise
        return 0

    task = asyncio.create_task(Lanes(range(5), read, 2, VirtualClock(), first=2).run())
    await both.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def stopped(call: Callable[[], Awaitable[object]]) -> int:
    """Of two lanes, the first makes the call and then waits, and the second stops both. Returns how often the task is
    asked to end afterwards."""
    waits = asyncio.Event()

    async def read(item: int) -> int:
        if item == 0:
            await call()
        elif item == 1:
            await waits.wait()
            return 0
        else:
            waits.set()
            await asyncio.Event().wait()
        return 1

    await Lanes(range(9), read, 2, VirtualClock(), first=2).run()
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def nothing() -> None:
    """A call."""


async def test_lanes_stop_although_a_call_has_left_a_cancellation_behind() -> None:
    """As code does that ends its own wait by cancelling the task, and does not take that back."""

    async def leaving() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    assert await asyncio.create_task(stopped(leaving)) == 1
    assert await asyncio.create_task(stopped(nothing)) == 0


async def test_lanes_that_stop_do_not_hide_a_cancellation_that_comes_with_it() -> None:
    """The caller is told."""
    waits = asyncio.Event()

    async def read(item: int) -> int:
        if item == 1:
            await waits.wait()
            task.cancel()
        else:
            waits.set()
            await asyncio.Event().wait()
        return 0

    task = asyncio.create_task(Lanes(range(2), read, 2, VirtualClock(), first=2).run())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_a_call_that_cancels_the_task_of_its_lane_ends_all() -> None:
    """An item that nobody has read must not be taken for one that is not there."""

    async def read(item: int) -> int:
        task = asyncio.current_task()
        assert task is not None
        if item == 1:
            task.cancel()
        await asyncio.sleep(0)
        return 1

    with pytest.raises(asyncio.CancelledError, match="a call has cancelled the task that it ran in"):
        await Lanes(range(5), read, 2, VirtualClock(), first=2).run()
