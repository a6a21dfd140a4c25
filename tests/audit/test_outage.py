"""What an audit does while the API is down: it pauses, probes, and goes on."""

from typing import Any

from chatloom_async import ApiKey, AsyncChatloom, MockTransport, Request, RetryPolicy
from chatloom_async.audit import Row, Workspace, audit
from chatloom_async.testing import VirtualClock
from tests.samples import KEY, OTHER_KEY, answer, failure

EMPTY: dict[str, Any] = {"agents": [], "count": 0}
WORKSPACES = [Workspace(f"w{number:03}", ApiKey(f"{KEY}{number}")) for number in range(200)]
PATIENT = RetryPolicy(attempts=6, random=lambda: 0.5)


class Api:
    """Is down until a moment of the clock, and counts the requests until then. Later, an answer takes its time."""

    def __init__(self, clock: VirtualClock, until: float, takes: float) -> None:
        self.clock, self.until, self.takes, self.refused = clock, clock.time() + until, takes, 0

    async def __call__(self, request: Request) -> Any:
        if self.clock.time() >= self.until:
            await self.clock.sleep(self.takes)
            return answer(EMPTY)
        self.refused += 1
        return failure(503)


async def outcome(until: float, patience: float = 900.0, takes: float = 0.0) -> tuple[list[Row], Api, list[float]]:
    """The rows of an audit of two hundred workspaces, of an API that is down for so many seconds."""
    clock, pauses = VirtualClock(), list[float]()
    api = Api(clock, until, takes)
    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(api), clock=clock)
    rows = audit(WORKSPACES, client=client, patience=patience, on_pause=pauses.append, retry=PATIENT)
    return [row async for row in rows], api, pauses


async def test_an_outage_is_waited_out_and_costs_no_workspace() -> None:
    """One workspace is tried again every 15 s, and the others wait for it, so that there is no storm."""
    rows, api, pauses = await outcome(until=100)
    assert sorted(row.workspace for row in rows) == [each.name for each in WORKSPACES]
    assert {row.state for row in rows} == {"ok"}
    assert pauses == [15.0] * 7
    assert api.refused < 110
    assert api.clock.time() < 120


async def test_after_an_outage_those_that_it_starved_are_read_at_once() -> None:
    """Beside each other: one after the other, at a second each, they would take half a minute more."""
    rows, api, pauses = await outcome(until=100, takes=1.0)
    assert ({row.state for row in rows}, len(rows), pauses) == ({"ok"}, 200, [15.0] * 7)
    assert api.clock.time() < 115


async def test_patience_ends() -> None:
    """What cannot be read by then is failed, at once and with one request each; nothing is waited for any more."""
    rows, api, pauses = await outcome(until=1e9, patience=40)
    assert {(row.workspace, row.state) for row in rows} == {(each.name, "failed") for each in WORKSPACES}
    assert pauses == [15.0, 15.0, 10.0]
    assert "the retry budget is used up" in str(rows[-1].error)
    assert api.clock.time() < 70


async def test_a_few_failures_are_no_outage() -> None:
    """They are retried, and nothing is paused."""
    clock, pauses = VirtualClock(), list[float]()
    failing = [failure(503)] * 20
    transport = MockTransport(lambda _: failing.pop() if failing else answer(EMPTY))
    client = AsyncChatloom(OTHER_KEY, transport=transport, clock=clock)
    rows = [row async for row in audit(WORKSPACES, client=client, on_pause=pauses.append)]
    assert ({row.state for row in rows}, pauses) == ({"ok"}, [])


async def test_what_failed_for_other_reasons_is_not_read_again() -> None:
    """Without retries there is no budget that could be used up."""
    clock = VirtualClock()
    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(lambda _: failure(503)), clock=clock)
    rows = [row async for row in audit(WORKSPACES, client=client, retry=None)]
    assert ({(row.state, row.requests) for row in rows}, clock.slept) == ({("failed", 1)}, [])


async def test_a_throttled_key_holds_nobody_up() -> None:
    """Its budget is its own."""
    clock, pauses = VirtualClock(), list[float]()

    def handler(request: Request) -> Any:
        return failure(429, retry_after="1") if request.headers["authorization"].endswith(KEY) else answer(EMPTY)

    throttled = [Workspace(f"t{number}", ApiKey(KEY)) for number in range(20)]
    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(handler), clock=clock)
    rows = audit([*throttled, *WORKSPACES], client=client, on_pause=pauses.append, deadline=None)
    states = {row.workspace[0]: row.state async for row in rows}
    assert (states, pauses) == ({"t": "failed", "w": "ok"}, [])
