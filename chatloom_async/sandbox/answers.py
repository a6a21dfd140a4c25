"""The sandbox's responses as documented (field names, formats, order, errors), and the faults that tests script.

Written from the documentation, not from the client's models, so that the two do not share mistakes. This file does no
I/O: skins.py carries a fault out.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any, Literal, TypedDict

import orjson
from attrs import evolve, field, frozen
from attrs.validators import instance_of

from ..wire.errors import ConfigurationError
from ..wire.message import Headers, Response
from .seed import StoredAgent

JSON = Headers({"Content-Type": "application/json"})
HTML = Headers({"Content-Type": "text/html"})
BODYLESS = frozenset({204, 205, 304})

MESSAGES = {  # the documentation has a text for a missing key only; see routes.py
    400: "The request parameters were malformed.",
    401: "The API key is invalid or expired.",
    403: "Access denied.",
    404: "Agent not found.",
    429: "Rate limit exceeded. Back off and retry with exponential backoff.",
    500: "Something went wrong on our side.",
}
PHRASES = {status.value: status.phrase for status in HTTPStatus}

BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"


@frozen
class Pages:
    """A workspace's successful responses: the list of agents, and the allowed domains by agent id."""

    agents: Response
    domains: dict[str, Response]


def error(status: int, message: str | None = None, headers: Mapping[str, str] | None = None) -> Response:
    """`{"error": message}`: "There is no envelope [...] an unsuccessful one returns the error object"."""
    text = MESSAGES.get(status, PHRASES.get(status, f"Status {status}")) if message is None else message
    body = b"" if status in BODYLESS else orjson.dumps({"error": text})
    return Response(status, Headers({**JSON, **headers}) if headers else JSON, body)


def listed(agents: Sequence[StoredAgent]) -> list[StoredAgent]:
    """Newest first, as documented: "ordered by createdAt". With equal times, the agent added last comes first."""
    return sorted(agents, key=lambda agent: agent.created_at)[::-1]


def pages(agents: Sequence[StoredAgent]) -> Pages:
    """The responses for these agents, in this order, rendered to bytes once."""
    entries = [_entry(agent) for agent in agents]
    return Pages(
        agents=_json({"agents": entries, "count": len(entries)}),
        domains={agent.id: _json({"domains": agent.domains}) for agent in agents},
    )


def _json(document: object) -> Response:
    roomy = orjson.dumps(document)  # orjson keeps its 4 KB buffer; a copy has the size of the text
    return Response(200, JSON, memoryview(roomy).tobytes())


def _entry(agent: StoredAgent) -> dict[str, str]:
    return {
        "id": agent.id,
        "name": agent.name,
        "primaryColor": agent.primary_color,
        "secondaryColor": agent.secondary_color,
        "position": agent.position,
        "template": agent.template,
        "status": agent.status,
        "createdAt": timestamp(agent.created_at),
    }


def timestamp(moment: datetime) -> str:
    """The documented format: `2026-01-15T09:00:00.000Z`. `moment` is in UTC."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Mishap = Literal["slow", "cut", "lost", "html"]
Ending = Literal["whole", "cut", "lost"]

STATUSES = range(200, 600)
ENDINGS: dict[object, Ending] = {"cut": "cut", "lost": "lost"}
SENDABLE = re.compile(r"[A-Za-z0-9-]+: [\x20-\x7e]*")


class FaultOptions(TypedDict, total=False):
    """The options of a fault in addition to its kind; see `SandboxWorkspace.fails`."""

    retry_after: int | str
    message: str
    headers: Mapping[str, str]
    seconds: float


OPTIONS: dict[str, frozenset[str]] = {  # the options that each kind of fault accepts
    "status": frozenset({"retry_after", "message", "headers"}),
    "slow": frozenset({"seconds"}),
    "cut": frozenset(),
    "lost": frozenset(),
    "html": frozenset(),
}


@frozen
class Reply:
    """A response and how to send it: wait for `wait` seconds, then send as much of it as `ends` allows.

    `cut`: the connection breaks in the middle of the body. `lost`: it breaks before the first byte.
    """

    response: Response
    wait: float = 0.0
    ends: Ending = "whole"


@frozen(kw_only=True)
class Fault:
    """What happens to the next `left` requests (None: all) whose path matches the glob `on`."""

    how: int | Mishap
    left: int | None
    on: str = field(validator=instance_of(str))
    response: Response | None
    wait: float
    ends: Ending

    def concerns(self, path: str) -> bool:
        return fnmatchcase(path, self.on)

    def used(self) -> "Fault | None":
        """The fault after one request, or None if that was the last one."""
        if self.left is None:
            return self
        return evolve(self, left=self.left - 1) if self.left > 1 else None

    def reply(self, usual: Response) -> Reply:
        """The reply to a request that would normally get `usual`."""
        return Reply(self.response or usual, self.wait, self.ends)


def make_fault(how: int | Mishap, times: int | None, on: str, options: FaultOptions) -> Fault:
    """A validated fault. Raises ConfigurationError for an impossible fault or an option that it does not accept."""
    kind: str = "status" if isinstance(how, int) else how
    if kind not in OPTIONS or (how not in STATUSES and kind == "status"):
        raise ConfigurationError(f"{how!r} is not a fault: use a status from 200 to 599, or slow, cut, lost or html")
    if times is not None and (type(times) is not int or times < 1):
        raise ConfigurationError(f"The times of a fault are 1 or more, or None for always, not {times!r}")
    if superfluous := sorted(options.keys() - OPTIONS[kind]):
        known = ", ".join(("times", "on", *sorted(OPTIONS[kind])))
        raise ConfigurationError(f"A {how} fault has no option {superfluous[0]!r}, only {known}")
    try:
        wait = options.get("seconds", 1.0 if how == "slow" else 0.0)
        if not 0 <= wait < float("inf"):
            raise ValueError("seconds= is a number of seconds from 0")
        ends = ENDINGS.get(how, "whole")
        return Fault(how=how, left=times, on=on, response=_response(how, options), wait=wait, ends=ends)
    except (TypeError, ValueError) as problem:
        raise ConfigurationError(f"A {how} fault cannot be made of this: {problem.args[0]}") from None


def _response(how: int | Mishap, options: FaultOptions) -> Response | None:
    """The response to send instead of the usual one; None if the usual one is sent, e.g. late or in part."""
    if how == "html":
        return Response(502, HTML, BAD_GATEWAY)
    if not isinstance(how, int):
        return None
    headers: dict[str, Any] = dict(options.get("headers", {}))
    if "retry_after" in options:
        headers["Retry-After"] = str(options["retry_after"])
    if not all(SENDABLE.fullmatch(f"{name}: {value}") for name, value in headers.items()):
        raise ValueError("a header's name or value holds characters that cannot be sent")
    return error(how, options.get("message"), headers)
