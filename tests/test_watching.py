"""watch: rounds of reading become events, failed rounds do not, and nothing waits for real."""

import asyncio
import logging
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import Any

import pytest
from attrs import asdict, evolve

from chatloom_async import (
    Agent,
    AgentAdded,
    AgentChanged,
    AgentRemoved,
    AsyncChatloom,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    ConnectError,
    DomainsChanged,
    MockTransport,
    Request,
    Response,
    Sandbox,
    Transport,
    watch,
)
from chatloom_async.sandbox import SandboxWorkspace
from chatloom_async.testing import VirtualClock
from tests.samples import AGENT, KEY, answer, failure


class Enough(Exception):
    """Ends a watch after the last round of a test."""


class Rounds(VirtualClock):
    """A clock on which something happens in each wait between two rounds; after the last one the watch ends."""

    def __init__(self, *happenings: Callable[[], object]) -> None:
        super().__init__()
        self.happenings = list(happenings)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        if not self.happenings:
            raise Enough
        self.happenings.pop(0)()


def nothing() -> None:
    """What happens in most waits."""


@pytest.fixture(autouse=True)
async def _no_tasks_left() -> AsyncIterator[None]:
    """After each test, nothing that it started is still running."""
    before = asyncio.all_tasks()
    yield
    assert asyncio.all_tasks() - before - {asyncio.current_task()} == set()


@pytest.fixture
def sandbox() -> Sandbox:
    """A stand-in for the API, with the workspace `acme`."""
    return Sandbox(seed=7, rate_limit=None)


@pytest.fixture
def acme(sandbox: Sandbox) -> SandboxWorkspace:
    """A workspace with two agents."""
    workspace = sandbox.add_workspace("acme", agents=0)
    workspace.add_agent(id="agt_1", name="One", domains=["one.example"])
    workspace.add_agent(id="agt_2", name="Two", domains=["two.example", "two.test"])
    return workspace


def agent(acme: SandboxWorkspace, agent_id: str, **changes: Any) -> Agent:
    """An agent of the sandbox as the client returns it."""
    (stored,) = [each for each in acme.agents if each.id == agent_id]
    return Agent(**{name: value for name, value in asdict(stored).items() if name != "domains"} | changes)


def client_of(sandbox: Sandbox, clock: VirtualClock) -> AsyncChatloom:
    """A client that does not repeat a failed call, so that each failure is one of a round."""
    key, transport = sandbox["acme"].key, sandbox.transport()
    return AsyncChatloom(key, transport=transport, retry=None, rate_limit=None, clock=clock)


async def watched(client: AsyncChatloom, interval: float = 60.0, **options: Any) -> list[Any]:
    """The events until the clock has had enough."""
    events: list[Any] = []
    with suppress(Enough):
        async for event in watch(client, interval, random=lambda: 0.5, **options):
            events.append(event)  # noqa: PERF401  # what came before an exception counts
    return events


async def test_the_first_round_is_the_baseline(sandbox: Sandbox, acme: SandboxWorkspace) -> None:
    """It yields nothing, and neither do rounds in which nothing has changed."""
    clock = Rounds(nothing, nothing)
    assert (await watched(client_of(sandbox, clock)), clock.slept) == ([], [60.0, 60.0, 60.0])


async def test_initial_yields_every_agent_oldest_first(sandbox: Sandbox, acme: SandboxWorkspace) -> None:
    """For a service that fills its own tables from the same events."""
    assert await watched(client_of(sandbox, Rounds(nothing)), initial=True) == [
        AgentAdded(agent(acme, "agt_1"), ("one.example",)),
        AgentAdded(agent(acme, "agt_2"), ("two.example", "two.test")),
    ]


CHANGES: list[tuple[Callable[[SandboxWorkspace], object], Callable[[SandboxWorkspace], list[object]]]] = [
    (
        lambda acme: acme.add_agent(id="agt_3", name="Three", domains=["three.example"]),
        lambda acme: [AgentAdded(agent(acme, "agt_3"), ("three.example",))],
    ),
    (
        lambda acme: acme.update_agent("agt_1", name="Uno"),
        lambda acme: [AgentChanged(agent(acme, "agt_1", name="One"), agent(acme, "agt_1"))],
    ),
    (
        lambda acme: acme.allow_domain("agt_1", "evil.example"),
        lambda acme: [DomainsChanged(agent(acme, "agt_1"), ("evil.example",), ())],
    ),
    (
        lambda acme: acme.disallow_domain("agt_2", "two.example"),
        lambda acme: [DomainsChanged(agent(acme, "agt_2"), (), ("two.example",))],
    ),
    (lambda acme: acme.allow_domain("agt_1", "one.example"), lambda acme: []),
    (
        lambda acme: (acme.disallow_domain("agt_2", "two.example"), acme.allow_domain("agt_2", "two.example")),
        lambda acme: [],
    ),
]


