"""Where a client may live: event loops, clones, closing, and what is never shown of it."""

import asyncio
import copy
import gc
import pickle
import subprocess
import sys
import time
import traceback
from collections import Counter
from math import inf
from typing import Any

import pytest
import tenacity

from chatloom_async import (
    AgentList,
    ApiKey,
    AsyncChatloom,
    AuthenticationError,
    ChatloomError,
    ClientClosedError,
    ConfigurationError,
    DeadlineExceededError,
    GetAllowedDomains,
    InvalidApiKeyError,
    InvalidBaseUrlError,
    MockTransport,
    NotFoundError,
    RateLimit,
    Request,
    Response,
    RetryPolicy,
    Sandbox,
    ServerError,
    Transport,
)
from chatloom_async.testing import VirtualClock
from tests.samples import KEY, OTHER_KEY, answer, api, failure, in_turn


def test_the_import_and_the_constructor_leave_the_heavy_packages_alone() -> None:
    """A program that only might call the API does not pay for an HTTP stack, or for retries that never come."""
    code = (
        "import sys; from chatloom_async import AsyncChatloom; "
        "client = AsyncChatloom.for_many(); clone = client.with_key('clf_9876543210'); "
        "assert not sys.modules.keys() & {'aiohttp', 'cattrs', 'msgspec', 'tenacity', 'rich'}; print(client)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "<AsyncChatloom https://chatloom.app, no key>\n"


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_the_first_failure_is_reported_where_no_descriptor_is_left() -> None:
    """What retries it is imported with the transport; a later import could not open its file."""
    code = """if True:
        import asyncio, os, resource
        from chatloom_async import AsyncChatloom, ConnectError

        async def main():
            async with AsyncChatloom("clf_0123456789", base_url="http://127.0.0.1:9", deadline=5) as client:
                resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
                held = []
                try:
                    while True:
                        held.append(os.open(os.devnull, os.O_RDONLY))
                except OSError:
                    pass
                try:
                    await client.list_agents()
                except ConnectError as error:
                    problem = error
                for each in held:
                    os.close(each)
                print(problem.reason)

        asyncio.run(main())
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("local\n", "")


def test_one_client_works_in_two_event_loops() -> None:
    """Constructed outside of any loop, used by two `asyncio.run()` over real sockets, closed in a third."""
    sandbox = Sandbox(seed=7)
    acme = sandbox.add_workspace("acme", agents=3)
    client = None

    async def count() -> int:
        nonlocal client
        async with sandbox.serve() as url:
            client = (client or AsyncChatloom(acme.key)).with_options(base_url=url)
            return len(await client.list_agents())

    root = client = AsyncChatloom(acme.key)
    assert [asyncio.run(count()), asyncio.run(count())] == [3, 3]
    asyncio.run(root.aclose())


async def test_a_subclass_may_wrap_the_transport() -> None:
    """It is asked once, for the client and all of its clones; a borrowed transport stays open."""
    wrapped: list[Transport] = []

    class Wrapping(AsyncChatloom):
        @staticmethod
        def wrap_transport(transport: Transport) -> Transport:
            wrapped.append(transport)
            return MockTransport(transport.send)

    inner = MockTransport(api)
    async with Wrapping(KEY, transport=inner) as client:
        await client.list_agents()
        await client.with_key(OTHER_KEY).list_agents()
    assert (wrapped, len(inner.requests)) == ([inner], 2)


def test_the_clock_of_a_client_can_be_asked_for() -> None:
    """The one that it was given, or the machine's."""
    clock = VirtualClock()
    assert AsyncChatloom(KEY, clock=clock).clock is clock
    assert AsyncChatloom(KEY).with_key(OTHER_KEY).clock.time() == pytest.approx(time.monotonic(), abs=60.0)


async def test_fifty_concurrent_calls_each_get_their_own_result() -> None:
    """Failures, retries and successes at the same time never mix."""
    tries: Counter[str] = Counter()

    async def handler(request: Request) -> Response:
        agent = request.url.split("/")[-2]
        tries[agent] += 1
        await asyncio.sleep(0)
        match int(agent[4:]) % 4:
            case 0:
                return failure(404, agent)
            case 1 if tries[agent] < 3:
                return failure(500, agent)
            case 2 if tries[agent] < 2:
                return failure(429, agent)
        return answer({"domains": [f"{agent}.example"]})

    unhurried = RetryPolicy(base=0.0, throttle_base=0.0)
    client = AsyncChatloom(KEY, transport=MockTransport(handler), retry=unhurried, rate_limit=None)
    ids = [f"agt_{number}" for number in range(50)]
    results = await asyncio.gather(*(client.get_allowed_domains(each) for each in ids), return_exceptions=True)
    told = [r.message if isinstance(r, NotFoundError) else next(iter(r)).removesuffix(".example") for r in results]  # type: ignore[union-attr]
    assert told == ids
    assert [type(r).__name__ for r in results] == [
        "NotFoundError" if number % 4 == 0 else "AllowedDomains" for number in range(50)
    ]
    assert [tries[each] for each in ids] == [(1, 3, 2, 1)[number % 4] for number in range(50)]


async def test_with_key_shares_everything_but_the_key() -> None:
    """One client for many workspaces: same transport, own budget for each key."""
    transport = MockTransport(api)
    client = AsyncChatloom(KEY, transport=transport)
    async with client.with_key(OTHER_KEY) as other:
        await other.list_agents()
    await client.list_agents()  # leaving the clone's block closed nothing
    assert [r.headers["Authorization"] for r in transport.requests] == [f"Bearer {OTHER_KEY}", f"Bearer {KEY}"]
    assert list(client.limits) == [ApiKey(OTHER_KEY).fingerprint, ApiKey(KEY).fingerprint]


async def test_with_key_refuses_what_cannot_be_a_key() -> None:
    """As the constructor does, without a word of it."""
    with pytest.raises(InvalidApiKeyError) as caught:
        AsyncChatloom(KEY, transport=MockTransport(api)).with_key("sk_SECRET")
    assert "SECRET" not in str(caught.value)


async def test_with_options_changes_what_is_named_and_nothing_else() -> None:
    """A stricter clone beside the original."""
    transport = MockTransport(lambda _: failure(500))
    client = AsyncChatloom(KEY, transport=transport, clock=VirtualClock())
    single = client.with_options(retry=None, base_url="http://localhost:8080/", rate_limit=RateLimit(burst=1))
    with pytest.raises(ServerError) as caught:
        await single.list_agents()
    assert (caught.value.stop_reason, len(transport.requests)) == ("disabled", 1)
    assert transport.requests[0].url == "http://localhost:8080/api/plugin/agents"
    assert (list(client.limits), list(single.limits)) == ([], [ApiKey(KEY).fingerprint])


class SharedLimiterOfMine:
    """Lets everything through; writes down the names it is given, and makes them of what no other process can salt."""

    def __init__(self) -> None:
        self.names: list[tuple[str, str]] = []

    def fingerprint(self, key: ApiKey) -> str:
        return f"{len(key.reveal())} characters"

    async def acquire(self, key: str) -> None:
        self.names.append(("acquire", key))

    def release(self, key: str, outcome: str, retry_after: float | None = None) -> None:
        self.names.append((outcome, key))


async def test_a_shared_limiter_names_the_keys() -> None:
    """A name that is the same in every process, from the limiter itself; a clone with another limiter has others."""
    limiter = SharedLimiterOfMine()
    client = AsyncChatloom(KEY, transport=MockTransport(api), rate_limit=limiter)
    await client.list_agents()
    own = client.with_options(rate_limit=RateLimit())
    await own.list_agents()
    name = f"{len(KEY)} characters"
    assert limiter.names == [("acquire", name), ("succeeded", name)]
    assert (dict(client.limits), list(own.limits)) == ({}, [ApiKey(KEY).fingerprint])


async def test_limits_show_what_the_limiter_is_doing() -> None:
    """The snapshot after a 429 with Retry-After: a slower rate, and the end of the pause."""
    client = AsyncChatloom(KEY, transport=MockTransport(lambda _: failure(429, retry_after="30")), retry=None)
    with pytest.raises(ChatloomError):
        await client.list_agents()
    (state,) = client.limits.values()
    assert (state.rate, state.queued, state.in_flight) == (2.8, 0, 0)
    assert state.paused_until is not None
    assert client.with_options(rate_limit=None).limits == {}


async def test_a_provider_is_asked_before_every_attempt_and_refreshed_after_a_401() -> None:
    """A rotated key costs one extra request, not an error."""
    asked: list[bool] = []

    async def provider(*, force_refresh: bool = False) -> str:
        asked.append(force_refresh)
        return OTHER_KEY if True in asked else KEY

    transport = in_turn(failure(401))
    client = AsyncChatloom(provider, transport=transport)
    assert len(await client.list_agents()) == 1
    assert len(await client.list_agents()) == 1
    assert asked == [False, True, False]
    sent = [request.headers["Authorization"] for request in transport.requests]
    assert sent == [f"Bearer {KEY}", f"Bearer {OTHER_KEY}", f"Bearer {OTHER_KEY}"]


async def test_a_refresh_that_brings_the_same_key_is_no_reason_to_try_again() -> None:
    """The 401 is raised; no loop with the authentication."""
    transport = MockTransport(lambda _: failure(401))
    client = AsyncChatloom(lambda force_refresh=False: KEY, transport=transport)
    with pytest.raises(AuthenticationError):
        await client.list_agents()
    assert len(transport.requests) == 1


async def test_a_refreshed_key_that_is_refused_too_ends_the_call() -> None:
    """One refresh for a call, not one for each refusal."""
    keys = iter([KEY, OTHER_KEY, "clf_third"])
    transport = MockTransport(lambda _: failure(401))
    client = AsyncChatloom(lambda force_refresh=False: next(keys), transport=transport)
    with pytest.raises(AuthenticationError) as caught:
        await client.list_agents()
    assert (len(transport.requests), len(caught.value.attempts)) == (2, 2)


def test_the_key_comes_from_the_environment_where_none_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    """CHATLOOM_API_KEY and CHATLOOM_BASE_URL; without a key, the error says what to do."""
    monkeypatch.setenv("CHATLOOM_API_KEY", KEY)
    monkeypatch.setenv("CHATLOOM_BASE_URL", "http://127.0.0.1:9")
    assert repr(AsyncChatloom()) == f"<AsyncChatloom http://127.0.0.1:9, key {ApiKey(KEY).fingerprint}>"
    monkeypatch.delenv("CHATLOOM_API_KEY")
    with pytest.raises(InvalidApiKeyError, match="CHATLOOM_API_KEY is not set"):
        AsyncChatloom()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"base_url": "http://chatloom.app"}, InvalidBaseUrlError),
        ({"auth": "basic"}, ConfigurationError),
        ({"deadline": 0}, ConfigurationError),
        ({"deadline": "60"}, ConfigurationError),
        ({"timeouts": 5.0}, ConfigurationError),
        ({"retry": 3}, ConfigurationError),
        ({"rate_limit": 4}, ConfigurationError),
        ({"on_attempt": 5}, ConfigurationError),
        ({"api_key": "sk_wrong"}, InvalidApiKeyError),
        ({"api_key": b"clf_bytes"}, InvalidApiKeyError),
    ],
)
def test_options_that_cannot_work_are_refused_at_construction(options: dict[str, object], error: type) -> None:
    """Before any I/O, with an error that is a ValueError too, and without a word of the key anywhere in it."""
    with pytest.raises(error) as caught:
        AsyncChatloom(**{"api_key": KEY, **options})  # type: ignore[arg-type]
    assert isinstance(caught.value, ValueError)
    trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in trace.stack if "chatloom_async" in frame.filename and "tests" not in frame.filename]
    assert not any("SECRET" in str(frame.locals) or "sk_wrong" in str(frame.locals) for frame in ours)


