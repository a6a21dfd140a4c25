"""Statuses to errors: faults 65 to 81."""

from typing import Any

import orjson
import pytest

from chatloom_async.wire.errors import RedirectRefusedError
from chatloom_async.wire.message import Response
from chatloom_async.wire.status import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    status_error,
)

TABLE = [
    (400, BadRequestError, "permanent"),
    (401, AuthenticationError, "permanent"),
    (403, PermissionDeniedError, "permanent"),
    (404, NotFoundError, "permanent"),
    (408, APIStatusError, "transient"),
    (429, RateLimitError, "throttle"),
    (500, ServerError, "transient"),
    (502, ServerError, "transient"),
    (503, ServerError, "transient"),
    (504, ServerError, "transient"),
    (520, ServerError, "transient"),
    (521, ServerError, "transient"),
    (522, ServerError, "transient"),
    (523, ServerError, "transient"),
    (524, ServerError, "transient"),
    (501, ServerError, "permanent"),
    (505, ServerError, "permanent"),
    (525, ServerError, "permanent"),
    (526, ServerError, "permanent"),
    (201, APIStatusError, "permanent"),
    (204, APIStatusError, "permanent"),
    (206, APIStatusError, "permanent"),
    (300, APIStatusError, "permanent"),
    (304, APIStatusError, "permanent"),
    (402, APIStatusError, "permanent"),
    (405, APIStatusError, "permanent"),
    (409, APIStatusError, "permanent"),
    (418, APIStatusError, "permanent"),
    (422, APIStatusError, "permanent"),
    (451, APIStatusError, "permanent"),
]


@pytest.mark.parametrize(("status", "cls", "kind"), TABLE)
def test_statuses(status: int, cls: type[APIStatusError], kind: str) -> None:
    """Every status has its error, its text from the answer, and its place in the retry policy."""
    error = status_error(Response(status, body=b'{"error": "What is wrong."}'))
    assert error == cls("What is wrong.", status=status)
    assert error is not None
    assert error.kind == kind


@pytest.mark.parametrize(
    ("status", "success"), [(200, (200,)), (201, (200, 201)), (204, range(200, 300)), (404, {404})]
)
def test_a_success_is_no_error(status: int, success: Any) -> None:
    """What counts as success is the endpoint's to say."""
    assert status_error(Response(status), success) is None


def test_a_200_can_be_unexpected() -> None:
    """An endpoint that expects 201 takes nothing else."""
    assert status_error(Response(200, body=b'{"id": 1}'), (201,)) == APIStatusError('{"id": 1}', status=200)


MESSAGES = [
    (b'{"error": "Agent not found"}', "Agent not found"),
    (b'{"error": " padded "}', "padded"),
    ('{"error": "Schlüssel fehlt"}'.encode(), "Schlüssel fehlt"),
    (b'{"error": ""}', '{"error": ""}'),
    (b'{"error": "  "}', '{"error": "  "}'),
    (b'{"error": "\\u0000"}', '{"error": "\\u0000"}'),
    (b'{"error": null}', '{"error": null}'),
    (b'{"error": {"code": 7}}', '{"error": {"code": 7}}'),
    (b'{"error": 7}', '{"error": 7}'),
    (b'{"message": "x"}', '{"message": "x"}'),
    (b"{}", "{}"),
    (b"[]", "[]"),
    (b'"text"', '"text"'),
    (b"null", "null"),
    (b"5", "5"),
    (b"<html>\n<h1>502</h1></html>", "<html> <h1>502</h1></html>"),
    (b"\x1f\x8b\x08\x00", "\ufffd"),
    (b"\xff\xff", "\ufffd\ufffd"),
    (b"\xff\xfe", "no message"),
    ("<p>clf_canary0123 is refused</p>".encode("utf-16"), "<p>clf_*** is refused</p>"),
    (b"", "no message"),
    (b" \r\n", "no message"),
    (b"\x00\x00", "no message"),
    (b"{" * 100_000, "{" * 200),
    (b'{"error": "the key clf_canary0123 is bad"}', "the key clf_*** is bad"),
]


@pytest.mark.parametrize(("body", "message"), MESSAGES)
def test_no_body_masks_the_status(body: bytes, message: str) -> None:
    """The documented error text is taken where there is one, else the start of whatever came (faults 78 and 79)."""
    assert status_error(Response(500, body=body)) == ServerError(message, status=500)


def test_a_huge_text_is_cut() -> None:
    """At most 2 KiB of it are kept."""
    error = status_error(Response(400, body=orjson.dumps({"error": "x" * 1_000_000})))
    assert error == BadRequestError("x" * 2045 + "...", status=400)


@pytest.mark.parametrize("status", [429, 503, 500, 401])
@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), ("900", 900.0), ("١٢", None), ("soon", None)])
def test_retry_after_is_read_from_every_status(status: int, value: str, seconds: float | None) -> None:
    """Also from a 5xx (fault 77); what cannot be read is None (fault 75)."""
    error = status_error(Response(status, {"Retry-After": value}))
    assert isinstance(error, APIStatusError)
    assert error.retry_after == seconds


LOCATIONS = [
    ("https://elsewhere.example/path?key=clf_canary", "https://elsewhere.example"),
    ("https://user:secret@elsewhere.example:8443/", "https://elsewhere.example:8443"),
    ("https://clf_canary0123.evil.example/", "https://clf_***"),
    ("https://evil\x1b\x07.example/", "https://evil .example"),
    ("https://evil\x1b[31m.example/", "an unreadable address"),
    ("http://chatloom.app/", "http://chatloom.app"),
    ("/login", "another path of the same host"),
    ("agents/", "another path of the same host"),
    ("", "nowhere: it names no address"),
    ("file:///etc/passwd", "an address without a host"),
    ("https://[::1", "an unreadable address"),
]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(("location", "shown"), LOCATIONS)
def test_redirects_are_refused(status: int, location: str, shown: str) -> None:
    """A redirect is an error that names the target's origin, without credentials, path or query (fault 80)."""
    text = f"The server answered {status}, a redirect to {shown}"
    assert status_error(Response(status, {"Location": location})) == RedirectRefusedError(text, location=shown)


def test_a_redirect_without_a_target() -> None:
    """No Location is an error too."""
    nowhere = "nowhere: it names no address"
    text = f"The server answered 302, a redirect to {nowhere}"
    assert status_error(Response(302)) == RedirectRefusedError(text, location=nowhere)


def test_what_is_not_found_may_have_been_asked_for_at_the_wrong_address() -> None:
    """A path too many in the base URL ends in 404 for every call, whoever's the agent is."""
    error = status_error(Response(404, body=b"Not Found"))
    assert str(error) == (
        "HTTP 404: Not Found. Check the path, also that of the base URL. An id must be of the key's own workspace."
    )