@pytest.mark.parametrize(("change", "events"), CHANGES)
async def test_a_change_is_one_event(
    sandbox: Sandbox,
    acme: SandboxWorkspace,
    change: Callable[[SandboxWorkspace], object],
    events: Callable[[SandboxWorkspace], list[object]],
) -> None:
    """Once, in the round after it; another order and a domain listed twice are no changes."""
    found = await watched(client_of(sandbox, Rounds(lambda: change(acme), nothing)))
    assert found == events(acme)


async def test_a_removed_agent_is_told_as_it_was_last_seen(sandbox: Sandbox, acme: SandboxWorkspace) -> None:
    """Also where it was changed shortly before."""
    gone = agent(acme, "agt_1", name="Uno")
    clock = Rounds(lambda: acme.update_agent("agt_1", name="Uno"), lambda: acme.remove_agent("agt_1"))
    assert (await watched(client_of(sandbox, clock)))[1:] == [AgentRemoved(gone)]


async def test_events_of_one_round_have_an_order(sandbox: Sandbox, acme: SandboxWorkspace) -> None:
    """Removed agents, then the others from the oldest on, each with its fields before its domains."""
    one, two = agent(acme, "agt_1"), agent(acme, "agt_2")

    def everything() -> None:
        acme.add_agent(id="agt_3")
        acme.remove_agent("agt_1")
        acme.update_agent("agt_2", name="Dos")
        acme.allow_domain("agt_2", "dos.example")
        acme.disallow_domain("agt_2", "two.test")

    dos = evolve(two, name="Dos")
    assert await watched(client_of(sandbox, Rounds(everything))) == [
        AgentRemoved(one),
        AgentChanged(two, dos),
        DomainsChanged(dos, ("dos.example",), ("two.test",)),
        AgentAdded(agent(acme, "agt_3"), ()),
    ]


async def test_an_agent_gone_between_the_two_calls_is_removed_in_the_next_round(
    sandbox: Sandbox, acme: SandboxWorkspace
) -> None:
    """Its 404 says nothing yet: only a list does."""
    one = agent(acme, "agt_1")
    clock = Rounds(lambda: acme.fails(404, on="*/agt_1/*"), nothing, lambda: acme.remove_agent("agt_1"))
    assert await watched(client_of(sandbox, clock)) == [AgentRemoved(one)]


async def test_a_new_agent_is_told_when_its_domains_can_be_found(sandbox: Sandbox, acme: SandboxWorkspace) -> None:
    """An AgentAdded without its domains would be half of the news."""

    def add() -> None:
        acme.add_agent(id="agt_3", domains=["three.example"])
        acme.fails(404, on="*/agt_3/*")

    events = await watched(client_of(sandbox, Rounds(add, nothing)))
    assert events == [AgentAdded(agent(acme, "agt_3"), ("three.example",))]


async def test_a_failed_round_yields_nothing_and_the_next_one_catches_up(
    sandbox: Sandbox, acme: SandboxWorkspace, caplog: pytest.LogCaptureFixture
) -> None:
    """Half of a round is none; it is logged, by the error's class only."""

    def add_and_fail() -> None:
        acme.add_agent(id="agt_3")
        acme.fails(500, on="*/agt_1/*", message=f"no {KEY}")

    events = await watched(client_of(sandbox, Rounds(add_and_fail, nothing)))
    assert events == [AgentAdded(agent(acme, "agt_3"), ())]
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "watch: round failed with ServerError, 1 in a row")
    ]


@pytest.mark.parametrize(
    ("interval", "failures", "waits"),
    [
        (60.0, 3, [60.0, 120.0, 240.0, 60.0]),
        (60.0, 6, [60.0, 120.0, 240.0, 480.0, 900.0, 900.0, 60.0]),
        (3600.0, 2, [3600.0, 3600.0, 3600.0]),
        (0.5, 2, [0.5, 1.0, 0.5]),
    ],
)
async def test_failed_rounds_are_repeated_more_and_more_slowly(
    sandbox: Sandbox, acme: SandboxWorkspace, interval: float, failures: int, waits: list[float]
) -> None:
    """The usual wait, then twice as long each time up to 15 minutes; after a success the usual one again."""
    acme.fails(503, times=failures)
    clock = Rounds(*[nothing] * failures)
    assert (await watched(client_of(sandbox, clock), interval), clock.slept) == ([], waits)