def test_a_client_refuses_to_be_pickled_or_copied() -> None:
    """It holds a key and sockets."""
    client = AsyncChatloom(KEY)
    refusal = r"^An AsyncChatloom cannot be pickled or copied: use with_key\(\), or make one in each process\.$"
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match=refusal):
            attempt(client)


async def test_a_closed_client_says_so() -> None:
    """Closing twice is fine; calling afterwards is not; clones are closed with it."""
    transport = MockTransport(api)
    client = AsyncChatloom(KEY, transport=transport)
    clone = client.with_key(OTHER_KEY)
    await client.aclose()
    await client.aclose()
    for each in (client, clone):
        with pytest.raises(ClientClosedError):
            await each.list_agents()
    with pytest.raises(ClientClosedError):
        async with client:
            pass
    assert transport.requests == []


async def test_closing_lets_calls_under_way_finish() -> None:
    """`drain` is the time they have."""
    answered = asyncio.Event()

    async def handler(request: Request) -> Response:
        await answered.wait()
        return api(request)

    client = AsyncChatloom(KEY, transport=MockTransport(handler))
    call = asyncio.create_task(client.list_agents())
    await asyncio.sleep(0)
    closing = asyncio.create_task(client.aclose())
    await asyncio.sleep(0)
    answered.set()
    await closing
    assert isinstance(await call, AgentList)


