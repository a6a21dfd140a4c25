"""One call, from the endpoint to the value: what is sent, what comes back, what is written down."""

import logging
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import frozen

from chatloom_async import (
    Agent,
    AgentList,
    AllowedDomains,
    ApiKey,
    AsyncChatloom,
    Attempt,
    AuthenticationError,
    ChatloomError,
    ConnectError,
    DeadlineExceededError,
    Endpoint,
    Exchange,
    GetAllowedDomains,
    InvalidAgentIdError,
    ListAgents,
    MockTransport,
    NotFoundError,
    RateLimitError,
    Request,
    RetryPolicy,
    SchemaMismatchError,
    ServerError,
    UsageError,
    query,
)
from chatloom_async.testing import VirtualClock
from tests.samples import AGENT, AGENTS, DOMAINS, KEY, answer, api, failure, in_turn

SALES = Agent(
    id="agt_abc123",
    name="Sales Assistant",
    primary_color="#611F69",
    secondary_color="#764ba2",
    position="bottom-right",
    template="modern",
    status="active",
    created_at=datetime(2026, 1, 15, 9, tzinfo=UTC),
)


async def test_list_agents_sends_the_documented_request_and_returns_the_documented_answer() -> None:
    """The quick start's request, header for header, and its answer as a value."""
    transport = MockTransport(api)
    agents = await AsyncChatloom(KEY, transport=transport).list_agents()
    assert agents == AgentList(agents=(SALES,), count=1)
    (sent,) = transport.requests
    assert (sent.method, sent.url, sent.body) == ("GET", "https://chatloom.app/api/plugin/agents", None)
    assert dict(sent.headers) == {
        "Accept": "application/json",
        "User-Agent": "chatloom-async/0.1.0",
        "Authorization": f"Bearer {KEY}",
    }


async def test_nothing_is_sent_before_an_hour_is_over_that_the_api_asked_for() -> None:
    """Until then a call fails at once, if its deadline is earlier; one without a deadline waits."""
    clock = VirtualClock()
    transport = in_turn(failure(429, retry_after="3600"), answer(AGENTS))
    client = AsyncChatloom(KEY, transport=transport, clock=clock)
    with pytest.raises(RateLimitError) as refused:
        await client.list_agents()
    clock.advance(60.0)
    with pytest.raises(DeadlineExceededError) as paused:
        await client.list_agents()
    assert (refused.value.stop_reason, paused.value.stop_reason) == ("retry_after_too_long", "deadline")
    assert paused.value.message == "The call was not sent: the API asked to pause this key for 3540 s more"
    assert [(each.status, each.elapsed) for each in paused.value.attempts] == [(None, 0.0)]
    assert ((await client.with_options(deadline=None).list_agents()).count, clock.slept) == (1, [3540.0])


async def test_x_api_key_takes_the_place_of_the_authorization_header() -> None:
    """Exactly one of the two documented headers is sent."""
    transport = MockTransport(api)
    await AsyncChatloom(KEY, auth="x-api-key", transport=transport).get_allowed_domains("agt_abc123")
    (sent,) = transport.requests
    assert (sent.headers.get("X-API-Key"), sent.headers.get("Authorization")) == (KEY, None)


async def test_get_allowed_domains_puts_the_id_into_the_path() -> None:
    """The second documented endpoint; its answer is iterable, has a length and knows membership."""
    transport = MockTransport(api)
    domains = await AsyncChatloom(KEY, transport=transport).get_allowed_domains("agt_abc123")
    assert domains == AllowedDomains(domains=("example.com", "support.example.com"))
    assert [*domains] == ["example.com", "support.example.com"]
    assert (len(domains), "example.com" in domains, "evil.example" in domains) == (2, True, False)
    assert transport.requests[0].url == "https://chatloom.app/api/plugin/agents/agt_abc123/allowed-domains"


async def test_an_unsafe_agent_id_is_refused_before_anything_is_sent() -> None:
    """`../x` in a path would reach another endpoint with the caller's key."""
    transport = MockTransport(api)
    with pytest.raises(InvalidAgentIdError):
        await AsyncChatloom(KEY, transport=transport).get_allowed_domains("../x")
    assert transport.requests == []


@frozen
class Transcript:
    """An answer that the API does not have yet."""

    id: str
    turns: int


@frozen
class StartConversation(Endpoint[Transcript]):
    """A write as the roadmap may bring it."""

    method = "POST"
    path = "/api/plugin/agents/{agent_id}/conversations"
    success = (200, 201)

    agent_id: str
    first_message: str
    dry_run: bool | None = query(default=None)


