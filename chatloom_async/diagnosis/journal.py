"""Records requests and responses in a form that is safe to show, and renders them as a page for Chatloom's support.

No keys, no cookies, only listed headers. The support asks for "the request and response".
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

import orjson
from attrs import Factory, define, evolve, frozen

from ..transports.interface import Transport
from ..wire.base_url import origin
from ..wire.cleaning import clean, without_key
from ..wire.errors import TransportError
from ..wire.message import Request, Response
from .local import versions_line
from .observation import Observation

SENT: Final = frozenset({"accept", "content-type", "user-agent"})
KEY_HEADERS: Final = frozenset({"authorization", "x-api-key"})
RECEIVED: Final = frozenset(
    {"age", "allow", "cache-control", "cf-cache-status", "cf-ray", "connection", "content-encoding", "content-length"}
    | {"content-type", "date", "retry-after", "server", "vary", "via", "www-authenticate", "x-request-id"}
    | {"x-vercel-id", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"}
)
LINES: Final = 120  # lines of a body that are recorded: the end of a large workspace's list says nothing more


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
        sent = {name: text for name, value in request.headers.items() if (text := _sent(name.lower(), value))}
        status, received, body = None, dict[str, str](), str(outcome)
        if isinstance(outcome, Response):
            status, body = outcome.status, _shown(keys, outcome.body)
            headers = outcome.headers.items()
            received = {name: text for name, value in headers if (text := _received(name.lower(), value))}
        self.entries.append(Entry(purpose, request.method, request.url, sent, status, received, body, took))


def _sent(name: str, value: str) -> str:
    """The value of a request's header, as far as it is safe to show."""
    if name in KEY_HEADERS:
        scheme, _, key = value.rpartition(" ")
        return f"{scheme} {'clf_***' if key.startswith('clf_') else '***'}".strip()
    return clean(value) if name in SENT else ""


def _received(name: str, value: str) -> str:
    """The value of a response's header, as far as it is safe to show."""
    if name == "location":
        return f"{origin(value)}/... (the rest is left out)"
    return clean(value) if name in RECEIVED else ""


def _shown(keys: list[str], body: bytes) -> str:
    """The body without the keys in any encoding. JSON is indented, because a single line would be truncated."""
    for key in filter(None, keys):
        body = without_key(key, body)
    with suppress(ValueError, TypeError):  # not JSON, or nested too deep for orjson.dumps
        body = orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2)
    lines = body.decode(errors="replace").splitlines()
    shown = [" " * (len(line) - len(line.lstrip(" "))) + clean(line) for line in lines[:LINES]]
    if len(lines) > LINES:
        shown.append(f"... and {len(lines) - LINES} more lines")
    return "\n".join(shown)


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


MARKS: Final = {"ok": "✓", "warning": "!", "wrong": "✗", "skipped": "○"}
SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|#&~])")

HEAD: Final = """\
# What this machine asked the Chatloom API, and what it answered

Written {when:%Y-%m-%d %H:%M:%S} UTC by `chatloom doctor`: {versions}.

API keys and cookies are left out, and so are all headers that are not known to be harmless. The answers are as they
came, with the names and domains of the workspace: please look through them before you send this page to
support@chatloom.app.
"""


def markdown(
    observations: Sequence[Observation], entries: Sequence[Entry], versions: Mapping[str, str], when: datetime
) -> str:
    """The page. `when` is in UTC. Exchanges that differ only in their time are shown once."""
    lines = [HEAD.format(when=when, versions=versions_line(versions)), "## Observations", ""]
    for observation in observations:
        advice = f" {_sentence(observation.advice)}" if observation.advice else ""
        subject = f"- {MARKS[observation.state]} **{_plain(observation.subject)}**"
        lines.append(f"{subject}: {_sentence(observation.found)}{advice}")
    lines += ["", "## Requests and responses", ""]
    for number, (entry, times) in enumerate(_once(entries), 1):
        lines += _exchange(number, entry, times)
    return "\n".join(lines if entries else [*lines, "No request was sent.", ""])


def _sentence(text: str) -> str:
    return _plain(text) if text.endswith(".") else f"{_plain(text)}."


def _once(entries: Sequence[Entry]) -> list[tuple[Entry, int]]:
    """Each distinct exchange with its number of occurrences."""
    counts: dict[str, tuple[Entry, int]] = {}
    for entry in entries:
        identity = repr(evolve(entry, purpose="", seconds=0, received={}))
        first, times = counts.get(identity, (entry, 0))
        counts[identity] = first, times + 1
    return list(counts.values())


def _exchange(number: int, entry: Entry, times: int) -> Iterator[str]:
    repeated = f", {times} times" if times > 1 else ""
    status = "no answer" if entry.status is None else f"HTTP {entry.status}"
    yield f"### {number}. {_plain(entry.purpose)}: {status}{repeated}\n"
    yield from _fenced([f"{entry.method} {entry.url}", *(f"{name}: {value}" for name, value in entry.sent.items())])
    yield f"After {entry.seconds * 1000:.0f} ms:\n"
    head = [] if entry.status is None else [status, *(f"{name}: {value}" for name, value in entry.received.items()), ""]
    yield from _fenced([*head, entry.body])


def _fenced(lines: Sequence[str]) -> Iterator[str]:
    """The text as a code block, with a fence that the text does not contain."""
    text = "\n".join(lines).rstrip()
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    yield from (f"{fence}text", text, fence, "")


def _plain(text: str) -> str:
    """The text, escaped for Markdown."""
    return SPECIAL.sub(r"\\\1", text)
