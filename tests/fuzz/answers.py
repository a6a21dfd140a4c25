"""The targets that look at an answer's status, its headers, and the domains that it lists. See targets.py."""

from datetime import UTC, datetime
from pathlib import Path

from chatloom_async import APIStatusError, Headers, RedirectRefusedError, Response
from chatloom_async.audit.rules.hostname import parse_domain
from chatloom_async.transports.caching import StoredAnswers
from chatloom_async.wire.status import BY_STATUS, ServerError, retry_after_seconds, status_error

from .promises import explained, harmless

NOW = datetime(2026, 1, 15, 9, 0, tzinfo=UTC)
KINDS = (APIStatusError, RedirectRefusedError, ServerError, *BY_STATUS.values())


def answer(data: bytes) -> Response:
    """An answer of any status, headers and body, written like HTTP: lines, a blank one, and the rest."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    pairs = [(name, value) for name, colon, value in (line.partition(b":") for line in lines) if colon]
    return Response(int.from_bytes(first[:2], "big"), Headers(pairs), body)


def retry_after(data: bytes, _: Path) -> None:
    """Two headers, a line each: a wait that is finite and not negative, or none."""
    header, _, date = data.partition(b"\n")
    seconds = retry_after_seconds(Headers([(b"Retry-After", header), (b"Date", date)]), now=NOW)
    assert seconds is None or 0.0 <= seconds < 1e12


def statuses(data: bytes, _: Path) -> None:
    """Every unsuccessful answer is an error that tells its status; nothing in the answer masks that."""
    response = answer(data)
    error = status_error(response)
    assert (error is None) == (response.status == 200)
    if error:
        explained(error, *KINDS)
        assert str(response.status) in str(error)


def caching(data: bytes, _: Path) -> None:
    """A stored answer is served twice, fresh and in place of a failure; its headers say so, and lose nothing."""
    first, _, second = data.partition(b"\n\n\n")
    good, bad, slot = answer(first), answer(second), ("credentials", "https://chatloom.app")
    stored = StoredAnswers(ttl=30.0, stale_if_error=300.0, most=2)
    stored.settled(slot, 0.0, 1.0, Response(200, good.headers, good.body))
    for each in (stored.fresh(slot, 2.0), stored.settled(slot, 40.0, 41.0, Response(503, bad.headers, bad.body))):
        assert isinstance(each, Response)
        assert (each.status, each.body) == (200, good.body)
        assert 2 <= int(each.headers["age"]) < 2**31
        assert "chatloom_async; " in each.headers["cache-status"]
        assert {*each.headers} == {*(name.lower() for name in good.headers), "age", "cache-status"}


def domains(data: bytes, _: Path) -> None:
    """Every text is a domain. One without problems is what it means: its host, in whatever spelling, is the same."""
    text = data.decode(errors="surrogateescape")
    domain = parse_domain(text)
    assert domain.text == text
    harmless("; ".join(domain.problems))
    if domain.host and not domain.problems and not domain.wildcard:
        again = parse_domain(domain.host)
        assert (again.host, again.key, again.problems) == (domain.host, domain.key, ())
        assert parse_domain(domain.sent).host == domain.host