async def test_an_endpoint_of_the_users_own_is_sent_like_the_built_in_ones() -> None:
    """Path, query and JSON body, a 201, and a typed answer."""
    transport = in_turn(answer({"id": "cnv_1", "turns": 1}, 201))
    chatloom = AsyncChatloom(KEY, transport=transport)
    endpoint = StartConversation("agt_abc123", "Hello", dry_run=True)
    assert await chatloom.send(endpoint) == Transcript(id="cnv_1", turns=1)
    (sent,) = transport.requests
    assert (sent.method, sent.body) == ("POST", b'{"firstMessage":"Hello"}')
    assert sent.url == "https://chatloom.app/api/plugin/agents/agt_abc123/conversations?dryRun=true"


async def test_a_class_in_place_of_an_endpoint_is_pointed_out() -> None:
    """A slip that everybody makes once."""
    with pytest.raises(UsageError, match=r"such as ListAgents\(\), not <class"):
        await AsyncChatloom(KEY, transport=MockTransport(api)).send(ListAgents)  # type: ignore[arg-type]


async def test_a_write_is_not_repeated_when_the_server_may_have_acted_on_it() -> None:
    """A 500 to a POST is an answer that says nothing of what was done."""
    transport = in_turn(failure(500))
    with pytest.raises(ServerError) as caught:
        await AsyncChatloom(KEY, transport=transport).send(StartConversation("agt_1", "Hello"))
    assert (caught.value.stop_reason, len(transport.requests)) == ("not_retryable", 1)


async def test_exchange_returns_the_value_with_its_response_and_history() -> None:
    """What a dashboard wants to show and a bug report must contain."""
    clock = VirtualClock()
    client = AsyncChatloom(KEY, transport=in_turn(failure(500, "Oops")), clock=clock)
    exchange = await client.exchange(GetAllowedDomains("agt_abc123"))
    first, second = exchange.attempts
    assert exchange == Exchange(
        value=AllowedDomains(("example.com", "support.example.com")),
        response=answer(DOMAINS),
        attempts=(first, second),
        elapsed=pytest.approx(clock.slept[0]),
    )
    assert first == Attempt(
        operation="GetAllowedDomains",
        number=1,
        started=0.0,
        waited=0.0,
        elapsed=0.0,
        status=500,
        error=ServerError("Oops", status=500),
        path="/api/plugin/agents/{agent_id}/allowed-domains",
        host="chatloom.app",
        key=ApiKey(KEY).fingerprint,
    )
    assert (second.number, second.started, second.status, second.error) == (2, pytest.approx(clock.slept[0]), 200, None)


async def test_an_error_carries_the_history_of_its_call() -> None:
    """Three attempts for a 500, and why there was no fourth."""
    client = AsyncChatloom(KEY, transport=MockTransport(lambda _: failure(500)), clock=VirtualClock())
    with pytest.raises(ServerError) as caught:
        await client.list_agents()
    assert [attempt.status for attempt in caught.value.attempts] == [500, 500, 500]
    assert caught.value.stop_reason == "attempts"
    assert str(caught.value).startswith("HTTP 500: Something went wrong. Gave up after attempt 3: no attempts left.")


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, AuthenticationError), (404, NotFoundError)],
)
async def test_errors_that_a_repeat_cannot_cure_are_raised_at_once(status: int, error: type[Exception]) -> None:
    """One request, one error."""
    transport = MockTransport(lambda _: failure(status))
    with pytest.raises(error):
        await AsyncChatloom(KEY, transport=transport).list_agents()
    assert len(transport.requests) == 1


async def test_an_answer_of_another_shape_names_the_place() -> None:
    """Decoding is outside of the retries: a body that does not fit will not fit the second time."""
    transport = in_turn(answer({"agents": [{**AGENT, "primaryColor": None}], "count": 1}))
    with pytest.raises(SchemaMismatchError) as caught:
        await AsyncChatloom(KEY, transport=transport).list_agents()
    assert (caught.value.path, len(caught.value.attempts)) == ("$.agents[0].primaryColor", 1)


async def test_an_incomplete_list_is_returned_marked_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """`count` must equal the number of agents: where it does not, nobody should take the part for the whole."""
    client = AsyncChatloom(KEY, transport=in_turn(answer({**AGENTS, "count": 2})))
    with caplog.at_level(logging.WARNING, logger="chatloom_async"):
        agents = await client.list_agents()
    assert (agents.complete, len(agents), agents.count) == (False, 1, 2)
    assert [record.getMessage() for record in caplog.records] == [
        f"ListAgents: the answer says that it is not complete; do not take it for the whole {ORIGIN}"
    ]


