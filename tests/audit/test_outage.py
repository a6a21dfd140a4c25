"""What an audit does while the API is down: it pauses and probes, or gives up if nothing has worked yet."""

import asyncio
from collections.abc import Callable
from contextlib import closing, suppress
from math import inf
from typing import Any

import pytest

from chatloom_async import (
    ApiKey,
    AsyncChatloom,
    Attempt,
    AttemptTimeoutError,
    AuthenticationError,
    ConnectError,
    MockTransport,
    RateLimitError,
    Request,
    RetryPolicy,
    ServerError,
    Timeouts,
    TLSError,
)
from chatloom_async.audit import Failure, Row, Workspace, audit
from chatloom_async.audit.keys import KeyEnv
from chatloom_async.audit.outage import FIRST_ANSWER, GIVE_UP_AFTER, PatientReader, Pause
from chatloom_async.engines import LocalEngine, audit_on
from chatloom_async.testing import VirtualClock
from tests.samples import AGENT, AGENTS, DOMAINS, KEY, OTHER_KEY, answer, failure

EMPTY: dict[str, Any] = {"agents": [], "count": 0}
WORKSPACES = [Workspace(f"w{number:03}", ApiKey(f"{KEY}{number}")) for number in range(200)]
PATIENT = RetryPolicy(attempts=6, random=lambda: 0.5)
DOWN = "HTTP 503: Something went wrong"


class Api:
    """Answers the first request, is then down until a moment of the clock, and counts what it refuses. Later, an
    answer takes its time."""

    def __init__(self, clock: VirtualClock, until: float, takes: float) -> None:
        self.clock, self.until, self.takes, self.refused = clock, clock.time() + until, takes, 0
        self.first = True

    async def __call__(self, request: Request) -> Any:
        if self.first:
            self.first = False
            return answer(EMPTY)
        if self.clock.time() >= self.until:
            await self.clock.sleep(self.takes)
            return answer(EMPTY)
        self.refused += 1
        return failure(503)


async def outcome(until: float, max_pause: float = 900.0, takes: float = 0.0) -> tuple[list[Row], Api, list[Pause]]:
    """The rows of an audit of two hundred workspaces, of an API that is down for so many seconds."""
    clock, pauses = VirtualClock(), list[Pause]()
    api = Api(clock, until, takes)
    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(api), clock=clock)
    rows = audit(WORKSPACES, client=client, max_pause=max_pause, on_pause=pauses.append, retry=PATIENT)
    return [row async for row in rows], api, pauses


async def test_an_outage_is_waited_out_and_costs_no_workspace() -> None:
    """One workspace is tried again every 15 s, and the others wait for it, so that there is no storm."""
    rows, api, pauses = await outcome(until=100)
    assert sorted(row.workspace for row in rows) == [each.name for each in WORKSPACES]
    assert {row.state for row in rows} == {"ok"}
    assert [(pause.seconds, pause.left) for pause in pauses] == [(15.0, 900.0 - 15 * each) for each in range(7)]
    assert api.refused < 110
    assert sum(row.requests for row in rows) == api.refused + 200
    assert api.clock.time() < 120


@pytest.mark.parametrize(("until", "probes", "ends"), [(100, 7, 115), (10, 1, 25)])
async def test_after_an_outage_those_that_it_stopped_are_read_at_once(until: float, probes: int, ends: float) -> None:
    """Beside each other: one after the other, at a second each, they would take half a minute more."""
    rows, api, pauses = await outcome(until, takes=1.0)
    assert ({row.state for row in rows}, len(rows), len(pauses)) == ({"ok"}, 200, probes)
    assert api.clock.time() < ends


