"""Answers as the API's documentation shows them, and a transport that gives them."""

import json
from collections.abc import Callable
from typing import Any

from chatloom_async import MockTransport, Request, Response

KEY = "clf_0123456789abcdefSECRET"
OTHER_KEY = "clf_fedcba9876543210SECRET"

AGENT: dict[str, Any] = {
    "id": "agt_abc123",
    "name": "Sales Assistant",
    "primaryColor": "#611F69",
    "secondaryColor": "#764ba2",
    "position": "bottom-right",
    "template": "modern",
    "status": "active",
    "createdAt": "2026-01-15T09:00:00.000Z",
}
AGENTS: dict[str, Any] = {"agents": [AGENT], "count": 1}
DOMAINS: dict[str, Any] = {"domains": ["example.com", "support.example.com"]}


def answer(document: object, status: int = 200, **headers: str) -> Response:
    """A JSON answer; header names are written with underscores."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, {"content-type": "application/json", **names}, json.dumps(document).encode())


def failure(status: int, text: str = "Something went wrong", **headers: str) -> Response:
    """An error answer, in the documented form."""
    return answer({"error": text}, status, **headers)


def api(request: Request) -> Response:
    """The two documented endpoints, with the documented answers."""
    return answer(DOMAINS if request.url.endswith("/allowed-domains") else AGENTS)


def in_turn(*answers: Any, then: Callable[[Request], Any] = api) -> MockTransport:
    """Gives these answers one after the other, raising those that are exceptions, and `then` the rest."""
    pending = list(answers)

    def handler(request: Request) -> Any:
        current = pending.pop(0) if pending else then(request)
        if isinstance(current, Exception):
            raise current
        return current

    return MockTransport(handler)