@frozen
class Upload:
    """A model of the user's own, in which `complete` means something else."""

    complete: bool


@frozen
class GetUpload(Endpoint[Upload]):
    path = "/api/uploads"


async def test_a_users_own_model_that_is_not_complete_is_none_of_the_clients_business(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Only the package's own list is warned about."""
    chatloom = AsyncChatloom(KEY, transport=in_turn(answer({"complete": False})))
    assert await chatloom.send(GetUpload()) == Upload(complete=False)
    assert caplog.messages == []


async def test_on_attempt_sees_every_attempt_also_the_good_ones() -> None:
    """The hook for metrics."""
    seen: list[Attempt] = []
    client = AsyncChatloom(KEY, transport=in_turn(failure(503)), on_attempt=seen.append, clock=VirtualClock())
    await client.list_agents()
    assert [(attempt.number, attempt.status) for attempt in seen] == [(1, 503), (2, 200)]


async def test_a_raising_on_attempt_is_logged_and_does_not_fail_the_call(caplog: pytest.LogCaptureFixture) -> None:
    """Observing must not break what is observed."""

    def observe(_: Attempt) -> None:
        raise RuntimeError("metrics are down")

    client = AsyncChatloom(KEY, transport=MockTransport(api), on_attempt=observe)
    assert len(await client.list_agents()) == 1
    assert [record.getMessage() for record in caplog.records] == ["on_attempt raised an exception; the call continues"]


async def test_attempts_are_logged_at_debug_without_any_secret(caplog: pytest.LogCaptureFixture) -> None:
    """One line for each attempt, made of names and numbers only."""
    client = AsyncChatloom(KEY, transport=in_turn(failure(500, f"no {KEY}")), clock=VirtualClock())
    with caplog.at_level(logging.DEBUG, logger="chatloom_async"):
        await client.list_agents()
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG] == [
        f"ListAgents attempt 1: 500 {ORIGIN}",
        f"ListAgents attempt 2: 200 {ORIGIN}",
    ]


ORIGIN = f"[key={ApiKey(KEY).fingerprint} path=/api/plugin/agents host=chatloom.app]"
UNHURRIED = RetryPolicy(random=lambda: 0.5)


@pytest.mark.parametrize(
    ("answers", "lines"),
    [
        ([failure(500, f"no {KEY}")], ["ListAgents attempt 1: 500, again in 0.12 s"]),
        ([failure(429, retry_after="7")], ["ListAgents attempt 1: 429, again in 7.00 s"]),
        ([ConnectError(f"no {KEY}")], ["ListAgents attempt 1: ConnectError, again in 0.12 s"]),
        ([failure(429, retry_after="90")], ["ListAgents failed after attempt 1: 429, retry_after_too_long"]),
        ([failure(401)], ["ListAgents failed after attempt 1: 401, not_retryable"]),
        ([failure(404)], ["ListAgents failed after attempt 1: 404, not_retryable"]),
        ([answer({"agents": None})], ["ListAgents failed after attempt 1: SchemaMismatchError"]),
        ([], []),
        (
            [failure(503)] * 3,
            [
                "ListAgents attempt 1: 503, again in 0.12 s",
                "ListAgents attempt 2: 503, again in 0.25 s",
                "ListAgents failed after attempt 3: 503, attempts",
            ],
        ),
    ],
)
async def test_retries_and_failures_are_logged_at_info(answers: list[Any], lines: list[str], caplog: Any) -> None:
    """One line for each retry, and one for a call that failed: what, whose, and where, but no text of the server's."""
    client = AsyncChatloom(KEY, transport=in_turn(*answers), retry=UNHURRIED, clock=VirtualClock())
    with caplog.at_level(logging.INFO, logger="chatloom_async"), suppress(ChatloomError):
        await client.list_agents()
    assert [record.getMessage() for record in caplog.records] == [f"{line} {ORIGIN}" for line in lines]
    assert {record.levelno for record in caplog.records} <= {logging.INFO}


async def test_the_endpoint_says_what_it_sends() -> None:
    """A descriptor is a value: it can be looked at without a client."""
    assert ListAgents().request("https://chatloom.app") == Request(
        "GET",
        "https://chatloom.app/api/plugin/agents",
        {"Accept": "application/json", "User-Agent": "chatloom-async/0.1.0"},
    )