async def test_a_second_outage_ends_as_the_first_did() -> None:
    """All that it stopped are read at once, too."""
    clock, pauses = VirtualClock(), list[Pause]()

    async def failing_twice(_: Request) -> Any:
        now = clock.time()
        if 1 <= now < 30 or 31.5 <= now < 60:
            return failure(503)
        await clock.sleep(1.0)
        return answer(EMPTY)

    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(failing_twice), clock=clock)
    rows = audit(WORKSPACES, client=client, concurrency=50, on_pause=pauses.append, retry=PATIENT)
    assert ({row.state async for row in rows}, len(pauses)) == ({"ok"}, 4)
    assert clock.time() < 80


async def test_pauses_have_a_limit() -> None:
    """What cannot be read by then is failed, at once and with one request each; nothing is waited for any more."""
    rows, api, pauses = await outcome(until=1e9, max_pause=30.5)
    assert [row.state for row in rows].count("failed") == 199
    assert [(pause.seconds, pause.left) for pause in pauses] == [(15.0, 30.5), (15.0, 15.5), (0.5, 0.5)]
    assert {type(pause.error) for pause in pauses} == {ServerError}
    assert "the retry budget is used up" in str(rows[-1].error)
    assert api.clock.time() < 70


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConnectError("chatloom.app refused the connection", reason="refused"), "chatloom.app refused the connection"),
        (ServerError("Try later.", status=503), "HTTP 503: Try later"),
    ],
)
def test_the_text_of_a_pause_names_the_error_and_the_seconds(error: Any, text: str) -> None:
    """For one line above a progress bar."""
    assert str(Pause(error, 15.0, 885.0)) == f"paused: {text}; next try in 15 s, waiting for 885 s at most"


async def test_a_few_failures_are_no_outage(caplog: pytest.LogCaptureFixture) -> None:
    """They are retried, and nothing is paused."""
    clock, pauses = VirtualClock(), list[Pause]()
    failing = [failure(503)] * 20
    transport = MockTransport(lambda _: failing.pop() if failing else answer(EMPTY))
    client = AsyncChatloom(OTHER_KEY, transport=transport, clock=clock)
    rows = [row async for row in audit(WORKSPACES, client=client, on_pause=pauses.append)]
    assert ({row.state for row in rows}, pauses) == ({"ok"}, [])
    assert caplog.records == []


async def test_what_failed_for_other_reasons_is_not_read_again() -> None:
    """Without retries there is no budget that could be used up."""
    clock = VirtualClock()
    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(lambda _: failure(503)), clock=clock)
    rows = [row async for row in audit(WORKSPACES[:20], client=client, retry=None)]
    assert ({(row.state, row.requests) for row in rows}, clock.slept) == ({("failed", 1)}, [])


async def test_a_throttled_key_holds_nobody_up() -> None:
    """Its budget is its own."""
    clock, pauses = VirtualClock(), list[Pause]()

    def handler(request: Request) -> Any:
        return failure(429, retry_after="1") if request.headers["authorization"].endswith(KEY) else answer(EMPTY)

    throttled = [Workspace(f"t{number}", ApiKey(KEY)) for number in range(20)]
    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(handler), clock=clock)
    rows = audit([*throttled, *WORKSPACES], client=client, on_pause=pauses.append, deadline=None)
    states = {row.workspace[0]: row.state async for row in rows}
    assert (states, pauses) == ({"t": "failed", "w": "ok"}, [])


REFUSED = ConnectError("https://chatloom.app refused the connection", reason="refused", sent=False)
UNKNOWN = ConnectError("The host of https://chatloom.app was not found", reason="dns", sent=False)


