"""Rows as bytes: nothing is lost, and what is damaged is noticed."""

import json
import zlib

import pytest
from hypothesis import given

from chatloom_async.audit import Row
from chatloom_async.audit.store.sqlite import decode_row, encode_row
from tests.audit.store.samples import REFUSED, agent, found, row, rows


@given(rows)
def test_any_row_comes_back_as_it_was(any_row: Row) -> None:
    """Lone surrogates, NUL, microseconds and time zones included."""
    assert decode_row(encode_row(any_row)) == any_row


def test_the_stored_form_is_this() -> None:
    """Whoever changes it so that an old document does not fit must raise ROW_SCHEMA."""
    stored = row("acme", agents=(agent(error=REFUSED),), findings=(found("acme", "localhost"),))
    assert json.loads(zlib.decompress(encode_row(stored))) == {
        "workspace": "acme",
        "state": "ok",
        "agents": [
            {
                "agent": {
                    "id": "agt_1",
                    "name": "Sales",
                    "primary_color": "#611F69",
                    "secondary_color": "#764ba2",
                    "position": "bottom-right",
                    "template": "modern",
                    "status": "active",
                    "created_at": "2026-03-01T12:30:00Z",
                },
                "domains": ["example.com"],
                "error": {"type": "AuthenticationError", "message": "The key is refused."},
            }
        ],
        "findings": [
            {
                "id": found("acme", "localhost").id,
                "rule": "domain-local",
                "severity": "error",
                "agent_id": "agt_1",
                "subject": "localhost",
                "message": "localhost is local.",
            }
        ],
        "error": None,
        "requests": 2,
        "dns": None,
    }


@pytest.mark.parametrize("raw", [b"", b"{}", zlib.compress(b"{"), zlib.compress(b"{}"), encode_row(row("a"))[:-1]])
def test_damage_is_a_value_error(raw: bytes) -> None:
    """Whichever layer notices it first."""
    with pytest.raises(ValueError, match=r"^\w+: "):
        decode_row(raw)
