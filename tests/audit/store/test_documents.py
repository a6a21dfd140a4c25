"""Rows and digests as a database has them: nothing is lost, and what is damaged is noticed."""

import json
import zlib

import pytest
from hypothesis import given

from chatloom_async import ApiKey
from chatloom_async.audit import KeyCommand, KeyEnv, KeyFile, KeyJson, KeyReference, Row
from chatloom_async.audit.store.runs import Plan, expectation_digest, reference_digest
from chatloom_async.audit.store.sqlite import decode_row, encode_row
from tests.audit.store.samples import REFUSED, agent, config, found, row, rows
from tests.samples import KEY

SALT = bytes(range(16))


@given(rows)
def test_any_row_comes_back_as_it_was(any_row: Row) -> None:
    """Lone surrogates, NUL, microseconds and time zones included."""
    assert decode_row(encode_row(any_row)) == any_row


def test_the_stored_form_is_this() -> None:
    """Whoever changes it so that an old document does not fit must raise ROW_SCHEMA."""
    stored = row("acme", agents=(agent(error=REFUSED),), findings=(found("acme", "localhost"),))
    assert encode_row(stored)[:2] == b"\x78\x01"  # RFC 1950: the fastest level
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


@pytest.mark.parametrize(
    ("reference", "digest"),
    [
        (ApiKey(KEY), "a153036a4b15ea6cc71b7af0d3c4e25e"),
        (KeyEnv("A_KEY"), "f592891c577868dc82b28a2801d7f7e8"),
        (KeyJson("KEYS", "a"), "19558348f3ea05a313d7e51535885751"),
        (KeyFile("/run/key"), "25c09a6c4f6bc40031686385689edd97"),
        (KeyFile("~/key"), "84858551ee09eaf1919bfa482ab5fbdd"),
        (KeyCommand(("pass", "a key")), "0e9a7a508d623b1f3b51c6e7698ac40a"),
    ],
)
def test_the_stored_digest_of_a_place_of_keys_is_this(reference: KeyReference, digest: str) -> None:
    """If it changes, a run that an earlier version began cannot be resumed: every workspace would have another key."""
    assert reference_digest(reference, SALT).hex() == digest
    assert reference_digest(reference, SALT[::-1]).hex() != digest


@pytest.mark.parametrize(
    ("expect", "digest"),
    [
        (None, "ac40ec5887e3500623caf7a49be4269d"),
        ((), "c82d04405f2dd9396d28bf3ab5f34279"),
        (("a.example", "b.example"), "4f26657c9679ae95b5b167e06a683e5f"),
        (("\udcff",), "97f8c42abd49ea6f836405082127245f"),
    ],
)
def test_the_stored_digest_of_what_is_expected_is_this(expect: tuple[str, ...] | None, digest: str) -> None:
    """As above: every workspace would be expected to have other domains."""
    assert expectation_digest(expect, SALT).hex() == digest
    assert expectation_digest(expect, SALT[::-1]).hex() != digest


def test_the_stored_digest_of_a_configuration_is_this() -> None:
    """As above. Raising ROW_SCHEMA changes it, as it should."""
    assert Plan(config("b", "a"), SALT).digest.hex() == "7e5dec22c380558845111016d4c52dc0"