async def test_closing_ends_what_does_not_finish_in_time() -> None:
    """Calls in the limiter's queue, on the wire and in back-off all end with ClientClosedError."""

    async def never(request: Request) -> Response:
        if request.url.endswith("/allowed-domains"):
            return failure(503, retry_after="50")
        await asyncio.Event().wait()
        raise AssertionError

    client = AsyncChatloom(KEY, transport=MockTransport(never), rate_limit=RateLimit(concurrency=2))
    calls = [asyncio.create_task(client.send(GetAllowedDomains("agt_1")))]
    await asyncio.sleep(0.01)
    calls += [asyncio.create_task(client.list_agents()) for _ in range(3)]
    await asyncio.sleep(0.01)
    await client.aclose(drain=0.0)
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [ClientClosedError] * 4


async def test_the_deadline_includes_the_wait_in_the_limiter() -> None:
    """A call that never got its turn ends on time, with no attempt made on the wire."""
    transport = MockTransport(api)
    client = AsyncChatloom(KEY, transport=transport, deadline=0.02, rate_limit=RateLimit(per_second=0.01, burst=1))
    await client.list_agents()
    with pytest.raises(DeadlineExceededError) as caught:
        await client.list_agents()
    assert (len(transport.requests), caught.value.last) == (1, None)


