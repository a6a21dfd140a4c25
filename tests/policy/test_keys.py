"""Where keys come from, and how a refused one is replaced."""

import asyncio
import functools
import gc
import traceback
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatloom_async import AsyncChatloom, MockTransport, Request, Response
from chatloom_async.policy.keys import (
    ENVIRONMENT_VARIABLE,
    MAX_SUCCESSORS,
    FixedKey,
    KeySource,
    ProvidedKey,
    Refresh,
    key_source,
)
from chatloom_async.wire.auth import ApiKey
from chatloom_async.wire.errors import InvalidApiKeyError, UsageError
from tests.samples import AGENTS, answer, failure

OLD, NEW, NEWER = ApiKey("clf_old"), ApiKey("clf_new"), ApiKey("clf_newer")


class Vault:
    """A provider that holds one key, rotates it when asked, and counts how often it is asked."""

    def __init__(self, *keys: Any) -> None:
        self.keys = list(keys)
        self.asked: list[bool] = []

    def __call__(self, *, force_refresh: bool = False) -> Any:
        self.asked.append(force_refresh)
        if force_refresh and len(self.keys) > 1:
            self.keys.pop(0)
        return self.keys[0]


class SlowVault(Vault):
    """The same, async, with a pause before the answer."""

    async def _answer(self, key: Any) -> Any:
        for _ in range(5):
            await asyncio.sleep(0)
        if isinstance(key, Exception):
            raise key
        return key

    def __call__(self, *, force_refresh: bool = False) -> Any:
        return self._answer(super().__call__(force_refresh=force_refresh))


def test_a_provider_accepts_what_it_is_called_with() -> None:
    """Otherwise the client says so when it is made, not at its first call. Some builtins tell nothing."""
    message = r"^<lambda> cannot be a key provider, because it does not accept force_refresh: write def provider\(\*, "
    with pytest.raises(UsageError, match=message):
        AsyncChatloom(lambda: "clf_a")  # type: ignore[arg-type, misc]
    assert isinstance(key_source(max), ProvidedKey)


def source(given: Any) -> KeySource:
    """The source of keys for what a caller gives."""
    found = key_source(given)
    assert not isinstance(found, InvalidApiKeyError)
    return found


@pytest.mark.parametrize("given", ["clf_old", OLD])
async def test_one_key_for_good(given: Any) -> None:
    """A fixed key, as text or ApiKey; there is no other after it is refused."""
    keys = source(given)
    assert isinstance(keys, FixedKey)
    assert (await keys.current(), await keys.renewed(OLD)) == (OLD, None)


async def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """None reads CHATLOOM_API_KEY, once, at construction."""
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "clf_old")
    keys = source(None)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "clf_new")
    assert (ENVIRONMENT_VARIABLE, await keys.current()) == ("CHATLOOM_API_KEY", OLD)