@pytest.mark.parametrize("workspaces", [1, 25, 200])
@pytest.mark.parametrize(("failing", "cause"), [(REFUSED, REFUSED), (UNKNOWN, UNKNOWN), (failure(503), None)])
async def test_an_audit_in_which_nothing_works_ends_soon(workspaces: int, failing: Any, cause: Any) -> None:
    """However many workspaces there are: each is a failed row that names the cause, and its requests are counted."""
    clock, pauses = VirtualClock(), list[Pause]()
    transport = MockTransport(lambda _: failing)
    client = AsyncChatloom(OTHER_KEY, transport=transport, clock=clock)
    chosen = WORKSPACES[:workspaces]
    rows = [row async for row in audit(chosen, client=client, on_pause=pauses.append, retry=PATIENT)]
    assert sorted((row.workspace, row.state) for row in rows) == [(each.name, "failed") for each in chosen]
    assert {row.error and row.error.type for row in rows} == {"ServerError" if cause is None else "ConnectError"}
    assert all((DOWN if cause is None else cause.message) in str(row.error) for row in rows)
    assert sum(row.requests for row in rows) == len(transport.requests)
    assert all(pause.left <= GIVE_UP_AFTER for pause in pauses)
    assert clock.time() <= GIVE_UP_AFTER


async def test_a_pause_says_how_long_the_audit_goes_on_at_most() -> None:
    """The seconds count from the first request, whatever the clock says."""
    clock, pauses = VirtualClock(), list[Pause]()
    clock.advance(1e6)

    async def down(_: Request) -> Any:
        await clock.sleep(0.25)
        return failure(503)

    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(down), clock=clock)
    assert [row async for row in audit(WORKSPACES[:25], client=client, on_pause=pauses.append, retry=PATIENT)]
    assert [(pause.seconds, pause.left) for pause in pauses] == [(2.0, 7.375), (2.0, 5.125), (2.0, 2.875), (2.0, 0.625)]


async def test_a_workspace_that_ends_does_not_end_the_patience_with_the_others() -> None:
    """The audit gives up while the second one still waits."""
    clock = VirtualClock()
    refused = TLSError("The certificate was refused", reason="certificate")
    answers = [(1.0, failure(503)), (2.0, refused), (60.0, answer(EMPTY))]

    async def slower(_: Request) -> Any:
        seconds, result = answers.pop(0)
        await clock.sleep(seconds)
        return result

    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(slower), clock=clock)
    rows = [row async for row in audit(WORKSPACES[:2], client=client, retry=PATIENT)]
    assert [(row.error and row.error.type, row.requests) for row in rows] == [("TLSError", 1)] * 2
    assert clock.time() == GIVE_UP_AFTER


async def test_what_has_worked_may_take_its_time() -> None:
    """Once the API has answered, the client's own limit of an attempt counts."""
    clock, limits = VirtualClock(), list[float | None]()

    async def handler(request: Request) -> Any:
        limits.append(request.timeouts.attempt)
        return answer(EMPTY)

    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(handler), clock=clock)
    assert {row.state async for row in audit(WORKSPACES[:2], client=client, concurrency=1)} == {"ok"}
    assert limits == [FIRST_ANSWER, client.timeouts.attempt]


async def test_a_server_that_accepts_nothing_is_given_up_while_calls_wait_for_it() -> None:
    """After the first call has failed, the others are cancelled; what was waiting is not sent at all."""
    clock = VirtualClock()

    async def silent(_: Request) -> Any:
        await clock.sleep(5.0)
        return ConnectError("No connection to https://chatloom.app in time", reason="unreachable", sent=False)

    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(silent), clock=clock)
    rows = [row async for row in audit(WORKSPACES, client=client, concurrency=8, retry=PATIENT)]
    text = "Not read, since nothing worked in the first 8 s. No connection to https://chatloom.app in time. "
    error = Failure("ConnectError", f"{text}{ConnectError.hint}")
    assert [row.error for row in rows] == [error] * 200
    assert {row.requests for row in rows} == {0, 1}
    assert clock.time() == GIVE_UP_AFTER


SLOW = Timeouts(attempt=60.0)