async def test_the_deadline_cuts_an_attempt_short_and_names_the_last_failure() -> None:
    """The first attempt failed, the second never ended."""

    async def second(_: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError

    policy = RetryPolicy(base=0.0)
    client = AsyncChatloom(KEY, transport=in_turn(failure(500, "Oops"), then=second), deadline=0.03, retry=policy)
    with pytest.raises(DeadlineExceededError) as caught:
        await client.list_agents()
    assert caught.value.last == ServerError("Oops", status=500)
    assert [type(attempt.error) for attempt in caught.value.attempts] == [ServerError, DeadlineExceededError]


async def test_a_tenacity_object_of_the_callers_own_decides_instead() -> None:
    """It sees our exceptions, is copied for each call, and its last failure is raised as it is."""
    mine = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(NotFoundError), stop=tenacity.stop_after_attempt(2)
    )
    transport = in_turn(failure(404), failure(404), failure(404))
    client = AsyncChatloom(KEY, transport=transport, retry=mine)
    with pytest.raises(NotFoundError) as caught:
        await client.list_agents()
    assert [attempt.status for attempt in caught.value.attempts] == [404, 404]
    assert len(await client.list_agents()) == 1
    assert mine.statistics == {}


async def test_a_programming_error_in_a_transport_is_not_dressed_up() -> None:
    """Only failures of the transport are ours; a bug stays what it is."""
    client = AsyncChatloom(KEY, transport=in_turn(ZeroDivisionError("bug")))
    with pytest.raises(ZeroDivisionError, match=r"^bug"):
        await client.list_agents()
    (state,) = client.limits.values()
    assert state.in_flight == 0


async def test_a_timeout_that_is_not_ours_is_not_taken_for_ours() -> None:
    """A provider's own TimeoutError propagates."""

    async def provider(*, force_refresh: bool = False) -> str:
        raise TimeoutError("the vault is slow")

    with pytest.raises(TimeoutError, match=r"^the vault is slow"):
        await AsyncChatloom(provider, transport=MockTransport(api)).list_agents()


async def test_a_providers_deadline_is_not_the_calls() -> None:
    """The error of a provider that makes calls of its own propagates as it is."""
    vault = DeadlineExceededError("the vault is slow")

    async def provider(*, force_refresh: bool = False) -> str:
        raise vault

    with pytest.raises(DeadlineExceededError) as caught:
        await AsyncChatloom(provider, transport=MockTransport(api)).list_agents()
    assert caught.value is vault


async def test_without_a_deadline_and_limits_nothing_bounds_a_call() -> None:
    """None lifts each of them."""
    client = AsyncChatloom(KEY, transport=MockTransport(api), deadline=None, rate_limit=None, retry=None)
    assert len(await client.list_agents()) == 1
    assert client.limits == {}


async def test_a_forgotten_client_is_a_resource_warning_that_names_it() -> None:
    """The class and the line where it was made; no key."""
    sandbox = Sandbox(seed=7)
    acme = sandbox.add_workspace("acme", agents=1)
    async with sandbox.serve() as url:
        client: AsyncChatloom | None = AsyncChatloom(acme.key, base_url=url)
        assert client is not None
        await client.list_agents()
        with pytest.warns(
            ResourceWarning, match=r"^AsyncChatloom \(created at .*test_lifecycle.py:\d+\) was not closed"
        ):
            client = None


def test_infinity_is_no_deadline_but_is_accepted() -> None:
    """A number above zero, however large."""
    assert repr(AsyncChatloom(KEY, deadline=inf))