@pytest.mark.parametrize(
    ("environment", "given", "problem"),
    [
        (
            None,
            None,
            (
                "There is no API key: none was passed, and CHATLOOM_API_KEY is not set. "
                "For a client that starts without one, use AsyncChatloom.for_many()"
            ),
        ),
        ("", None, "The API key is empty"),
        ("clf_your_api_key_here", None, "The API key is a placeholder, as documentation has it in place of a key"),
        ("canary", None, "The API key does not start with the prefix clf_ of all keys"),
        ("clf_old", "canary", "The API key does not start with the prefix clf_ of all keys"),
        ("clf_old", "", "The API key is empty"),
        ("clf_old", 5, "The API key is a int, not a string"),
        ("clf_old", b"clf_old", "The API key is a bytes, not a string"),
    ],
)
def test_no_key(environment: str | None, given: Any, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error comes as data; a key that was passed wins over the environment, also if it is wrong."""
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    if environment is not None:
        monkeypatch.setenv(ENVIRONMENT_VARIABLE, environment)
    place = f"Environment variable {ENVIRONMENT_VARIABLE}: " if given is None and environment is not None else ""
    assert key_source(given) == InvalidApiKeyError(place + problem)


async def _provide(*, force_refresh: bool = False) -> str:
    return "clf_new" if force_refresh else "clf_old"


PROVIDERS: list[Callable[..., Any]] = [
    lambda *, force_refresh=False: "clf_new" if force_refresh else "clf_old",
    lambda *, force_refresh=False: NEW if force_refresh else OLD,
    _provide,
    functools.partial(_provide),
    lambda force_refresh=False: _provide(force_refresh=force_refresh),
    Vault("clf_old", "clf_new"),
    SlowVault("clf_old", NEW),
]


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_providers(provider: Callable[..., Any]) -> None:
    """Sync or async, text or ApiKey, function or object: it gives the key, and another one after a refusal."""
    keys = source(provider)
    assert (await keys.current(), await keys.renewed(OLD)) == (OLD, NEW)


async def test_a_provider_is_asked_before_every_attempt() -> None:
    """So a key that it rotates by itself is picked up."""
    vault = Vault("clf_old")
    keys = source(vault)
    assert await keys.current() == OLD
    vault.keys = ["clf_new"]
    assert (await keys.current(), vault.asked) == (NEW, [False, False])


async def test_no_other_key() -> None:
    """A provider that gives the refused key again has no other."""
    vault = Vault("clf_old")
    keys = source(vault)
    assert (await keys.renewed(OLD), await keys.renewed(OLD), vault.asked) == (None, None, [True, True])


@pytest.mark.parametrize("kind", [Vault, SlowVault])
async def test_a_hundred_refusals_ask_once(kind: type[Vault]) -> None:
    """Calls that are refused at the same time share one refresh, and those that come later its result."""
    vault = kind("clf_old", "clf_new", "clf_newer")
    keys = source(vault)
    assert await asyncio.gather(*(keys.renewed(OLD) for _ in range(100))) == [NEW] * 100
    assert [await keys.renewed(OLD) for _ in range(100)] == [NEW] * 100
    assert vault.asked == [True]


async def test_rotation_goes_on() -> None:
    """The successor can be refused, too."""
    vault = SlowVault("clf_old", "clf_new", "clf_newer")
    keys = source(vault)
    assert [await keys.renewed(OLD), await keys.renewed(NEW), await keys.renewed(NEW)] == [NEW, NEWER, NEWER]
    assert vault.asked == [True, True]
    assert await keys.renewed(NEWER) is None


async def test_a_refused_key_is_not_used_again_though_the_provider_gives_it() -> None:
    """A provider that forgets what it refreshed costs one refusal for each rotation, not one for each attempt."""
    refreshed = iter([NEW, NEWER])
    keys = source(lambda force_refresh=False: next(refreshed) if force_refresh else OLD)
    assert (await keys.renewed(OLD), await keys.current()) == (NEW, NEW)
    assert (await keys.renewed(NEW), await keys.current(), await keys.renewed(OLD)) == (NEWER, NEWER, NEWER)


async def test_a_key_that_is_given_again_is_good_again() -> None:
    """As after a rotation that was taken back; there is no going round in circles."""
    refreshed = iter([NEW, OLD, NEW, OLD])
    keys = source(lambda force_refresh=False: next(refreshed) if force_refresh else OLD)
    assert [await keys.renewed(OLD), await keys.renewed(NEW), await keys.current()] == [NEW, OLD, OLD]
    assert [await keys.renewed(OLD), await keys.current(), await keys.renewed(NEW)] == [NEW, NEW, OLD]


async def test_the_keys_of_several_workspaces_do_not_mix() -> None:
    """One provider may serve many, and each of its keys has a successor of its own."""
    refreshed = iter(["clf_new", "clf_other_new"])
    keys = source(lambda force_refresh=False: next(refreshed))
    assert [await keys.renewed(OLD), await keys.renewed(ApiKey("clf_other"))] == [NEW, ApiKey("clf_other_new")]
    assert [await keys.renewed(OLD), await keys.renewed(ApiKey("clf_other"))] == [NEW, ApiKey("clf_other_new")]


async def test_only_so_many_refused_keys_are_remembered() -> None:
    """The oldest is forgotten: it would be refreshed once more."""
    numbers, asked = count(), list[int]()

    def provider(*, force_refresh: bool = False) -> ApiKey:
        asked.append(number := next(numbers))
        return ApiKey(f"clf_{number}")

    keys = source(provider)
    for number in range(MAX_SUCCESSORS + 1):
        await keys.renewed(ApiKey(f"clf_refused_{number}"))
    assert await keys.renewed(ApiKey("clf_refused_1")) == ApiKey("clf_1")
    assert (await keys.renewed(ApiKey("clf_refused_0")), len(asked)) == (ApiKey("clf_257"), MAX_SUCCESSORS + 2)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.sampled_from(["rotate", "call", "storm"]), max_size=12), remembers=st.booleans())
def test_whatever_is_rotated_when_a_call_succeeds_with_one_refresh(steps: list[str], remembers: bool) -> None:
    """Of a provider that remembers what it refreshed, and of one that always gives its first key. A hundred calls at
    once share that refresh."""
    expected, stale = list[tuple[int, int]](), 0
    for step in steps:
        if step != "rotate":
            expected.append((100 if step == "storm" else 1, stale))
        stale = int(step == "rotate")
    assert asyncio.run(rotated(steps, remembers=remembers)) == expected


async def rotated(steps: list[str], *, remembers: bool) -> list[tuple[int, int]]:
    """For each step that makes calls, how many of them succeeded, and with how many refreshes."""
    valid, plain, refreshes, seen = 0, 0, 0, list[tuple[int, int]]()

    def provider(*, force_refresh: bool = False) -> str:
        nonlocal plain, refreshes
        refreshes += force_refresh
        plain = valid if force_refresh and remembers else plain
        return f"clf_{valid if force_refresh else plain}"

    def api(request: Request) -> Response:
        return answer(AGENTS) if request.headers["authorization"] == f"Bearer clf_{valid}" else failure(401)

    client = AsyncChatloom(provider, transport=MockTransport(api), rate_limit=None)
    for step in steps:
        refreshes = 0
        if step == "rotate":
            valid += 1
            continue
        lists = await asyncio.gather(*(client.list_agents() for _ in range(100 if step == "storm" else 1)))
        seen.append((sum(each.count for each in lists), refreshes))
    return seen


async def test_a_cancelled_caller_does_not_fail_the_others() -> None:
    """The refresh goes on for whoever still waits."""
    vault = SlowVault("clf_old", "clf_new")
    keys = source(vault)
    tasks = [asyncio.create_task(keys.renewed(OLD)) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    assert (await asyncio.gather(*tasks[1:]), vault.asked) == ([NEW, NEW], [True])
    assert tasks[0].cancelled()


async def test_a_refresh_that_hangs_is_given_up_with_the_last_who_waits() -> None:
    """At their deadlines, or when the client closes; the next call asks again, and gets its answer."""
    asked: list[asyncio.Event] = []
    ended: list[bool] = []

    async def provider(*, force_refresh: bool = False) -> ApiKey:
        asked.append(asyncio.Event())
        if len(asked) == 1:
            try:
                await asked[0].wait()
            finally:
                ended.append(True)
        return NEW

    keys = source(provider)
    tasks = [asyncio.create_task(keys.renewed(OLD)) for _ in range(2)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.wait(tasks[:1])
    assert ended == []
    tasks[1].cancel()
    await asyncio.wait(tasks)
    assert (await keys.renewed(OLD), len(asked), ended) == (NEW, 2, [True])


async def test_a_failure_that_nobody_waits_for_is_not_complained_about() -> None:
    """All callers are gone when the refresh fails: asyncio has no "exception was never retrieved" to report."""
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    keys = source(SlowVault(ValueError("vault is down")))
    task = asyncio.create_task(keys.renewed(OLD))
    await asyncio.sleep(0)
    task.cancel()
    for _ in range(20):
        await asyncio.sleep(0)
    assert task.cancelled()
    del task  # its traceback holds the refresh
    gc.collect()
    assert (complaints, keys._refreshing) == ([], {})  # type: ignore[attr-defined]


async def test_a_provider_that_raises() -> None:
    """Its own exception comes out, to each caller that waited; the next refusal asks anew."""
    trouble = ValueError("vault is down")
    vault = SlowVault(trouble)
    keys = source(vault)
    failures = await asyncio.gather(*(keys.renewed(OLD) for _ in range(3)), return_exceptions=True)
    assert (failures, vault.asked) == ([trouble] * 3, [True])
    with pytest.raises(ValueError, match=r"^vault is down"):
        await keys.current()
    vault.keys = ["clf_new"]
    assert await keys.renewed(OLD) == NEW


@pytest.mark.parametrize(
    ("nonsense", "problem"),
    [
        ("canary0123456789", "does not start with the prefix clf_"),
        ("clf_canary0123456789\n", "a line break"),
        ("", "empty"),
        (None, "NoneType"),
        (b"clf_canary0123456789", "bytes"),
        ({"key": "clf_canary0123456789"}, "dict"),
    ],
)
@pytest.mark.parametrize("kind", [Vault, SlowVault])
@pytest.mark.parametrize("refused", [None, OLD])
async def test_a_provider_that_gives_nonsense(
    nonsense: Any, problem: str, kind: type[Vault], refused: ApiKey | None
) -> None:
    """InvalidApiKeyError without the text: neither in the error nor in any frame of its traceback."""
    keys = source(kind(nonsense))
    with pytest.raises(InvalidApiKeyError, match=problem) as caught:
        await (keys.renewed(refused) if refused else keys.current())
    ours = caught.value.__traceback__.tb_next  # type: ignore[union-attr]  # without this test's own frame
    shown = traceback.TracebackException(InvalidApiKeyError, caught.value, ours, capture_locals=True)
    assert "canary" not in "".join(shown.format())


def test_two_event_loops() -> None:
    """A refresh that was cut off with its event loop does not block the next loop's."""
    vault = SlowVault("clf_old", "clf_new")
    keys = source(vault)

    async def cut_off() -> None:
        asyncio.create_task(keys.renewed(OLD))  # noqa: RUF006
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(cut_off())
    vault.keys = ["clf_old", "clf_new"]
    assert (asyncio.run(keys.renewed(OLD)), vault.asked) == (NEW, [True, True])  # type: ignore[arg-type]


async def test_a_refresh_of_another_loop_is_not_waited_for() -> None:
    """A stale entry is replaced, and its late end does not remove the new one."""
    gate = asyncio.Event()

    async def provider(*, force_refresh: bool = False) -> ApiKey:
        await gate.wait()
        return NEW

    async def never_asked() -> ApiKey:
        return NEWER

    keys = ProvidedKey(provider)
    other = asyncio.new_event_loop()
    stale: Any = other.create_task(never_asked())
    keys._refreshing[OLD] = Refresh(stale)
    waiting = asyncio.create_task(keys.renewed(OLD))
    await asyncio.sleep(0)
    assert keys._refreshing[OLD].task is not stale
    await asyncio.to_thread(other.run_until_complete, stale)
    keys._settle(OLD, stale)
    other.close()
    assert OLD in keys._refreshing
    gate.set()
    assert (await waiting, keys._refreshing) == (NEW, {})
