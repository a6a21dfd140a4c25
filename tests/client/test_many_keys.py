"""One client for many customers: no key of its own, and whose call it was."""

import asyncio
import logging

import pytest

from chatloom_async import (
    ApiKey,
    AsyncChatloom,
    Attempt,
    AuthenticationError,
    ConfigurationError,
    DeadlineExceededError,
    InvalidApiKeyError,
    MockTransport,
    RateLimit,
    Request,
    Response,
    Timeouts,
    UsageError,
)
from chatloom_async.testing import VirtualClock
from tests.samples import KEY, OTHER_KEY, api, failure

ACME, GLOBEX = ApiKey(KEY).fingerprint, ApiKey(OTHER_KEY).fingerprint
PLACE = "path=/api/plugin/agents host=chatloom.app"


async def test_a_client_for_many_keys_has_none_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even that of the environment: a call says what is missing, and nothing is sent or written down."""
    monkeypatch.setenv("CHATLOOM_API_KEY", KEY)
    transport, attempts = MockTransport(api), list[Attempt]()
    client = AsyncChatloom.for_many(transport=transport, on_attempt=attempts.append)
    for nobody in (client, client.with_options(deadline=1.0)):
        with pytest.raises(UsageError) as caught:
            await nobody.list_agents()
        assert caught.value.message.startswith("This client has no key: call with_key()")
    assert (transport.requests, attempts, client.limits) == ([], [], {})
    assert len(await client.with_key(OTHER_KEY).list_agents()) == 1
    assert [request.headers["Authorization"] for request in transport.requests] == [f"Bearer {OTHER_KEY}"]


def test_a_client_for_many_keys_takes_the_same_options() -> None:
    """And refuses the same."""
    options = {"base_url": "http://127.0.0.1:9", "timeouts": Timeouts(), "rate_limit": RateLimit(burst=1)}
    assert repr(AsyncChatloom.for_many(**options)) == "<AsyncChatloom http://127.0.0.1:9, no key>"  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"^deadline must be"):
        AsyncChatloom.for_many(deadline=-1.0)


def test_a_missing_key_says_how_to_start_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a service does that gets its keys with the requests."""
    monkeypatch.delenv("CHATLOOM_API_KEY", raising=False)
    with pytest.raises(InvalidApiKeyError, match=r"For a client that starts without one, use AsyncChatloom\.for_many"):
        AsyncChatloom()


async def tenants(request: Request) -> Response:
    """The API, where the key of globex has been rotated and that of acme works the second time."""
    if request.headers["Authorization"].endswith(OTHER_KEY):
        return failure(401)
    tenants.calls = getattr(tenants, "calls", 0) + 1  # type: ignore[attr-defined]
    return failure(503) if tenants.calls == 1 else api(request)  # type: ignore[attr-defined]


async def test_each_line_of_the_log_says_whose_call_it_was(caplog: pytest.LogCaptureFixture) -> None:
    """By the label that the program chose and by the key's fingerprint; a call that fails is told once."""
    client = AsyncChatloom.for_many(transport=MockTransport(tenants), clock=VirtualClock())
    acme, globex = client.with_key(KEY, label="acme"), client.with_key(OTHER_KEY, label="globex")
    caplog.set_level(logging.DEBUG, logger="chatloom_async")
    await acme.list_agents()
    with pytest.raises(AuthenticationError):
        await globex.list_agents()
    assert [(record.levelname, record.getMessage().partition(", again")[0]) for record in caplog.records] == [
        ("DEBUG", f"ListAgents attempt 1: 503 [label=acme key={ACME} {PLACE}]"),
        ("INFO", "ListAgents attempt 1: 503"),
        ("DEBUG", f"ListAgents attempt 2: 200 [label=acme key={ACME} {PLACE}]"),
        ("DEBUG", f"ListAgents attempt 1: 401 [label=globex key={GLOBEX} {PLACE}]"),
        ("INFO", f"ListAgents failed after attempt 1: 401, not_retryable [label=globex key={GLOBEX} {PLACE}]"),
    ]
    assert caplog.messages[1].endswith(f" s [label=acme key={ACME} {PLACE}]")


async def test_an_attempt_says_whose_it_was() -> None:
    """With the path's template, not the agent's id, and the host with its port."""
    seen: list[Attempt] = []
    client = AsyncChatloom.for_many(
        base_url="http://localhost:8080/v1", transport=MockTransport(api), on_attempt=seen.append
    )
    acme = client.with_key(KEY, label="acme").with_options(deadline=5.0)
    await acme.get_allowed_domains("agt_abc123")
    await acme.with_key(OTHER_KEY).list_agents()
    assert [(each.label, each.key, each.path, each.host) for each in seen] == [
        ("acme", ACME, "/api/plugin/agents/{agent_id}/allowed-domains", "localhost:8080"),
        (None, GLOBEX, "/api/plugin/agents", "localhost:8080"),
    ]


async def test_a_call_that_never_had_a_key_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """Its provider did not answer in time."""

    async def never(*, force_refresh: bool = False) -> str:
        await asyncio.Event().wait()
        return KEY

    caplog.set_level(logging.INFO, logger="chatloom_async")
    client = AsyncChatloom.for_many(transport=MockTransport(api), deadline=0.01).with_key(never, label="acme")
    with pytest.raises(DeadlineExceededError):
        await client.list_agents()
    line = f"ListAgents failed after attempt 1: DeadlineExceededError, deadline [label=acme key=- {PLACE}]"
    assert caplog.messages == [line]


def test_a_label_cannot_forge_a_line_of_the_log() -> None:
    """It may be a customer's text: it is cut, and holds no control characters and no key."""
    client = AsyncChatloom.for_many()
    assert repr(client.with_key(KEY, label=f"a\nb {OTHER_KEY}")).endswith(f"key {ACME} (a b clf_***), a clone>")
    assert len(repr(client.with_key(KEY, label="x" * 1000))) < 200
    with pytest.raises(ConfigurationError, match=r"^label must be a str, or None, not 5"):
        client.with_key(KEY, label=5)  # type: ignore[arg-type]


def test_the_repr_tells_clones_apart() -> None:
    """By their keys; a provider's key is not known before it is asked."""
    client = AsyncChatloom(KEY)
    shown = [client, client.with_key(OTHER_KEY), client.with_key(lambda **_: OTHER_KEY, label="acme")]
    assert [repr(each) for each in shown] == [
        f"<AsyncChatloom https://chatloom.app, key {ACME}>",
        f"<AsyncChatloom https://chatloom.app, key {GLOBEX}, a clone>",
        "<AsyncChatloom https://chatloom.app, keys from a provider (acme), a clone>",
    ]
