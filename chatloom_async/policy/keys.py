"""Decides which key the next attempt is signed with, and asks for a fresh one when the API refuses it."""

import asyncio
import inspect
import os
from collections.abc import Awaitable
from contextlib import suppress
from typing import NoReturn, Protocol

from attrs import define

from ..wire.auth import ApiKey, api_key_or_error
from ..wire.errors import InvalidApiKeyError, UsageError

ENVIRONMENT_VARIABLE = "CHATLOOM_API_KEY"
MAX_SUCCESSORS = 256  # refused keys of one provider, which may serve many workspaces


class KeyProvider(Protocol):
    """Gives the key for the next attempt; sync or async. It is asked before every attempt, so it should cache its
    answer, and fetch a new one if `force_refresh` is true: the API has just refused the last one."""

    def __call__(self, *, force_refresh: bool = False) -> str | ApiKey | Awaitable[str | ApiKey]: ...


@define(eq=False, repr=False)
class FixedKey:
    """One key, for good. Using `fixed` instead of `current()` saves nearly every call a coroutine."""

    fixed: ApiKey

    def __str__(self) -> str:
        return f"key {self.fixed.fingerprint}"

    async def current(self) -> ApiKey:
        return self.fixed

    async def renewed(self, refused: ApiKey) -> None:
        return None


@define(eq=False)
class Refresh:
    """A refresh under way, and how many calls wait for it."""

    task: "asyncio.Task[ApiKey | InvalidApiKeyError]"
    waiting: int = 0


class ProvidedKey:
    """Keys from a provider. However many calls are refused at once, the provider is asked to refresh only once. A
    refresh is cancelled when nobody waits for it any more: at their deadlines, or when the client closes.

    A provider need not remember what it refreshed: if its plain answer is a refused key, the key that replaced it is
    used. That one can be refused too, and so on. Raises InvalidApiKeyError for an answer that cannot be a key.
    """

    fixed = None

    def __init__(self, provider: KeyProvider) -> None:
        self._provider = provider
        self._refreshing: dict[ApiKey, Refresh] = {}
        self._successors: dict[ApiKey, ApiKey] = {}

    def __str__(self) -> str:
        return "no key" if self._provider is no_key else "keys from a provider"

    async def current(self) -> ApiKey:
        return self._latest(_checked(await self._ask(force_refresh=False)))

    async def renewed(self, refused: ApiKey) -> ApiKey | None:
        """The key that replaces a refused one, or None if the provider has no other."""
        latest = self._latest(refused)
        if latest != refused:
            return latest
        refresh = self._refreshing.get(refused)
        if refresh is None or refresh.task.get_loop() is not asyncio.get_running_loop():
            refresh = self._refreshing[refused] = Refresh(asyncio.create_task(self._ask(force_refresh=True)))
            refresh.task.add_done_callback(lambda done: self._settle(refused, done))
        refresh.waiting += 1
        try:
            key = _checked(await asyncio.shield(refresh.task))  # one caller's cancellation must not fail the others
        finally:
            refresh.waiting -= 1
            if not refresh.waiting and self._refreshing.get(refused) is refresh:
                del self._refreshing[refused]  # all have given up: the next call asks again
                if not refresh.task.get_loop().is_closed():  # pragma: no branch - closed if a call is collected late
                    refresh.task.cancel()
        return None if key == refused else key

    def _latest(self, key: ApiKey) -> ApiKey:
        while key in self._successors:
            key = self._successors[key]
        return key

    def _settle(self, refused: ApiKey, done: asyncio.Task[ApiKey | InvalidApiKeyError]) -> None:
        """Remembers what a refresh gave."""
        failed = done.cancelled() or done.exception()  # asking for it marks it as retrieved
        refresh = self._refreshing.get(refused)
        if refresh is None or refresh.task is not done:  # given up, or started again in another event loop
            return
        del self._refreshing[refused]
        if failed or isinstance(key := done.result(), InvalidApiKeyError):
            return
        self._successors.pop(key, None)  # the key works again; removing it prevents cycles
        if key != refused:
            self._successors[refused] = key
        if len(self._successors) > MAX_SUCCESSORS:
            del self._successors[next(iter(self._successors))]  # the oldest; it would cost one more refresh

    async def _ask(self, *, force_refresh: bool) -> ApiKey | InvalidApiKeyError:
        """Errors come back as data: this frame holds the key's text, so it must not be on a traceback."""
        answer = self._provider(force_refresh=force_refresh)
        return api_key_or_error(await answer if inspect.isawaitable(answer) else answer)


def no_key(*, force_refresh: bool = False) -> NoReturn:
    """The key provider of a client for many keys: there is none before `with_key()`."""
    raise UsageError("This client has no key: call with_key() and use the client that it returns. Nothing was sent")


def _checked(key: ApiKey | InvalidApiKeyError) -> ApiKey:
    if isinstance(key, InvalidApiKeyError):
        raise key
    return key


KeySource = FixedKey | ProvidedKey
"""What the client asks: the key to use now, and, after a 401, whether there is another one."""


def _check(provider: KeyProvider) -> None:
    """Raises UsageError for a callable that does not take what it is called with, as far as Python knows that."""
    with suppress(ValueError):  # its signature is unknown
        try:
            inspect.signature(provider).bind(force_refresh=False)
        except TypeError:
            name = getattr(provider, "__name__", type(provider).__name__)
            raise UsageError(
                f"{name} cannot be a key provider, because it does not accept force_refresh: "
                "write def provider(*, force_refresh: bool = False)"
            ) from None


def key_source(api_key: str | ApiKey | KeyProvider | None) -> KeySource | InvalidApiKeyError:
    """Where the client's keys come from; None reads CHATLOOM_API_KEY. For an invalid key the error comes back as data,
    so that the frame that holds its text is not on a traceback."""
    if callable(api_key):
        _check(api_key)
        return ProvidedKey(api_key)
    place = ""
    if api_key is None:
        api_key, place = os.environ.get(ENVIRONMENT_VARIABLE), f"Environment variable {ENVIRONMENT_VARIABLE}: "
        if api_key is None:
            return InvalidApiKeyError(
                f"There is no API key: none was passed, and {ENVIRONMENT_VARIABLE} is not set. "
                "For a client that starts without one, use AsyncChatloom.for_many()"
            )
    key = api_key_or_error(api_key)
    return FixedKey(key) if isinstance(key, ApiKey) else InvalidApiKeyError(place + key.message)