ABANDONED = {"in flight": (2, 0), "waiting for the gate": (2, 256), "just let in": (3, 0), "just let through": (3, 256)}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("calls", "others"), ABANDONED.values(), ids=list(ABANDONED))
def test_calls_of_a_loop_that_was_closed_under_them_give_back_what_they_hold(calls: int, others: int) -> None:
    """Nobody cancelled them, so they end when they are collected: once another loop has asked for the client."""
    open_to_all = False

    async def handler(request: Request) -> Response:
        if not open_to_all:
            await asyncio.get_running_loop().create_future()
        return api(request)

    limit = RateLimit(per_second=1000.0, burst=1000, concurrency=2)
    client = AsyncChatloom(KEY, transport=MockTransport(handler), retry=None, deadline=None, rate_limit=limit)
    unlimited = client.with_options(rate_limit=None)  # behind the same gate

    async def under_way() -> list[asyncio.Task[object]]:
        tasks: list[asyncio.Task[object]] = [asyncio.create_task(unlimited.list_agents()) for _ in range(others)]
        await asyncio.sleep(0.01)
        tasks += [asyncio.create_task(client.list_agents()) for _ in range(calls)]
        await asyncio.sleep(0.01)
        return tasks

    for _ in range(2):
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda *_: None)  # it complains of the tasks, and is right
        tasks = loop.run_until_complete(under_way())
        if calls > 2:  # one ends, the next gets what it had, and the loop stops before that one runs
            tasks[0].cancel()
            loop.call_soon(loop.stop)
            loop.run_forever()
        loop.close()
        del tasks, loop
    open_to_all = True

    async def after() -> AgentList:
        waiting = asyncio.create_task(client.list_agents())
        await asyncio.sleep(0.01)
        gc.collect()
        return await asyncio.wait_for(waiting, 5.0)

    assert [type(asyncio.run(after())) for _ in range(3)] == [AgentList] * 3
    assert [state.in_flight for state in client.limits.values()] == [0]


class Derived(AsyncChatloom):
    """A client of the user's own, with a constructor of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(KEY, **options)


async def test_the_warning_names_the_users_line_for_a_subclass_too() -> None:
    """Not the line in the subclass's constructor, and not one of ours."""
    sandbox = Sandbox(seed=7)
    acme = sandbox.add_workspace("acme", agents=1)
    async with sandbox.serve() as url:
        made: list[tuple[AsyncChatloom, int]] = []
        made.append((Derived(base_url=url), line_number()))
        made.append((AsyncChatloom.for_many(base_url=url), line_number()))
        for client, line in made:
            await client.with_key(acme.key).list_agents()
            name = f"{type(client).__name__} (created at {__file__}:{line})"
            assert client._shared.name == name
            await client.aclose()


def line_number() -> int:
    """The line of the caller."""
    return sys._getframe(1).f_lineno


async def test_max_in_flight_bounds_the_client_and_its_clones() -> None:
    """Over all keys together."""
    now = most = 0

    async def handler(request: Request) -> Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return api(request)

    client = AsyncChatloom(KEY, transport=MockTransport(handler), rate_limit=None, max_in_flight=3)
    await asyncio.gather(*(client.with_key(f"clf_{number}").list_agents() for number in range(20)))
    assert most == 3


FORK = """if True:
    import asyncio, os, sys
    from chatloom_async import AsyncChatloom, MockTransport, RateLimit, Response

    stuck = True

    async def handler(request):
        if stuck:
            await asyncio.Event().wait()
        return Response(200, {}, b'{"agents": [], "count": 0}')

    client = AsyncChatloom(
        "clf_0123456789", transport=MockTransport(handler), max_in_flight=8, deadline=5.0,
        rate_limit=RateLimit(per_second=100.0, burst=100, concurrency=4),
    )

    async def call():
        return await client.list_agents()

    async def many():
        global stuck
        stuck = False
        results = await asyncio.gather(*(call() for _ in range(20)))
        await client.aclose(drain=1.0)
        return len(results), [state.in_flight for state in client.limits.values()]

    async def main():
        tasks = [asyncio.create_task(call()) for _ in range(12)]
        await asyncio.sleep(0.05)
        child = os.fork()
        if child == 0:
            print(asyncio.run(many()), flush=True)
            for task in tasks:
                task.get_coro().close()
            print([state.in_flight for state in client.limits.values()], flush=True)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print([state.in_flight for state in client.limits.values()])
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no fork")
def test_a_child_process_does_not_wait_for_the_parents_calls() -> None:
    """Forked in the middle of calls: the parent's permits and time limits are not the child's, nor are its releases."""
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("(20, [0])\n[0]\n[4]\n", "")