@pytest.mark.parametrize(("asked", "wait"), [(300, 300.0), (900, 900.0), (901, 900.0), (10**6, 900.0)])
async def test_a_longer_retry_after_is_obeyed(
    sandbox: Sandbox, acme: SandboxWorkspace, asked: int, wait: float
) -> None:
    """Nobody comes back before, but nobody waits longer than 15 minutes, whatever the API says."""
    acme.fails(429, retry_after=asked)
    acme.fails(429, retry_after=1)
    clock = Rounds(nothing, nothing)
    await watched(client_of(sandbox, clock))
    assert clock.slept == [wait, 120.0, 60.0]


async def test_the_longest_wait_is_not_jittered_upwards(sandbox: Sandbox, acme: SandboxWorkspace) -> None:
    """Only the interval that was asked for is."""
    acme.fails(503, times=8)
    for interval, longest in ((60.0, 900.0), (1000.0, 1100.0)):
        clock = Rounds(*[nothing] * 4)
        with suppress(Enough):
            async for _ in watch(client_of(sandbox, clock), interval, random=lambda: 1.0):
                pass
        assert max(clock.slept) <= longest


@pytest.mark.parametrize(("drawn", "wait"), [(0.0, 54.0), (0.5, 60.0), (1.0, 66.0)])
async def test_waits_are_jittered(sandbox: Sandbox, acme: SandboxWorkspace, drawn: float, wait: float) -> None:
    """A tenth more or less, so that programs that were started together do not ask together."""
    clock = Rounds(nothing, nothing)
    acme.fails(503, times=2)
    with pytest.raises(Enough):
        await anext(watch(client_of(sandbox, clock), random=lambda: drawn))
    assert clock.slept == [wait, 2 * wait, wait]


async def silence(_: object) -> Any:
    """Never answers, so that the deadline passes."""
    await asyncio.Event().wait()


@pytest.mark.parametrize("handler", [lambda _: ConnectError("no route"), silence, lambda _: failure(429)])
async def test_what_may_pass_is_waited_for(handler: Any) -> None:
    """Also a deadline that passed, as it does in an outage."""
    clock = Rounds(nothing)
    client = AsyncChatloom(
        KEY, transport=MockTransport(handler), deadline=0.01, retry=None, rate_limit=None, clock=clock
    )
    assert (await watched(client), clock.slept) == ([], [60.0, 120.0])


@pytest.mark.parametrize("on", ["*", "*/agt_1/*"])
async def test_errors_that_no_repeat_can_cure_are_raised(sandbox: Sandbox, acme: SandboxWorkspace, on: str) -> None:
    """A dead key stays dead, whichever call finds out."""
    acme.fails(401, on=on)
    with pytest.raises(AuthenticationError):
        await anext(watch(client_of(sandbox, Rounds())))


async def test_a_closed_client_ends_the_watch(sandbox: Sandbox, acme: SandboxWorkspace) -> None:
    """With the error that every other call gets."""
    clock = VirtualClock()
    client = client_of(sandbox, clock)
    events = watch(client)
    with pytest.raises(ClientClosedError):
        await asyncio.gather(anext(events), client.aclose())


def listing(*rounds: tuple[list[str], int]) -> tuple[Transport, list[Callable[[], object]]]:
    """A transport that lists these ids and states this count in turn, and what has to happen between the rounds."""
    pending = list(rounds)

    def handler(request: Request) -> Response:
        if request.url.endswith("/allowed-domains"):
            return answer({"domains": []})
        ids, count = pending[0]
        return answer({"agents": [{**AGENT, "id": each} for each in ids], "count": count})

    return MockTransport(handler), [lambda: pending.pop(0)] * (len(rounds) - 1)


LISTS: list[tuple[list[tuple[list[str], int]], list[tuple[type, str]]]] = [
    ([(["a", "b"], 2), (["a"], 2), (["a", "b"], 2)], []),
    ([(["a", "b"], 2), (["a"], 2), (["a"], 1)], [(AgentRemoved, "b")]),
    ([(["a"], 1), (["b", "a", "a"], 3), (["a"], 1)], [(AgentAdded, "b"), (AgentRemoved, "b")]),
    ([(["a"], 2), (["b", "a"], 2), (["c", "b", "a"], 3)], [(AgentAdded, "c")]),
    ([(["a"], 2), (["b", "a"], 3), (["c", "b"], 2)], [(AgentRemoved, "a")]),
]


@pytest.mark.parametrize(("rounds", "told"), LISTS)
async def test_a_list_that_is_not_complete_is_not_taken_for_the_whole(
    rounds: list[tuple[list[str], int]], told: list[tuple[type, str]]
) -> None:
    """Who is missing in it is not removed; until one was complete, who appears was perhaps only missing before."""
    transport, happenings = listing(*rounds)
    client = AsyncChatloom(KEY, transport=transport, rate_limit=None, clock=Rounds(*happenings))
    assert [(type(event), event.agent.id) for event in await watched(client)] == told


