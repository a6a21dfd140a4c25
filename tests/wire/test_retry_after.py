"""Retry-After: RFC 9110, section 10.2.3, and what servers and strangers write instead (faults 72 to 76)."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatloom_async.wire.message import Headers
from chatloom_async.wire.status import retry_after_seconds

NOW = datetime(2026, 1, 15, 9, 0, 0, tzinfo=UTC)

SECONDS = [
    ("0", 0.0),
    ("1", 1.0),
    ("120", 120.0),
    ("007", 7.0),
    ("0000000000000000030", 30.0),
    (" 5 ", 5.0),
    ("\t5\t", 5.0),
    ("999999999", 999_999_999.0),
    ("9999999999", 1e9),  # some thirty years
    ("9" * 400, 1e9),
    ("+5", 5.0),
    ("1.5", 2.0),
    ("5.0", 5.0),
    ("5.", 5.0),
    (".2", 1.0),
    ("0.0000001", 1.0),
    ("1e3", 1000.0),
    ("2.5E+1", 25.0),
    ("1e999", 1e9),
]
SEVERAL = [
    ("5, 10", 10.0),
    ("3,5", 5.0),
    ("10, 3, soon", 10.0),
    ("5, Thu, 15 Jan 2026 09:00:30 GMT", 30.0),
    ("Thu, 15 Jan 2026 09:00:30 GMT, 45", 45.0),
    ("Thu, 15 Jan 2026 09:00:30 GMT, Thu, 15 Jan 2026 09:01:00 GMT", 60.0),
    ("Thu Jan 15 09:00:30 2026, 7", 30.0),
]
DATES = [
    ("Thu, 15 Jan 2026 09:00:30 GMT", 30.0),  # IMF-fixdate, the form to send
    ("Thursday, 15-Jan-26 09:00:30 GMT", 30.0),  # RFC 850, obsolete, must be read
    ("Thu Jan 15 09:00:30 2026", 30.0),  # asctime, obsolete, must be read
    ("Thu, 15 Jan 2026 09:00:30 -0000", 30.0),
    ("Thu, 15 Jan 2026 10:00:30 +0100", 30.0),
    (" Thu, 15 Jan 2026 09:00:30 GMT ", 30.0),
    ("Thu, 15 Jan 2026 08:59:59 GMT", 0.0),
    ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
    ("Sun Nov  6 08:49:37 1994", 0.0),
    ("Thu, 15 Jan 2027 09:00:00 GMT", 365 * 86400.0),
]
UNREADABLE = [
    "",
    " ",
    "-1",
    "inf",
    "nan",
    "1_0",
    "0x10",
    "5s",
    "\xa05",
    "5\x0b",
    "X5",
    "\u0661\u0662",
    "\uff15",
    "²",
    ".",
    "e3",
    ", ,",
    "soon",
    "Thu, 15 Jan 2026",
    "Thu, 15 Jan 2026 25:00:00 GMT",
    "Thu, 32 Jan 2026 09:00:00 GMT",
    "Thu, 15 Jan 2026 09:00:30 +9999",
    "Thu, 15 Jan 99999 09:00:30 GMT",
    "Thu, \u0661\u0665 Jan 2026 09:00:30 GMT",
    "2026-01-15T09:00:30Z",
    "5 Thu",
    "Thu,\x0015 Jan 2026 09:00:30 GMT",
    "Thu Thu Thu Thu Thu",
]


@pytest.mark.parametrize(("text", "seconds"), SECONDS + DATES + SEVERAL)
def test_readable_values(text: str, seconds: float) -> None:
    """Every spelling of a number and all three HTTP-date forms are read, and never as less; the past is 0."""
    assert retry_after_seconds(Headers({"Retry-After": text}), now=NOW) == seconds


@pytest.mark.parametrize("text", UNREADABLE)
def test_unreadable_values(text: str) -> None:
    """Anything else is as if the header were absent, also where Python's int() or float() would take it."""
    assert retry_after_seconds(Headers({"Retry-After": text}), now=NOW) is None


def test_absent() -> None:
    """Without the header there is no answer."""
    assert retry_after_seconds(Headers(), now=NOW) is None


def test_given_twice() -> None:
    """Of two lines, the one that asks for more counts."""
    assert retry_after_seconds(Headers([(b"Retry-After", b"5"), (b"retry-after", b"10")]), now=NOW) == 10.0


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Thu, 15 Jan 2026 11:00:00 GMT", 30.0),  # this machine's clock is two hours slow
        ("Thu, 15 Jan 2026 11:00:40 GMT", 0.0),
        ("Thu Jan 15 11:00:00 2026", 30.0),
        ("\xa0Thu, 15 Jan 2026 11:00:00 GMT", 7230.0),
        ("X Thu, 15 Jan 2026 11:00:00 GMT", 7230.0),
        ("garbage", 7230.0),
        ("", 7230.0),
    ],
)
def test_dates_count_from_the_servers_own_clock(date: str, seconds: float) -> None:
    """A date is relative to the answer's Date header, so a skewed local clock does no harm."""
    headers = Headers({"Retry-After": "Thu, 15 Jan 2026 11:00:30 GMT", "Date": date})
    assert retry_after_seconds(headers, now=NOW) == seconds


def test_seconds_do_not_depend_on_any_clock() -> None:
    """A number of seconds is that number, whatever the Date header says."""
    headers = Headers({"Retry-After": "30", "Date": "Sun, 06 Nov 1994 08:49:37 GMT"})
    assert retry_after_seconds(headers, now=NOW) == 30.0


@given(st.text(max_size=60), st.text(max_size=60))
@example("Mon, 01 Jan 0001 00:00:00 +2359", "Fri, 31 Dec 9999 23:59:59 -2359")
def test_no_text_makes_it_fail(text: str, date: str) -> None:
    """Whatever a server writes, the result is None or a finite number that is not negative."""
    seconds = retry_after_seconds(Headers({"Retry-After": text, "Date": date}), now=NOW)
    assert seconds is None or 0.0 <= seconds < 1e12
