# a table
"""What of the fault table is different with other transports than aiohttp, and why."""

from typing import Any

from attrs import evolve

from chatloom_async import AttemptTimeoutError, ConnectionLostError, SchemaMismatchError
from tests.faults.rows import PURE_PYTHON, Row

Changes = dict[str, Any]

NO_BODY_YET: Changes = {"error": AttemptTimeoutError, "attributes": {"reason": "read"}, "requests": 3}
"""The head is fine for this one, so it waits for a body that does not come."""
CHUNKS_COUNT: Changes = {"error": SchemaMismatchError, "attributes": {"path": "$.agents"}, "requests": 1}
"""As RFC 9112 allows, section 6.3: the body is what the chunks say, here {}."""
ANSWERED: Changes = {"error": None, "attributes": {"count": 1}, "requests": 1}

VARIANTS: dict[str, dict[str, Changes]] = {
    "aiohttp": {},
    "httpx2": {
        "13 proxy is silent": {"attributes": {"reason": "read", "sent": True}},  # that is a read for it
        "18 FIN in the head": {"attributes": {"received": False}},  # it tells no difference
        "19 RST in the head": {"attributes": {"received": False}},
        "20 an SSH server": {"error": ConnectionLostError, "requests": 3},  # h11 waits for the rest of a head
        "23 header of 9 kB": NO_BODY_YET,  # its heads may have 100 kB
        "24 300 headers": NO_BODY_YET,
        "25 chunked and a length": CHUNKS_COUNT,
        "31 103 without a pause": {"error": AttemptTimeoutError, "attributes": {"reason": "total"}, "requests": 3},
        "32 bytes after the body": ANSWERED,
    },
}


def row_for(transport: str, row: Row) -> Row:
    """The row as it is with this transport."""
    if transport == "aiohttp":
        return evolve(row, **row.python) if PURE_PYTHON else row
    return evolve(row, **VARIANTS[transport].get(row.name, {}))
