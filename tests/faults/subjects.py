"""The two that meet the faults, this client and plain aiohttp, and the ways in which they are called."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, Self

import aiohttp
from attrs import frozen

from chatloom_async import AsyncChatloom, Endpoint, GetAllowedDomains, RetryPolicy, Timeouts
from chatloom_async.testing import VirtualClock
from chatloom_async.transports.aiohttp.transport import AiohttpTransport
from tests.faults.scenes import Scene

TIMEOUTS = Timeouts(connect=0.1, read=0.1, attempt=0.3)
QUICK = RetryPolicy(base=0.001, throttle_base=0.001)


class Subject(Protocol):
    """Something that can ask the API a question."""

    async def call(self) -> Any: ...

    async def aclose(self) -> None: ...


class Question(Protocol):
    """What is asked, and with which key. Passed on as a whole: a local variable would show the key in a traceback."""

    @property
    def key(self) -> str: ...

    @property
    def endpoint(self) -> Endpoint[Any]: ...

    @property
    def options(self) -> dict[str, Any]: ...

    @property
    def plain(self) -> dict[str, Any]: ...


class Ours:
    """AsyncChatloom, with timeouts that suit tests."""

    def __init__(self, question: Question, scene: Scene, carrier: Callable[..., Any] = AiohttpTransport) -> None:
        self.transport = scene.transport or carrier(ssl=scene.ssl, proxy=scene.proxy)
        self.clock = VirtualClock() if question.options.get("clock") is VirtualClock else None
        given: dict[str, Any] = {
            "base_url": scene.url,
            "timeouts": TIMEOUTS,
            "retry": QUICK,
            "rate_limit": None,
            "deadline": 2.0,
        }
        given |= question.options | {"clock": self.clock}
        self.client = AsyncChatloom(question.key, transport=self.transport, **given)
        self._endpoint = question.endpoint

    async def call(self) -> Any:
        return await self.client.send(self._endpoint)

    async def aclose(self) -> None:
        await self.client.aclose(drain=0.01)
        await self.transport.aclose()

    @property
    def acquired(self) -> int:
        """Connections that aiohttp believes to be in use."""
        exchanges = getattr(self.transport, "_exchanges", None)
        direct = exchanges.current() if exchanges else None
        return len(direct.connections._acquired) if direct else 0


class Plain:
    """aiohttp as one writes it without much thought, but with the same timeouts."""

    def __init__(self, question: Question, scene: Scene) -> None:
        limits = aiohttp.ClientTimeout(total=TIMEOUTS.attempt, connect=TIMEOUTS.connect, sock_read=TIMEOUTS.read)
        self._session = aiohttp.ClientSession(timeout=limits, **question.plain)
        self._request: dict[str, Any] = {
            "headers": {"Authorization": f"Bearer {question.key}"},
            "ssl": scene.ssl or True,
            "proxy": scene.proxy,
        }
        path = "/api/plugin/agents"
        if isinstance(question.endpoint, GetAllowedDomains):
            path += f"/{question.endpoint.agent_id}/allowed-domains"
        self._url = question.options.get("base_url", scene.url) + path

    async def call(self) -> Any:
        async with self._session.get(self._url, **self._request) as response:
            response.raise_for_status()
            return await response.json()

    async def aclose(self) -> None:
        await self._session.close()


Drive = Callable[[Subject], Awaitable[Any]]


async def once(subject: Subject) -> Any:
    """One call."""
    return await subject.call()


def times(count: int) -> Drive:
    """One call after the other, the last one counts."""

    async def drive(subject: Subject) -> Any:
        for _ in range(count - 1):
            try:
                await subject.call()
            except Exception:
                continue
        return await subject.call()

    return drive


UNDER_WAY = 0.05
"""Seconds after which a call has sent its request, if it is not the first one of its process."""


async def cancelled(subject: Subject) -> Any:
    """Somebody loses interest while the call is under way."""
    task = asyncio.create_task(subject.call())
    await asyncio.sleep(UNDER_WAY)
    task.cancel()
    return await task


async def outer_timeout(subject: Subject) -> Any:
    """The caller has a time limit of its own."""
    async with asyncio.timeout(UNDER_WAY):
        return await subject.call()


async def after_close(subject: Subject) -> Any:
    """A call that comes too late."""
    await subject.aclose()
    return await subject.call()


async def close_under_way(subject: Subject) -> Any:
    """Somebody closes the client meanwhile."""
    task = asyncio.create_task(subject.call())
    await asyncio.sleep(UNDER_WAY)
    await subject.aclose()
    return await task


async def two_loops(subject: Subject) -> Any:
    """Two `asyncio.run()`, one after the other."""
    await asyncio.to_thread(asyncio.run, subject.call())
    return await asyncio.to_thread(asyncio.run, subject.call())


@frozen
class Outcome:
    """How it ended: `result` is the answer or the exception."""

    result: Any
    elapsed: float
    requests: int
    subject: Subject | None

    @classmethod
    async def of(
        cls, make: Callable[[Question, Scene], Subject], question: Question, scene: Scene, drive: Drive
    ) -> Self:
        """Makes the subject and calls it. A constructor that refuses is an outcome too."""
        began, subject = time.perf_counter(), None
        try:
            subject = make(question, scene)
            result = await drive(subject)
        except (Exception, asyncio.CancelledError) as error:
            result = error
        elapsed = time.perf_counter() - began
        return cls(result, elapsed, len(scene.server.requests) if scene.server else 0, subject)
