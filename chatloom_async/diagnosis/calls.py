"""Checks the client with real calls: the answer, keep-alive, and this machine's clock against the `Date` header."""

import ssl
from collections.abc import Callable
from datetime import datetime, timedelta
from statistics import median
from typing import Final

from ..client import AsyncChatloom
from ..endpoints.agents import AgentList, ListAgents
from ..policy.clock import Clock
from ..policy.retry import RetryPolicy
from ..transports.aiohttp.transport import AiohttpTransport
from ..transports.interface import Transport
from ..wire.auth import ApiKey
from ..wire.errors import ChatloomError
from ..wire.message import Exchange, Response
from ..wire.status import APIStatusError, AuthenticationError, http_date, status_error
from .observation import Observation, TimeLimit, ok, skipped, warning, wrong


class CountingTransport(AiohttpTransport):
    """`opened` is the number of connections so far, TLS handshakes included."""

    def __init__(self, *, ssl: ssl.SSLContext | None = None) -> None:
        super().__init__(ssl=ssl, on_connect=self._count, name=type(self).__name__)
        self.opened: int = 0

    def _count(self) -> None:
        self.opened += 1


TOLERATED: Final = timedelta(seconds=30)
ROUNDING: Final = timedelta(seconds=0.5)  # the average error of a Date header, which has whole seconds
ADVICE: Final = "Synchronize it (NTP): certificates, and dates in Retry-After, are judged by it."


def check_clock(answered: tuple[Response, datetime] | None) -> Observation:
    """How far this machine's clock is off, measured when the answer came. None: there was no answer."""
    if answered is None:
        return skipped("clock", "not compared: there is no answer")
    response, arrived = answered
    date = http_date(response.headers.get("date", ""))
    if date is None:
        return skipped("clock", "not compared: the answer has no readable Date")
    ahead = arrived - date - ROUNDING
    seconds = round(ahead.total_seconds(), 1)
    if abs(ahead) <= TOLERATED:
        return ok("clock", f"within {max(1, round(abs(seconds)))} s of the server's", ahead=seconds)
    direction = "ahead of" if seconds > 0 else "behind"
    return warning("clock", f"{_span(abs(ahead.total_seconds()))} {direction} the server's", ADVICE, ahead=seconds)


def _span(seconds: float) -> str:
    """The time in a readable unit."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


TIMES: Final = 3
ONCE_MORE: Final = RetryPolicy(attempts=2, throttle_attempts=1)
"""For a server that closes idle connections silently: only the second call fails."""

PATH: Final = ListAgents.path
NO_KEEP_ALIVE: Final = (
    "Each call pays for a new connection: the server, or something between, closes it after every answer."
)


async def check_without_key(address: str, transport: Transport) -> Observation:
    """Calls without a key. A 401 shows that the API is reachable."""
    outcome = await transport.send(ListAgents().request(address))
    error = status_error(outcome) if isinstance(outcome, Response) else outcome
    if error is None:
        return warning("answer", f"GET {PATH} without a key: 200, not 401", "Check that base_url points at the API.")
    if isinstance(error, AuthenticationError):
        return ok("answer", f"GET {PATH} without a key: 401, as it should be", status=401)
    return _failed("answer", error)


async def check_calls(
    address: str,
    key: ApiKey,
    transport: Transport,
    opened: Callable[[], int],
    limit: TimeLimit,
    *,
    clock: Clock | None = None,
) -> list[Observation]:
    """Makes one call without retries; if it succeeds, makes some more and measures them.

    `opened` gives the number of connections that `transport` has opened so far.
    """
    client = AsyncChatloom(
        key, base_url=address, transport=transport, retry=None, rate_limit=None, deadline=limit.left, clock=clock
    )
    try:
        first = await client.exchange(ListAgents())
    except ChatloomError as error:
        return [_failed("call", error)]
    try:
        patient = client.with_options(retry=ONCE_MORE)
        times = [(await patient.exchange(ListAgents())).elapsed for _ in range(TIMES)]
    except ChatloomError as error:
        found = f"the first call worked, a later one did not: {_message(error)}"
        return [_listed(first), warning("latency", found, error.hint, error=type(error).__name__)]
    return [_listed(first), _latency(times, opened())]


def _listed(exchange: Exchange[AgentList]) -> Observation:
    agents, status = exchange.value, exchange.response.status
    found = f"GET {PATH}: {status}, {len(agents)} agent{'' if len(agents) == 1 else 's'}"
    if agents.complete:
        return ok("call", found, status=status, agents=len(agents))
    advice = "Send request and response to support@chatloom.app: chatloom doctor --contract --report report.md"
    return warning(
        "call", f"{found}, but it states {agents.count}, or has an id twice", advice, status=status, agents=len(agents)
    )


def _latency(times: list[float], opened: int) -> Observation:
    fastest, middle = min(times) * 1000, median(times) * 1000
    facts = {"calls": len(times), "min_ms": round(fastest, 2), "median_ms": round(middle, 2), "connections": opened}
    found = f"min {fastest:.1f} ms, median {middle:.1f} ms of {len(times)} calls"
    if opened > 1:
        return warning("latency", f"{found}, without keep-alive", NO_KEEP_ALIVE, **facts)
    return ok("latency", f"{found} on one connection", **facts)


def _failed(subject: str, error: ChatloomError) -> Observation:
    status = error.status if isinstance(error, APIStatusError) else None
    return wrong(subject, f"GET {PATH}: {_message(error)}", error.hint, error=type(error).__name__, status=status)


def _message(error: ChatloomError) -> str:
    return f"HTTP {error.status}: {error.message}" if isinstance(error, APIStatusError) else error.message
