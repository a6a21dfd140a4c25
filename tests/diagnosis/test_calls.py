"""Calls as a program makes them: what they come to, how long they take, and on how many connections."""

import asyncio
import re
from typing import Any

import pytest
from attrs import evolve

from chatloom_async import ApiKey, MockTransport, RateLimitError, RedirectRefusedError, Response, Timeouts
from chatloom_async.diagnosis.calls import NO_KEEP_ALIVE, CountingTransport, check_calls, check_without_key
from chatloom_async.diagnosis.observation import Observation, TimeLimit, ok, warning, wrong
from chatloom_async.testing import VirtualClock
from chatloom_async.wire.errors import DeadlineExceededError
from tests.raw_server import FIN, RawServer, Script, http
from tests.samples import AGENT, AGENTS, KEY, answer, failure, in_turn

NO_AGENTS = http(b'{"agents": [], "count": 0}')
CALL = "GET /api/plugin/agents"


async def calls(*answers: Any, limit: float = 9) -> list[Observation]:
    """What calls that are answered like this come to."""
    return await check_calls("https://chatloom.app", ApiKey(KEY), in_turn(*answers), lambda: 1, TimeLimit(limit))


async def on_the_wire(*scripts: Script) -> tuple[list[Observation], int]:
    """The same over a socket, with the number of connections that the server saw."""
    async with RawServer(*scripts) as server:
        transport = CountingTransport()
        told = await check_calls(server.url, ApiKey(KEY), transport, lambda: transport.opened, TimeLimit(9))
        await transport.aclose()
    return told, server.connections


async def test_calls_on_one_connection() -> None:
    """The first opens it, and the other three are timed."""
    told, connections = await on_the_wire((NO_AGENTS,))
    assert told[0] == ok("call", f"{CALL}: 200, 0 agents", status=200, agents=0)
    facts = told[1].facts
    assert (told[1].state, connections, facts["connections"], facts["calls"]) == ("ok", 1, 1, 3)
    assert re.sub(r"\d+\.\d", "_", told[1].found) == "min _ ms, median _ ms of 3 calls on one connection"


async def test_the_milliseconds_of_the_calls_after_the_first() -> None:
    """The fastest, and the one in the middle."""
    clock, takes = VirtualClock(), [0.5, 0.03, 0.0125, 0.02]

    async def slow(_: object) -> Response:
        await clock.sleep(takes.pop(0))
        return answer(AGENTS)

    transport = MockTransport(slow)
    told = await check_calls("https://chatloom.app", ApiKey(KEY), transport, lambda: 1, TimeLimit(9), clock=clock)
    found = "min 12.5 ms, median 20.0 ms of 3 calls on one connection"
    assert told[1] == ok("latency", found, calls=3, min_ms=12.5, median_ms=20.0, connections=1)


@pytest.mark.parametrize(
    "ending", [(NO_AGENTS, FIN), (http(b'{"agents": [], "count": 0}', "200 OK", "Connection: close"),)]
)
async def test_calls_without_keep_alive(ending: Script) -> None:
    """Each opens its own, announced or not, which is a warning."""
    told, connections = await on_the_wire(ending)
    assert [each.state for each in told] == ["ok", "warning"]
    assert told[1].found.endswith(" ms of 3 calls, without keep-alive")
    assert (told[1].advice, told[1].facts["connections"], connections) == (NO_KEEP_ALIVE, 4, 4)


async def test_a_list_that_is_not_whole() -> None:
    """A warning, and where to send it."""
    told = await calls(answer({**AGENTS, "count": 2}))
    advice = "Send request and response to support@chatloom.app: chatloom doctor --contract --report report.md"
    found = f"{CALL}: 200, 1 agent, but it states 2, or has an id twice"
    assert told[0] == warning("call", found, advice, status=200, agents=1)
    twice = await calls(answer({"agents": [AGENT, AGENT], "count": 2}))
    assert twice[0].found == f"{CALL}: 200, 2 agents, but it states 2, or has an id twice"


async def test_a_call_that_fails() -> None:
    """Is not repeated; the error's own hint is what to do."""
    told = await calls(failure(429, "Too many\x1b[31m requests"))
    found = f"{CALL}: HTTP 429: Too many [31m requests"
    assert told == [wrong("call", found, RateLimitError.hint, error="RateLimitError", status=429)]


async def test_a_later_call_that_fails() -> None:
    """Calls work, though not always."""
    told = await calls(answer(AGENTS), failure(429, "Too many"))
    found = "the first call worked, a later one did not: HTTP 429: Too many"
    assert told == [
        ok("call", f"{CALL}: 200, 1 agent", status=200, agents=1),
        warning("latency", found, RateLimitError.hint, error="RateLimitError"),
    ]


async def silence(_: object) -> Response:
    """An answer that never comes."""
    return await asyncio.get_running_loop().create_future()


async def test_a_call_that_hangs_ends_with_the_time_limit() -> None:
    """By the client's own deadline."""
    transport = MockTransport(silence)
    (told,) = await check_calls("https://chatloom.app", ApiKey(KEY), transport, lambda: 1, TimeLimit(0.02))
    assert told.found.startswith(f"{CALL}: The call was not done within its deadline of 0.0")
    assert evolve(told, found="") == wrong(
        "call", "", DeadlineExceededError.hint, error="DeadlineExceededError", status=None
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (failure(401), ok("answer", f"{CALL} without a key: 401, as it should be", status=401)),
        (
            answer(AGENTS),
            warning("answer", f"{CALL} without a key: 200, not 401", "Check that base_url points at the API."),
        ),
        (
            Response(302, {"location": "https://portal.example/login?token=1"}),
            wrong(
                "answer",
                f"{CALL}: The server answered 302, a redirect to https://portal.example",
                RedirectRefusedError.hint,
                error="RedirectRefusedError",
                status=None,
            ),
        ),
    ],
)
async def test_without_a_key(given: Response, told: Observation) -> None:
    """The API answers 401, which shows that it is there. The request carries no header for a key."""
    transport = in_turn(given)
    assert await check_without_key("https://chatloom.app", transport) == told
    assert [set(request.headers) for request in transport.requests] == [{"Accept", "User-Agent"}]
    assert transport.requests[0].timeouts == Timeouts()


async def test_without_a_key_and_without_an_answer() -> None:
    """The time limit holds."""
    transport = MockTransport(silence)
    limit = TimeLimit(0.02)
    told = await limit.bound(check_without_key("https://chatloom.app", transport), limit.passed("answer"))
    assert told.found == "no result: the time limit of 0.02 s for everything was up"
