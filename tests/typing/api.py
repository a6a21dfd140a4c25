"""The public types, pinned: this file is read by mypy --strict and pyright, and never run."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, assert_type

import tenacity
from attrs import frozen

from chatloom_async import (
    Agent,
    AgentList,
    AllowedDomains,
    ApiKey,
    AsyncChatloom,
    Attempt,
    Endpoint,
    Err,
    Exchange,
    GetAllowedDomains,
    ListAgents,
    MockTransport,
    Ok,
    RateLimit,
    Request,
    Response,
    RetryPolicy,
    Sandbox,
    Timeouts,
    Transport,
    TransportError,
    fan_out,
    query,
)
from chatloom_async.policy.clock import Clock


@frozen
class Transcript:
    """An answer of the user's own."""

    id: str


@frozen
class GetTranscript(Endpoint[Transcript]):
    """An endpoint of the user's own."""

    path = "/api/plugin/transcripts/{transcript_id}"

    transcript_id: str
    language: str | None = query(default=None)


class Counting:
    """A transport of the user's own, around another."""

    def __init__(self, inner: Transport) -> None:
        self.inner = inner

    async def send(self, request: Request) -> Response | TransportError:
        return await self.inner.send(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


def provided(*, force_refresh: bool = False) -> str:
    return "clf_new" if force_refresh else "clf_old"


async def provided_slowly(*, force_refresh: bool = False) -> ApiKey:
    return ApiKey("clf_new" if force_refresh else "clf_old")


async def calls(client: AsyncChatloom) -> None:
    agents = await client.list_agents()
    assert_type(agents, AgentList)
    assert_type(agents.agents, tuple[Agent, ...])
    assert_type(list(agents), list[Agent])
    domains = await client.get_allowed_domains("agt_1")
    assert_type(domains, AllowedDomains)
    assert_type(await client.get_allowed_domains(agent_id="agt_1"), AllowedDomains)
    assert_type(await client.send(ListAgents()), AgentList)
    assert_type(await client.send(GetAllowedDomains("agt_1")), AllowedDomains)
    assert_type(await client.send(GetTranscript("trn_1", language="en")), Transcript)
    exchange = await client.exchange(GetTranscript("trn_1"))
    assert_type(exchange, Exchange[Transcript])
    assert_type(exchange.value, Transcript)
    assert_type(exchange.attempts, tuple[Attempt, ...])
    await client.get_allowed_domains()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await client.get_allowed_domains(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def construction() -> None:
    AsyncChatloom()
    AsyncChatloom("clf_1", transport=Counting(MockTransport(lambda request: Response(200, {}, b"{}"))))
    AsyncChatloom(ApiKey("clf_1"), retry=tenacity.AsyncRetrying(), rate_limit=None, deadline=None)
    AsyncChatloom(
        provided, retry=RetryPolicy(attempts=5), rate_limit=RateLimit(per_second=2), timeouts=Timeouts(read=1)
    )
    AsyncChatloom(provided_slowly, transport=Sandbox(seed=7).transport())
    assert_type(AsyncChatloom.for_many(deadline=5.0, max_in_flight=8), AsyncChatloom)
    AsyncChatloom.for_many(deadline="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    AsyncChatloom(timeout=5.0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    AsyncChatloom("clf_1", "https://chatloom.app")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    async with AsyncChatloom("clf_1", on_attempt=print) as client:
        assert_type(client, AsyncChatloom)
        assert_type(client.with_key("clf_2"), AsyncChatloom)
        assert_type(client.with_key("clf_2", label="acme"), AsyncChatloom)
        assert_type(client.clock, Clock)
        agents = await client.list_agents()
        assert_type(agents[0], Agent)
        assert_type(agents[:2], tuple[Agent, ...])
        assert_type(agents.by_id, Mapping[str, Agent])
        assert_type(agents.to_dict(python_names=True), dict[str, Any])
        assert_type(client.with_options(retry=None), AsyncChatloom)


async def fanning_out(client: AsyncChatloom, keys: list[str], more: AsyncIterator[ApiKey]) -> None:
    async def agents_of(key: str | ApiKey) -> AgentList:
        return await client.with_key(key).list_agents()

    async for result in fan_out(keys, agents_of, concurrency=8):
        assert_type(result, Ok[str, AgentList] | Err[str])
        match result:
            case Ok(key, value):
                assert_type(key, str)
                assert_type(value, AgentList)
            case Err(key, error):
                assert_type(key, str)
                assert_type(error, BaseException)
    async for answer in fan_out(more, agents_of):
        assert_type(answer, Ok[ApiKey, AgentList] | Err[ApiKey])
