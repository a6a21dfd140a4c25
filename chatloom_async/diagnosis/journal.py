"""Records requests and responses in a form that is safe to show: no keys, no cookies, only listed headers."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Final

import orjson
from attrs import Factory, define, frozen

from ..transports.interface import Transport
from ..wire.base_url import origin
from ..wire.cleaning import clean, spelling_in
from ..wire.errors import TransportError
from ..wire.message import Request, Response

SENT: Final = frozenset({"accept", "content-type", "user-agent"})
KEY_HEADERS: Final = frozenset({"authorization", "x-api-key"})
RECEIVED: Final = frozenset(
    {"age", "allow", "cache-control", "cf-cache-status", "cf-ray", "connection", "content-encoding", "content-length"}
    | {"content-type", "date", "retry-after", "server", "vary", "via", "www-authenticate", "x-request-id"}
    | {"x-vercel-id", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"}
)
LINES: Final = 120
"""Of a body, so many are kept: the list of a large workspace says nothing more at its end."""


@frozen
class Entry:
    """One exchange, which took `seconds`. If no answer came, `status` is None and `body` says why."""

    purpose: str
    method: str
    url: str
    sent: Mapping[str, str]
    status: int | None
    received: Mapping[str, str]
    body: str
    seconds: float


@define
class Journal:
    """The exchanges in their order. `answered` is the last answer, and when it came."""

    entries: list[Entry] = Factory(list)
    answered: tuple[Response, datetime] | None = None

    def write(self, purpose: str, request: Request, outcome: Response | TransportError, took: float) -> None:
        keys = [value.split(" ")[-1] for name, value in request.headers.items() if name.lower() in KEY_HEADERS]
        sent = dict(each for pair in request.headers.items() for each in _sent(*pair))
        status, received, body = None, dict[str, str](), str(outcome)
        if isinstance(outcome, Response):
            status, body = outcome.status, _shown(keys, outcome.body)
            received = dict(each for pair in outcome.headers.items() for each in _received(*pair))
        self.entries.append(Entry(purpose, request.method, request.url, sent, status, received, body, took))


def _sent(name: str, value: str) -> list[tuple[str, str]]:
    if name.lower() in KEY_HEADERS:
        scheme, _, key = value.rpartition(" ")
        return [(name, f"{scheme} {'clf_***' if key.startswith('clf_') else '***'}".strip())]
    return [(name, clean(value))] if name.lower() in SENT else []


def _received(name: str, value: str) -> list[tuple[str, str]]:
    if name.lower() == "location":
        return [(name, f"{origin(value)}/... (the rest is left out)")]
    return [(name, clean(value))] if name.lower() in RECEIVED else []


def _shown(keys: list[str], body: bytes) -> str:
    """The body without the keys in any encoding. JSON is indented, because a single line would be truncated."""
    for key in keys:
        while key and (spelling := spelling_in(key, body)):
            body = body.replace(spelling, b"***")
    with suppress(ValueError, TypeError):  # not JSON, or nested too deep for orjson.dumps
        body = orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2)
    lines = body.decode(errors="replace").splitlines()
    kept = [" " * (len(line) - len(line.lstrip(" "))) + clean(line) for line in lines[:LINES]]
    return "\n".join([*kept, *([f"... and {len(lines) - LINES} more lines"] if len(lines) > LINES else [])])


class JournalTransport:
    """A transport that wraps another one and records each exchange. The caller sets `purpose`."""

    def __init__(self, inner: Transport, journal: Journal, now: Callable[[], datetime]) -> None:
        self._inner, self._journal, self._now = inner, journal, now
        self.purpose = ""

    async def send(self, request: Request) -> Response | TransportError:
        began = self._now()
        outcome = await self._inner.send(request)
        ended = self._now()
        if isinstance(outcome, Response):
            self._journal.answered = outcome, ended
        self._journal.write(self.purpose, request, outcome, (ended - began).total_seconds())
        return outcome

    async def aclose(self) -> None:
        await self._inner.aclose()
