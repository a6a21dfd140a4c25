"""The sandbox's responses as documented: field names, formats, order and errors.

Written from the documentation, not from the client's models, so that the two do not share mistakes.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus

import orjson
from attrs import frozen

from ..wire.message import Headers, Response
from .agent import StoredAgent

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
