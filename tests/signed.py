"""Requests as the client hands them to a transport."""

from typing import Any

from chatloom_async import Request, Timeouts
from chatloom_async.wire.version import USER_AGENT
from tests.samples import KEY

TIMEOUTS = Timeouts(connect=10.0, read=10.0, attempt=20.0)


def signed(url: str, key: str = KEY, method: str = "GET", body: bytes | None = None, **options: Any) -> Request:
    """A request to this server, with this key."""
    headers = {"Accept": "application/json", "User-Agent": USER_AGENT, "Authorization": f"Bearer {key}"}
    return Request(method, f"{url}/api/plugin/agents", headers, body, **{"timeouts": TIMEOUTS, **options})


def keys(count: int) -> list[str]:
    """As many different keys."""
    return [f"clf_key{number:05}" for number in range(count)]
