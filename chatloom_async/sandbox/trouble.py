"""What is wrong with some agents: the mistakes that an audit of real workspaces is there to find.

Each entry stays within the documentation's field types; none is an answer that the API would not give.
"""

from datetime import UTC, datetime
from typing import Final

from .stored import AgentChanges

Trouble = AgentChanges | str | None
"""Fields laid over an agent, or a domain added to its own, or (None) its domains taken away."""

TROUBLES: Final[tuple[Trouble, ...]] = (
    "*",
    "*.{brand}.example",
    "localhost",
    "http://www.{brand}.example/chat",
    "{brand}.example:8443",
    "203.0.113.{number}",  # RFC 5737: reserved for documentation
    "co.uk",
    "{Brand}.Example",  # the first domain again, in another case
    "{brand}.example.",  # and once more, with the root's dot
    "{lookalike}.example",
    "preview.webstudio.example",  # the agency that several workspaces forgot to remove
    None,  # the documentation leaves open what an empty list means
    {"name": ""},
    {"name": "   "},
    {"name": "{neighbour}"},  # the same name as the agent before
    {"primary_color": "#FFE066", "secondary_color": "#FFF3BF"},  # white text is unreadable on it
    {"primary_color": "purple"},
    {"secondary_color": "#12345"},
    {"status": "paused"},  # "Usually active", says the documentation
    {"created_at": datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC)},
)