async def of_a_slow_api(seconds: float, **options: Any) -> tuple[set[str], float, set[str]]:
    """States, time and errors of an audit of an API whose answers come byte by byte and take so long. The first answer
    of all is a 503, after a second."""
    clock, first = VirtualClock(), [failure(503)]

    async def dripping(request: Request) -> Any:
        if first:
            error = first.pop()
            await clock.sleep(1.0)
            return error
        limit = request.timeouts.attempt or 1e9
        await clock.sleep(min(seconds, limit))
        return answer(EMPTY) if seconds < limit else AttemptTimeoutError(f"Not done in {limit:g} s", reason="total")

    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(dripping), clock=clock, **options)
    rows = [row async for row in audit(WORKSPACES[:5], client=client, retry=PATIENT)]
    return {row.state for row in rows}, clock.time(), {row.error.message for row in rows if row.error}


@pytest.mark.parametrize(
    ("seconds", "options", "state", "ends"),
    [
        (10.5, {}, "ok", 25),
        (13.0, {}, "failed", FIRST_ANSWER),
        (1e9, {}, "failed", FIRST_ANSWER),
        (20.0, {"timeouts": SLOW}, "ok", 45),
        (1e9, {"timeouts": SLOW}, "failed", 60),
        (1e9, {"timeouts": Timeouts(attempt=3.0)}, "failed", GIVE_UP_AFTER),
        (20.0, {"timeouts": Timeouts(attempt=None)}, "ok", 45),
    ],
)
async def test_a_slow_api_is_no_outage_unless_its_first_answer_takes_too_long(
    seconds: float, options: Any, state: str, ends: float
) -> None:
    """Too long is what an attempt may take: 11 s, or more if the client's own limit is above the default."""
    states, time, errors = await of_a_slow_api(seconds, **options)
    assert (states, time <= ends) == ({state}, True)
    assert all("Not read, since nothing worked in the first" in error for error in errors)


