"""The cache in front of a transport: what is asked, what is shared, what is kept, and for whom."""

import asyncio
import gc
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from chatloom_async import (
    ApiKey,
    AsyncChatloom,
    CachingTransport,
    ClientClosedError,
    ConfigurationError,
    ConnectError,
    GetAllowedDomains,
    MockTransport,
    Request,
    Response,
    TransportError,
)
from chatloom_async.testing import VirtualClock
from chatloom_async.transports import caching
from chatloom_async.wire.auth import Auth
from tests.samples import AGENTS, DOMAINS, KEY, OTHER_KEY, answer, api, failure, in_turn

AGENTS_URL = "https://chatloom.app/api/plugin/agents"
DOMAINS_URL = f"{AGENTS_URL}/agt_abc123/allowed-domains"


def asking(
    key: str = KEY, url: str = AGENTS_URL, method: str = "GET", body: bytes | None = None, auth: Auth = "bearer"
) -> Request:
    """A signed request, as the client hands it to a transport."""
    return ApiKey(key).sign(Request(method, url, {"Accept": "application/json"}, body), auth)


def named(*names: str) -> list[Response]:
    """Distinguishable answers."""
    return [answer({"agents": [], "count": 0, "name": name}) for name in names]


def cached(response: Response, age: int, how: str) -> Response:
    """The same answer, as it comes out of the cache."""
    return Response(200, {**response.headers, "age": str(age), "cache-status": f"chatloom_async; {how}"}, response.body)


class Held:
    """A transport whose requests wait until they are let go; `requests` and `cancelled` count them."""

    def __init__(self, then: Callable[[Request], Response | TransportError] = api) -> None:
        self.requests = self.cancelled = 0
        self.released = asyncio.Event()
        self._then = then

    async def send(self, request: Request) -> Response | TransportError:
        self.requests += 1
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self._then(request)

    async def aclose(self) -> None:
        self.released.set()


async def turns(number: int = 5) -> None:
    """Lets the other tasks run."""
    for _ in range(number):
        await asyncio.sleep(0)


async def in_order(cache: CachingTransport, *steps: Request | Callable[[], object]) -> list[object]:
    """What the requests among the steps are answered, one after the other."""
    got: list[object] = []
    for step in steps:
        if isinstance(step, Request):
            got.append(await cache.send(step))
        else:
            step()
    return got


async def test_within_ttl_the_stored_answer_is_served_and_says_its_age() -> None:
    """Two requests in 62 seconds instead of four; the first answer of each is passed on as it came."""
    clock, (one, two) = VirtualClock(), named("one", "two")
    inner = in_turn(one, two)
    cache = CachingTransport(inner, ttl=30.0, clock=clock.time)
    got = await in_order(
        cache, asking(), lambda: clock.advance(12.5), asking(), lambda: clock.advance(17.5), asking(), asking()
    )
    assert got == [one, cached(one, 12, "hit; ttl=17"), two, cached(two, 0, "hit; ttl=30")]
    assert len(inner.requests) == 2


async def test_an_answer_may_be_kept_for_ever() -> None:
    """An infinite ttl is told as the longest that caches speak of."""
    clock, (one,) = VirtualClock(), named("one")
    cache = CachingTransport(in_turn(one), ttl=float("inf"), clock=clock.time)
    got = await in_order(cache, asking(), lambda: clock.advance(86400.0), asking())
    assert got == [one, cached(one, 86400, "hit; ttl=999999999")]


