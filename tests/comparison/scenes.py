"""What an API does to its clients, one scene each, on a real socket. A scene gives what came of it, in a few words."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from chatloom_async.testing.clock import VirtualClock
from chatloom_async.testing.plugin import renderings
from tests.samples import AGENT, AGENTS, KEY

Opened = Callable[..., AbstractAsyncContextManager[Any]]
"""Opens a client for an address: `list_agents()` and, for one call, a limit of `seconds`."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(*answers: Handler) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """A server that gives these answers in turn, the last one for ever; its address and what it was asked."""
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        return await answers[min(len(asked), len(answers)) - 1](request)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/"), asked


def status(code: int, **headers: str) -> Handler:
    """An error of this status."""

    async def answer(_: web.Request) -> web.Response:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response({"error": "no"}, status=code, headers=names)

    return answer


def found(document: Any = AGENTS) -> Handler:
    """A good answer."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(document)

    return answer


async def outcome(call: Awaitable[Any]) -> str:
    """`answers`, or the name of what it raises."""
    try:
        await call
    except Exception as error:  # whatever comes of it
        return type(error).__name__
    return "answers"


async def told_in_seconds(opened: Opened, clock: VirtualClock) -> str:
    """A 429 that says when to come again."""
    async with serving(status(429, Retry_After="7"), found()) as (url, _), opened(url) as client:
        told = await outcome(client.list_agents())
    return f"{told}, after {sum(clock.slept):.0f} s"


async def told_by_date(opened: Opened, clock: VirtualClock) -> str:
    """The other form that HTTP has for it."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    async with serving(status(429, Retry_After=date), found()) as (url, _), opened(url) as client:
        told = await outcome(client.list_agents())
    return f"{told}, after the wait" if sum(clock.slept) > 15 else told


async def told_for_an_hour(opened: Opened, clock: VirtualClock) -> str:
    """More patience than any caller has."""
    async with serving(status(503, Retry_After="3600"), found()) as (url, _), opened(url) as client:
        told = await outcome(client.list_agents())
    return f"{told}, after {sum(clock.slept):.0f} s"


async def silence(opened: Opened, clock: VirtualClock) -> str:
    """A server that takes the request, and never answers."""

    async def silent(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        raise AssertionError

    async with serving(silent) as (url, asked), opened(url, seconds=0.3) as client:
        return f"{await outcome(client.list_agents())}, after {len(asked)} of 0.3 s"


async def elsewhere(opened: Opened, clock: VirtualClock) -> str:
    """A redirect, which the API is not documented to give to https."""
    async with (
        serving(found()) as (other, asked),
        serving(status(302, Location=f"{other}/x")) as (url, _),
        opened(url) as client,
    ):
        told = await outcome(client.list_agents())
    return f"{told}, from the other host" if asked else told


async def shown_key(opened: Opened, clock: VirtualClock) -> str:
    """An error that somebody logs."""
    async with serving(status(404)) as (url, _), opened(url) as client:
        try:
            await client.list_agents()
        except Exception as error:  # whatever it is
            shown = [
                place for place, text in renderings(error) if KEY in (text if isinstance(text, str) else str(text))
            ]
    return ", ".join(shown) or "nowhere"


async def null_name(opened: Opened, clock: VirtualClock) -> str:
    """An answer that is not what is documented."""
    async with serving(found({"agents": [{**AGENT, "name": None}], "count": 1})) as (url, _), opened(url) as client:
        return await outcome(client.list_agents())


async def new_field(opened: Opened, clock: VirtualClock) -> str:
    """One that holds more than is documented."""
    async with serving(found({"agents": [{**AGENT, "avatar": "x"}], "count": 1})) as (url, _), opened(url) as client:
        return await outcome(client.list_agents())


async def outage(opened: Opened, clock: VirtualClock) -> str:
    """How much is asked of an API that is down."""
    async with serving(status(503)) as (url, asked), opened(url) as client:
        for _ in range(100):
            await outcome(client.list_agents())
    return f"{len(asked)} requests"


async def crowd(opened: Opened, clock: VirtualClock) -> str:
    """How much of one key is under way."""
    now, most = 0, 0

    async def busy(request: web.Request) -> web.StreamResponse:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1
        return await found()(request)

    async with serving(busy) as (url, _), opened(url) as client:
        await asyncio.gather(*(client.list_agents() for _ in range(50)))
    return f"{most} at once"


SCENES: dict[str, Callable[[Opened, VirtualClock], Awaitable[str]]] = {
    "429, `Retry-After: 7`": told_in_seconds,
    "429, `Retry-After` as a date": told_by_date,
    "503, `Retry-After: 3600`": told_for_an_hour,
    "no answer, limit 0.3 s": silence,
    "redirect to another host": elsewhere,
    "404: where its error shows the key": shown_key,
    "`null` instead of a name": null_name,
    "a field that is new": new_field,
    "100 calls in an outage (503)": outage,
    "50 calls of one key": crowd,
}