async def test_a_round_asks_once_for_each_agent_and_few_at_a_time() -> None:
    """So that no call waits for the rate limit longer than it must, and an id that is listed twice costs one call."""
    asked: Counter[str] = Counter()
    running = most = 0

    async def handler(request: Request) -> Response:
        nonlocal running, most
        asked[request.url.removeprefix("https://chatloom.app/api/plugin/")] += 1
        running, most = running + 1, max(most, running + 1)
        await asyncio.sleep(0)
        running -= 1
        ids = [*range(20), 0]
        return answer({"agents": [{**AGENT, "id": f"{each}"} for each in ids], "count": 21, "domains": []})

    client = AsyncChatloom(KEY, transport=MockTransport(handler), rate_limit=None, clock=Rounds())
    await watched(client)
    assert asked == Counter(["agents", *(f"agents/{each}/allowed-domains" for each in range(20))])
    assert most == 4


async def test_all_waiting_is_on_the_clients_clock(
    chatloom_client: Any, chatloom_sandbox: Any, chatloom_clock: Any
) -> None:
    """The rate limit's too: thirteen requests a round, of which eight may go at once and then four a second."""
    chatloom_sandbox["acme"].fails(503, times=3)
    events = watch(chatloom_client, 3600.0, initial=True, random=lambda: 0.5)
    async with aclosing(events):
        first = [await anext(events) for _ in range(12)]
    assert [type(event) for event in first] == [AgentAdded] * 12
    assert 3600.0 < chatloom_clock.now < 3610.0


async def test_leaving_the_loop_leaves_nothing_behind(sandbox: Sandbox, acme: SandboxWorkspace) -> None:
    """Between two events nothing runs, not even a timer."""
    clock = VirtualClock()
    async for event in watch(client_of(sandbox, clock), initial=True):
        assert isinstance(event, AgentAdded)
        break
    await clock.sleep(1e6)  # a timer that was left would be due before
    assert clock.slept == [1e6]


@pytest.mark.parametrize("where", ["in a round", "between rounds"])
async def test_a_cancelled_watch_ends_at_once(acme: SandboxWorkspace, where: str) -> None:
    """In the middle of a round as well as between two."""
    reached, never = asyncio.Event(), asyncio.Event()

    async def stop() -> None:
        reached.set()
        await never.wait()

    async def handler(request: Request) -> Response:
        if where == "in a round" and request.url.endswith("/agt_abc123/allowed-domains"):
            await stop()
        return answer({"agents": [AGENT], "count": 1, "domains": []})

    class Halted(VirtualClock):
        async def sleep(self, seconds: float) -> None:
            await stop()

    client = AsyncChatloom(KEY, transport=MockTransport(handler), rate_limit=None, clock=Halted())
    task = asyncio.create_task(anext(_as_generator(client)))  # type: ignore[arg-type]
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("path", ["/agents", "/allowed-domains"])
@pytest.mark.parametrize("victim", ["the call itself", "all other tasks"])
async def test_a_cancelled_call_is_a_failed_round(acme: SandboxWorkspace, path: str, victim: str) -> None:
    """Where somebody else's clean-up cancels tasks, but not the watch: the next round catches up."""
    watcher, rounds = asyncio.current_task(), 0

    async def handler(request: Request) -> Response:
        nonlocal rounds
        rounds += request.url.endswith("/agents")
        if rounds == 2 and request.url.endswith(path):
            if victim == "the call itself":
                raise asyncio.CancelledError
            for task in asyncio.all_tasks() - {watcher}:
                task.cancel()
            await asyncio.sleep(0)
        return answer({"agents": [AGENT] * (rounds > 2), "count": int(rounds > 2), "domains": []})

    client = AsyncChatloom(KEY, transport=MockTransport(handler), rate_limit=None, clock=Rounds(nothing, nothing))
    assert [type(event) for event in await watched(client)] == [AgentAdded]


async def _as_generator(client: AsyncChatloom) -> AsyncGenerator[object, None]:
    async with aclosing(watch(client)) as events:
        async for event in events:
            yield event


@pytest.mark.parametrize("interval", [0, -1.0, float("nan")])
async def test_an_interval_is_above_zero(sandbox: Sandbox, acme: SandboxWorkspace, interval: float) -> None:
    """A loop without a pause would be a mistake."""
    with pytest.raises(ConfigurationError, match=r"^interval must be a number of seconds above 0"):
        await anext(watch(client_of(sandbox, Rounds()), interval))


def test_watch_is_imported_when_it_is_first_used() -> None:
    """And stays the function after its module is loaded."""
    code = (
        "import sys, chatloom_async as c; assert 'chatloom_async.watching' not in sys.modules; "
        "c.AgentAdded; assert callable(c.watch); from chatloom_async import watch; assert callable(watch)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
