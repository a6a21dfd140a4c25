"""Turns workspaces into readings: what the audit makes of each, how old that is, and what state it is in.

However many pages ask, the API is asked once per URL, key and `TTL`. A reading is a value, and never an exception.
"""

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Literal

from attrs import frozen

from chatloom_async import (
    AsyncChatloom,
    CachingTransport,
    Ok,
    Request,
    Response,
    RetryPolicy,
    Transport,
    TransportError,
    fan_out,
)
from chatloom_async.audit import Row, Workspace, audit

State = Literal["dead-key", "no-key", "unreadable", "stale", "partial", "empty", "ok"]
STATES: dict[str, State] = {  # by the error that a row carries; any other one leaves it unreadable, or partial
    "AuthenticationError": "dead-key",
    "PermissionDeniedError": "dead-key",
    "InvalidApiKeyError": "no-key",
    "KeyUnavailableError": "no-key",
}
TTL, STALE_IF_ERROR, MOST = 30.0, 3600.0, 100_000  # seconds, seconds, answers
PATIENCE = RetryPolicy(attempts=2, throttle_attempts=2, cap=1.0, max_retry_after=1.0)  # somebody looks at a blank page
DEADLINE = 6.0

answers: ContextVar[list[Response]] = ContextVar("answers")  # to the requests of the reading that is being made


@frozen
class Reading:
    """`age` is that of the oldest answer, in seconds, and `stale` says whether the API gave no newer one when asked."""

    workspace: Workspace
    row: Row
    age: int | None = None
    stale: bool = False

    @property
    def state(self) -> State:
        if self.row.error:
            return STATES.get(self.row.error.type) or ("partial" if self.row.state == "partial" else "unreadable")
        return "stale" if self.stale else "ok" if self.row.agents else "empty"


@frozen
class NotingTransport:
    """Lets a reading know the answers that it was made from: they say how old they are."""

    inner: Transport

    async def send(self, request: Request) -> Response | TransportError:
        answer = await self.inner.send(request)
        if isinstance(answer, Response):
            answers.get().append(answer)
        return answer

    async def aclose(self) -> None:
        await self.inner.aclose()


def no_key(*, force_refresh: bool = False) -> str:
    raise LookupError("Every workspace has a key of its own")


def connected(transport: Transport) -> AsyncChatloom:
    """A client for all workspaces. The cache paces it: an audit has eight calls for one key under way at most."""
    return AsyncChatloom(no_key, transport=NotingTransport(transport), rate_limit=None)


def cached(transport: Transport, clock: Callable[[], float]) -> CachingTransport:
    return CachingTransport(transport, TTL, STALE_IF_ERROR, max_entries=MOST, clock=clock)


async def read(workspace: Workspace, chatloom: AsyncChatloom) -> Reading:
    """The key is looked up each time, so a new one in its file is taken up at once, and a `key_command` runs again."""
    noted: list[Response] = []
    answers.set(noted)
    rows = audit([workspace], client=chatloom, retry=PATIENCE, deadline=DEADLINE, max_pause=0.0)
    (row,) = [row async for row in rows]
    good = [answer.headers for answer in noted if answer.status == 200]
    age = max((int(headers.get("age") or 0) for headers in good), default=None)
    stale = any("; ttl=-" in (headers.get("cache-status") or "") for headers in good)
    return Reading(workspace, row, age, stale)


async def read_all(workspaces: Iterable[Workspace], chatloom: AsyncChatloom) -> list[Reading]:
    """Every one, in no order. What is wrong with a workspace is in its reading; anything else is a defect."""
    readings: list[Reading] = []
    async for result in fan_out(workspaces, lambda each: read(each, chatloom), concurrency=16):
        match result:
            case Ok(_, reading):
                readings.append(reading)
            case defect:
                raise defect.error
    return readings