def test_a_fingerprint_means_nothing_in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a salt, or whoever guesses a key could compare it. Here it is the same for the same credentials only."""
    one, other, bare = asking().headers, asking(OTHER_KEY).headers, asking(auth="x-api-key").headers
    prints = [caching.fingerprint(headers) for headers in (one, other, bare)]
    assert (len(set(prints)), caching.fingerprint(asking().headers)) == (3, prints[0])
    monkeypatch.setattr(caching, "SALT", bytes(16))
    assert {caching.fingerprint(headers) for headers in (one, other, bare)}.isdisjoint(prints)


async def test_an_answer_is_served_to_nobody_but_its_key() -> None:
    """Keys, headers that carry them, and URLs each have answers of their own; no credentials at all, too."""
    inner = MockTransport(lambda request: answer([*sorted(request.headers.items()), request.url]))
    cache = CachingTransport(inner, clock=VirtualClock().time)
    requests = [
        asking(),
        asking(OTHER_KEY),
        asking(auth="x-api-key"),
        asking(url=DOMAINS_URL),
        Request("GET", AGENTS_URL),
    ]
    first = [await cache.send(request) for request in requests]
    assert first == [await inner.send(request) for request in requests]
    again = [await cache.send(request) for request in requests]
    assert [each.body for each in again if isinstance(each, Response)] == [each.body for each in first]  # type: ignore[union-attr]
    assert len(inner.requests) == 10


async def test_nothing_of_the_key_is_kept() -> None:
    """Neither its text nor the headers that hold it are reachable from the cache."""
    cache = CachingTransport(MockTransport(api), clock=VirtualClock().time)
    await cache.send(asking())
    assert KEY.encode() not in pickle.dumps((cache._answers, cache._pending))


async def test_equal_requests_at_the_same_time_share_one() -> None:
    """Fifty page loads, one request, one answer."""
    inner = Held()
    cache = CachingTransport(inner, ttl=0.0)
    loads = [asyncio.create_task(cache.send(asking())) for _ in range(50)]
    await turns()
    inner.released.set()
    assert await asyncio.gather(*loads) == [answer(AGENTS)] * 50
    assert inner.requests == 1
    assert await cache.send(asking()) == answer(AGENTS)
    assert inner.requests == 2, "with ttl=0, only what is under way is shared"


@pytest.mark.parametrize(
    "outcome", [ConnectError("No connection", reason="refused"), failure(500), failure(429), failure(404)]
)
async def test_a_failed_request_fails_all_who_share_it_alike(outcome: Response | TransportError) -> None:
    """The same value for everybody, and the next caller asks anew."""
    inner = Held(lambda _: outcome)
    cache = CachingTransport(inner)
    loads = [asyncio.create_task(cache.send(asking())) for _ in range(3)]
    await turns()
    inner.released.set()
    assert await asyncio.gather(*loads) == [outcome] * 3
    assert await cache.send(asking()) == outcome
    assert inner.requests == 2


async def test_one_callers_cancellation_does_not_fail_the_others() -> None:
    """Also that of the one whose request it was."""
    inner = Held()
    cache = CachingTransport(inner)
    first, second, third = (asyncio.create_task(cache.send(asking())) for _ in range(3))
    await turns()
    first.cancel()
    third.cancel()
    await turns()
    inner.released.set()
    assert await second == answer(AGENTS)
    assert (first.cancelled(), third.cancelled(), inner.requests, inner.cancelled) == (True, True, 1, 0)


async def test_a_request_that_nobody_waits_for_any_more_is_ended() -> None:
    """The client bounds an attempt by cancelling it: the last to go takes the request along, and the next asks anew."""
    inner = Held()
    cache = CachingTransport(inner)
    loads = [asyncio.create_task(cache.send(asking())) for _ in range(2)]
    await turns()
    for load in loads:
        load.cancel()
    late = asyncio.create_task(cache.send(asking()))
    await turns()
    assert (inner.requests, inner.cancelled) == (2, 1)
    inner.released.set()
    assert await late == answer(AGENTS)


async def test_a_failure_while_ending_a_request_is_nobodys() -> None:
    """What a transport raises when it is cancelled is not reported as an exception that was never retrieved."""

    async def stubborn(_: Request) -> Response:
        try:
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("while closing")

    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    load = asyncio.create_task(CachingTransport(MockTransport(stubborn)).send(asking()))
    await turns()
    load.cancel()
    await turns()
    del load
    gc.collect()
    assert reported == []


async def test_what_a_transport_raises_reaches_everybody() -> None:
    """A TransportError as data, as from any transport; anything else as it is."""
    lost = ConnectError("No connection", reason="refused")
    cache = CachingTransport(in_turn(lost, ClientClosedError("Closed")))
    assert await cache.send(asking()) == lost
    assert lost.__traceback__ is None
    with pytest.raises(ClientClosedError):
        await cache.send(asking())
    assert await cache.send(asking()) == answer(AGENTS)


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (ConnectError("No connection", reason="refused"), "detail=ConnectError"),
        (failure(500), "fwd-status=500"),
        (failure(503), "fwd-status=503"),
        (failure(429), "fwd-status=429"),
    ],
)
async def test_a_stale_answer_is_served_where_there_is_no_newer_one(
    outcome: Response | TransportError, told: str
) -> None:
    """Until it is older than ttl + stale_if_error, and marked as stale; the API is asked every time."""
    clock, (one, two) = VirtualClock(), named("one", "two")
    inner = in_turn(one, outcome, outcome, outcome, two)
    cache = CachingTransport(inner, ttl=30.0, stale_if_error=300.0, clock=clock.time)
    got = await in_order(
        cache,
        *(asking(), lambda: clock.advance(42), asking(), lambda: clock.advance(287), asking()),
        *(lambda: clock.advance(1), asking(), asking()),
    )
    assert got == [
        one,
        cached(one, 42, f"fwd=stale; {told}; ttl=-12"),
        cached(one, 329, f"fwd=stale; {told}; ttl=-299"),
        outcome,
        two,
    ]


async def test_a_retry_after_is_waited_for_while_there_is_a_stale_answer() -> None:
    """Who is told to come back in 20 s does so; the stored answer does meanwhile, as long as it is young enough."""
    clock, (one, two) = VirtualClock(), named("one", "two")
    inner = in_turn(one, failure(429, retry_after="20"), failure(503, retry_after="900"), two)
    cache = CachingTransport(inner, ttl=30.0, stale_if_error=300.0, clock=clock.time)
    got = await in_order(
        cache,
        *(asking(), lambda: clock.advance(30), asking(), lambda: clock.advance(19), asking()),
        *(lambda: clock.advance(1), asking(), lambda: clock.advance(279), asking()),
        *(lambda: clock.advance(1), asking()),
    )
    assert got == [
        one,
        cached(one, 30, "fwd=stale; fwd-status=429; ttl=0"),
        cached(one, 49, "hit; ttl=-19"),
        cached(one, 50, "fwd=stale; fwd-status=503; ttl=-20"),
        cached(one, 329, "hit; ttl=-299"),
        two,
    ]
    assert len(inner.requests) == 4


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_refusal_drops_the_stored_answer(status: int) -> None:
    """What was allowed yesterday is not served on when the API goes down today."""
    clock = VirtualClock()
    cache = CachingTransport(in_turn(answer(AGENTS), failure(status), failure(500)), clock=clock.time)
    got = await in_order(cache, asking(), lambda: clock.advance(30), asking(), asking())
    assert got == [answer(AGENTS), failure(status), failure(500)]


async def test_a_401_drops_every_answer_of_its_key_and_of_no_other() -> None:
    """A key that is refused reads nothing any more, wherever it is presented."""
    clock = VirtualClock()
    inner = in_turn(*[answer(AGENTS)] * 3, failure(401))
    cache = CachingTransport(inner, clock=clock.time)
    await in_order(cache, asking(), asking(OTHER_KEY), lambda: clock.advance(29), asking(url=DOMAINS_URL))
    got = await in_order(cache, lambda: clock.advance(1), asking(), asking(url=DOMAINS_URL), asking(OTHER_KEY))
    assert got == [failure(401), answer(DOMAINS), answer(AGENTS)]
    assert len(inner.requests) == 6
    assert await cache.send(asking(OTHER_KEY)) == cached(answer(AGENTS), 0, "hit; ttl=30")


@pytest.mark.parametrize("status", [201, 206, 301, 400])
async def test_other_answers_are_passed_on_and_not_kept(status: int) -> None:
    """Only a 200 is; and what was stored before stays."""
    clock = VirtualClock()
    cache = CachingTransport(in_turn(answer(AGENTS), answer({}, status), failure(500)), clock=clock.time)
    got = await in_order(cache, asking(), lambda: clock.advance(30), asking(), asking())
    assert got == [answer(AGENTS), answer({}, status), cached(answer(AGENTS), 30, "fwd=stale; fwd-status=500; ttl=0")]


@pytest.mark.parametrize(("method", "body"), [("HEAD", None), ("OPTIONS", None), ("GET", b"{}")])
async def test_other_ways_to_read_are_passed_on(method: str, body: bytes | None) -> None:
    """Each is sent, none is stored, and none does anything to what is stored."""
    inner = MockTransport(api)
    cache = CachingTransport(inner, clock=VirtualClock().time)
    await in_order(cache, asking(), asking(method=method, body=body), asking(method=method, body=body))
    assert await cache.send(asking()) == cached(answer(AGENTS), 0, "hit; ttl=30")
    assert len(inner.requests) == 3


@pytest.mark.parametrize("outcome", [answer({}, 201), failure(500), ConnectError("No connection")])
async def test_a_write_drops_the_answers_of_its_key(outcome: Response | TransportError) -> None:
    """Whoever changes something reads the new state, also where it is not known whether it was changed."""
    inner = MockTransport(lambda request: outcome if request.method == "POST" else answer(AGENTS))
    cache = CachingTransport(inner, clock=VirtualClock().time)
    got = await in_order(cache, asking(), asking(OTHER_KEY), asking(method="POST", body=b"{}"), asking())
    assert got == [answer(AGENTS), answer(AGENTS), outcome, answer(AGENTS)]
    assert await cache.send(asking(OTHER_KEY)) == cached(answer(AGENTS), 0, "hit; ttl=30")


async def test_an_answer_that_a_write_overtook_is_not_kept() -> None:
    """It was asked for before, so its callers get it, and nobody else."""
    inner = Held()
    cache = CachingTransport(inner, clock=VirtualClock().time)
    load = asyncio.create_task(cache.send(asking()))
    await turns()
    cache._inner = MockTransport(api)
    await cache.send(asking(method="DELETE"))
    inner.released.set()
    assert [await load, await cache.send(asking())] == [answer(AGENTS)] * 2


async def test_clear_drops_everything() -> None:
    """Also what is under way is not kept when it comes."""
    inner = Held()
    cache = CachingTransport(inner, clock=VirtualClock().time)
    before = asyncio.create_task(cache.send(asking()))
    await turns()
    cache.clear()
    after = asyncio.create_task(cache.send(asking()))
    await turns()
    inner.released.set()
    assert [await before, await after] == [answer(AGENTS)] * 2
    assert await cache.send(asking()) == cached(answer(AGENTS), 0, "hit; ttl=30")
    cache.clear()
    assert await cache.send(asking()) == answer(AGENTS)
    assert inner.requests == 3


async def test_of_too_many_answers_the_one_not_used_for_longest_goes() -> None:
    """The memory is bounded; being served counts as use."""
    inner = MockTransport(api)
    cache = CachingTransport(inner, max_entries=2, clock=VirtualClock().time)
    one, two, three = asking(), asking(OTHER_KEY), asking(url=DOMAINS_URL)
    await in_order(cache, one, two, one, three, one, three)
    assert len(inner.requests) == 3
    await cache.send(two)
    assert len(inner.requests) == 4


async def test_what_caches_on_the_way_said_is_kept() -> None:
    """Ages add up, and each cache adds itself to Cache-Status at the end; what is no age is none."""
    clock = VirtualClock()
    inner = in_turn(answer({}, age="7", cache_status="CDN; hit"), answer({}, age="-7"))
    cache = CachingTransport(inner, clock=clock.time)
    _, one, _, two = await in_order(cache, asking(), asking(), asking(OTHER_KEY), asking(OTHER_KEY))
    assert isinstance(one, Response)
    assert isinstance(two, Response)
    assert (one.headers["Age"], one.headers["Cache-Status"]) == ("7", "CDN; hit, chatloom_async; hit; ttl=30")
    assert (two.headers["Age"], two.headers["Cache-Status"]) == ("0", "chatloom_async; hit; ttl=30")


def test_one_cache_works_in_several_event_loops() -> None:
    """Answers stay; a request that is under way in a loop that does not run is not waited for."""

    async def slow(request: Request) -> Response:
        await turns()
        return api(request)

    inner = MockTransport(slow)
    cache = CachingTransport(inner, clock=VirtualClock().time)
    loop = asyncio.new_event_loop()
    left = loop.create_task(cache.send(asking()))
    loop.run_until_complete(turns(3))
    assert asyncio.run(cache.send(asking())) == answer(AGENTS)
    assert asyncio.run(cache.send(asking())) == cached(answer(AGENTS), 0, "hit; ttl=30")
    assert loop.run_until_complete(left) == answer(AGENTS)
    assert len(inner.requests) == 2
    loop.close()


async def test_closing_drops_the_answers_and_closes_what_is_inside() -> None:
    """The transport inside was often made in the same line, so nobody else could close it."""
    inner = Held()
    inner.released.set()
    cache = CachingTransport(inner, clock=VirtualClock().time)
    await cache.send(asking())
    inner.released.clear()
    await cache.aclose()
    await cache.aclose()
    assert inner.released.is_set()
    await cache.send(asking())
    assert inner.requests == 2


@pytest.mark.parametrize(
    "options", [{"ttl": -1}, {"stale_if_error": -1}, {"max_entries": 0}, {"ttl": float("nan")}, {"ttl": "30"}]
)
def test_numbers_that_cannot_work_are_refused(options: dict[str, Any]) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigurationError, match=rf"^{next(iter(options))} must be a (whole )?number"):
        CachingTransport(MockTransport(api), **options)


async def test_a_caller_sees_where_an_answer_came_from() -> None:
    """By the response of an exchange, through the client."""
    clock = VirtualClock()
    client = AsyncChatloom(KEY, transport=CachingTransport(MockTransport(api), clock=clock.time), clock=clock)
    endpoint = GetAllowedDomains("agt_abc123")
    exchanges = [await client.exchange(endpoint) for _ in range(2)]
    assert [each.response.headers.get("Cache-Status") for each in exchanges] == [None, "chatloom_async; hit; ttl=30"]
