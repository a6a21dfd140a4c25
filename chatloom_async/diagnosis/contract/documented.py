"""What the documentation says of the answers' fields, as tables. Nothing here knows the client's models."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from attrs import frozen

NO_KEY_TEXT: Final = "API key is required. Please provide it in Authorization or X-API-Key header."
AGENTS_PATH: Final = "/api/plugin/agents"
DOMAINS_PATH: Final = "/api/plugin/agents/{agent_id}/allowed-domains"
AGENT_FIELDS: Final = frozenset(
    {"id", "name", "primaryColor", "secondaryColor", "position", "template", "status", "createdAt"}
)
LIST_FIELDS: Final[dict[str, type]] = {"agents": list, "count": int}
DOMAINS_FIELDS: Final[dict[str, type]] = {"domains": list}

HEX: Final = re.compile(r"#([0-9A-Fa-f]{3,4}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})")
POSITIONS: Final = ("bottom-right", "bottom-left", "top-right", "top-left")


def moment(text: Any) -> datetime | None:
    """`createdAt`: "string (ISO 8601)", as an aware moment; None for anything else."""
    try:
        found = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        return None
    return found if found.tzinfo else None


@frozen
class Wording:
    """What the values of a field are, in the documentation's words. `firm`: without a "usually"."""

    fits: Callable[[Any], Any]
    words: str
    firm: bool = True


VALUES: Final[dict[str, Wording]] = {
    "position": Wording(POSITIONS.__contains__, "one of bottom-right, bottom-left, top-right, top-left", firm=False),
    "status": Wording("active".__eq__, "usually active", firm=False),
    "primaryColor": Wording(HEX.fullmatch, "a hex color"),
    "secondaryColor": Wording(HEX.fullmatch, "a hex color"),
    "createdAt": Wording(moment, "ISO 8601"),
}
"""A new position or status is an addition that breaks nobody who reads them as text: not `firm`."""