async def test_a_server_that_sends_bytes_and_never_an_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a real connection, on which no limit between two bytes is ever reached."""
    monkeypatch.setattr("chatloom_async.audit.outage.FIRST_ANSWER", 0.2)
    monkeypatch.setattr("chatloom_async.audit.outage.GIVE_UP_AFTER", 0.1)

    async def dripping(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError), closing(writer):
            while not writer.is_closing():
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                await writer.drain()
                await asyncio.sleep(0.02)

    async with await asyncio.start_server(dripping, "127.0.0.1") as server:
        url = "http://127.0.0.1:{1}".format(*server.sockets[0].getsockname())
        async with AsyncChatloom(OTHER_KEY, base_url=url) as client:
            rows = [row async for row in audit(WORKSPACES[:5], client=client)]
    assert [row.error and row.error.type for row in rows] == ["AttemptTimeoutError"] * 5
    assert all("The attempt was not done within 0.2 s" in str(row.error) for row in rows)


async def test_a_slow_key_is_not_the_api() -> None:
    """The seconds count from the first request, so that a vault may take its time."""
    clock = VirtualClock()
    clock.advance(1e6)
    failing = [failure(503)]
    transport = MockTransport(lambda _: failing.pop() if failing else answer(EMPTY))
    client = AsyncChatloom(OTHER_KEY, transport=transport, clock=clock)
    reader = PatientReader(client)
    clock.advance(60.0)
    assert (await reader.read(WORKSPACES[0])).row.state == "ok"


async def test_an_api_that_answers_429_only_is_shown() -> None:
    """With the cause, and how long the audit still waits: at the start nothing else would be seen for minutes."""
    clock, pauses = VirtualClock(), list[Pause]()

    async def busy(_: Request) -> Any:
        await clock.sleep(1.0)
        return failure(429) if clock.time() < 120 else answer(EMPTY)

    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(busy), clock=clock)
    retry = RetryPolicy(throttle_attempts=12, random=lambda: 0.5)
    rows = [row async for row in audit(WORKSPACES[:3], client=client, on_pause=pauses.append, retry=retry)]
    assert {row.state for row in rows} == {"ok"}
    assert len(pauses) == 5
    assert all(isinstance(pause.error, RateLimitError) and pause.seconds is None for pause in pauses)
    assert 790 < pauses[-1].left < pauses[0].left <= 895
    assert str(pauses[0]).startswith("paused: HTTP 429: ")
    assert str(pauses[0]).endswith(f"; waiting for {pauses[0].left:.0f} s at most")


async def test_an_audit_gives_up_if_429_is_the_only_answer() -> None:
    """After the longest pause, for any number of workspaces. What is in progress ends, the rest is not begun."""
    clock, pauses = VirtualClock(), list[Pause]()
    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(lambda _: failure(429)), clock=clock)
    rows = [row async for row in audit(WORKSPACES, client=client, on_pause=pauses.append, max_pause=60.0)]
    assert (clock.time(), len(rows), {row.state for row in rows}) == (pytest.approx(60.0), 200, {"failed"})
    start = "Not read, since nothing worked in the first 60 s. HTTP 429: Something went wrong. "
    assert all(row.error and row.error.message.startswith(start) for row in rows)
    assert [round(pause.left) for pause in pauses][-1] < 30 < round(pauses[0].left) <= 55


async def test_failures_after_a_429_are_not_bounded_by_its_limit() -> None:
    """Another answer came, so 429 is not the only one."""
    clock, answers = VirtualClock(), [answer(EMPTY), failure(503), failure(503), failure(503), failure(429)]

    async def slow(_: Request) -> Any:
        await clock.sleep(5.0)
        return answers.pop()

    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(slow), clock=clock)
    (row,) = [row async for row in audit(WORKSPACES[:1], client=client, max_pause=20.0)]
    assert (row.state, row.requests, clock.time() > 25) == ("ok", 5, True)


async def test_throttled_calls_without_a_limit_name_none() -> None:
    """There is none."""
    clock, pauses = VirtualClock(), list[Pause]()
    answers = [failure(429, retry_after="6")] * 2
    transport = MockTransport(lambda _: answers.pop() if answers else answer(EMPTY))
    client = AsyncChatloom(OTHER_KEY, transport=transport, clock=clock)
    rows = [row async for row in audit(WORKSPACES[:1], client=client, on_pause=pauses.append, max_pause=inf)]
    assert [row.state for row in rows] == ["ok"]
    assert [str(pause) for pause in pauses] == ["paused: HTTP 429: Something went wrong"]


async def read_in_slow_motion(handler: Callable[[int], Any], count: int) -> list[Row]:
    """The rows of workspaces that are read one after the other, at a second for each request."""
    clock, number = VirtualClock(), iter(range(10**6))

    async def slow(_: Request) -> Any:
        await clock.sleep(1.0)
        return handler(next(number))

    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(slow), clock=clock)
    return [row async for row in audit(WORKSPACES[:count], client=client, concurrency=1, retry=None)]


async def rows_in_slow_motion(handler: Callable[[int], Any], count: int) -> list[str]:
    """What came of them."""
    return [f"{row.state}, {row.requests}" for row in await read_in_slow_motion(handler, count)]


async def test_the_cause_of_a_row_that_was_not_read_is_the_error_of_another() -> None:
    """Without why that one was not tried again."""
    rows = await read_in_slow_motion(lambda _: failure(401), 17)
    hint = AuthenticationError("", status=401).hint
    text = f"Not read, since nothing worked in the first 16 s. HTTP 401: Something went wrong. {hint}"
    assert rows[16].error == Failure("AuthenticationError", text)


@pytest.mark.parametrize("refusal", [failure(401), answer(["Log in"])])
async def test_dead_keys_end_an_audit_only_if_there_are_many(refusal: Any) -> None:
    """A few bad keys at the top of a list say nothing about the rest of it. The same for an odd answer."""
    assert await rows_in_slow_motion(lambda n: refusal if n < 12 else answer(EMPTY), 20) == [
        *["failed, 1"] * 12,
        *["ok, 1"] * 8,
    ]
    assert await rows_in_slow_motion(lambda _: refusal, 200) == [*["failed, 1"] * 16, *["failed, 0"] * 184]


async def test_a_certificate_that_is_refused_is_the_same_for_all() -> None:
    """One is enough."""
    refused = TLSError("The certificate of https://chatloom.app was refused: expired", reason="certificate")
    assert await rows_in_slow_motion(lambda _: refused, 50) == [*["failed, 1"] * 8, *["failed, 0"] * 42]


async def test_want_of_descriptors_says_nothing_about_the_api() -> None:
    """This process may have some again soon."""
    local = ConnectError("No socket: this process has none left (EMFILE)", reason="local", sent=False)
    assert await rows_in_slow_motion(lambda n: local if n < 12 else answer(EMPTY), 14) == [
        *["failed, 1"] * 12,
        *["ok, 1"] * 2,
    ]


async def test_what_was_answered_once_is_no_wrong_address() -> None:
    """A list that could be read, or a 429, shows that the API is there, before any workspace is done."""
    one = [answer({"agents": [AGENT] * 1, "count": 1}), answer(DOMAINS)]
    assert await rows_in_slow_motion(lambda n: one[n] if n < 2 else failure(503), 20) == [
        "ok, 2",
        *["failed, 1"] * 19,
    ]
    assert await rows_in_slow_motion(lambda n: failure(503) if n else failure(429), 20) == ["failed, 1"] * 20


async def test_a_large_workspace_that_meets_one_failure_goes_on() -> None:
    """It may be far from done when the audit looks whether anything has worked."""
    clock = VirtualClock()
    ids = [f"agt_{number}" for number in range(60)]
    failing = [failure(503)]

    def handler(request: Request) -> Any:
        if not request.url.endswith("/allowed-domains"):
            return answer({"agents": [{**AGENT, "id": each} for each in ids], "count": 60})
        return failing.pop() if failing else answer(DOMAINS)

    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(handler), clock=clock)
    (row,) = [row async for row in audit(WORKSPACES[:1], client=client)]
    assert (row.state, row.requests) == ("ok", 62)
    assert clock.time() > GIVE_UP_AFTER


async def test_the_clients_own_on_attempt_is_still_called() -> None:
    """With each attempt, also while nothing has worked."""
    attempts: list[Attempt] = []
    answers = [answer(AGENTS), answer(DOMAINS), failure(503)]
    transport = MockTransport(lambda _: answers.pop() if answers else answer(DOMAINS))
    client = AsyncChatloom(OTHER_KEY, transport=transport, clock=VirtualClock(), on_attempt=attempts.append)
    assert [row.state async for row in audit(WORKSPACES[:1], client=client)] == ["failed"]
    assert [each.status for each in attempts] == [503, 200]


async def test_a_reader_that_times_out_by_itself_is_a_defect_of_its_workspace() -> None:
    """It is not taken for the end of the audit's patience."""

    def handler(_: Request) -> Any:
        raise TimeoutError("mine")

    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(handler), clock=VirtualClock())
    rows = [row async for row in audit(WORKSPACES[:1], client=client, retry=None)]
    assert [row.error for row in rows] == [Failure("TimeoutError", "mine")]


async def test_an_engine_gives_up_as_one_process_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first shards find that nothing works; the others are not read. The second may begin a little later."""
    monkeypatch.setenv("ACME_KEY", KEY)
    workspaces = [Workspace(f"w{number}", KeyEnv("ACME_KEY")) for number in range(60)]
    clock, requests = VirtualClock(), list[Request]()

    async def down(request: Request) -> Any:
        requests.append(request)
        return REFUSED

    engine = LocalEngine(window=2, transport=MockTransport(down), clock=clock)
    rows = [row async for row in audit_on(engine, workspaces, base_url="http://127.0.0.1:9", shard_size=20)]
    assert sorted(row.workspace for row in rows) == sorted(each.name for each in workspaces)
    assert {(row.state, row.error and row.error.type) for row in rows} == {("failed", "ConnectError")}
    assert sum(row.requests for row in rows) == len(requests)
    assert GIVE_UP_AFTER <= clock.time() < 1.5 * GIVE_UP_AFTER
