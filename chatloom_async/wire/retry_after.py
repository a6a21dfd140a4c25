"""Turns a Retry-After header into seconds, strictly: RFC 9110, section 10.2.3.

Python's own number parsing is far too generous for a header that a stranger writes: `int()` takes
"1_0", "+5" and digits of other scripts, `float()` takes "inf".
"""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from .message import Headers

__all__ = ["retry_after_seconds"]

DELAY_SECONDS = re.compile(r"0*[0-9]{1,9}")
HTTP_DATE = re.compile(r"[A-Za-z]{3,9},? [\x20-\x7e]{8,40}")  # IMF-fixdate, RFC 850, and asctime without a comma


def _instant(text: str) -> datetime | None:
    if not HTTP_DATE.fullmatch(text):
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError, IndexError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)  # asctime and "-0000" come back naive


def retry_after_seconds(headers: Headers, *, now: datetime) -> float | None:
    """Seconds that the server asks to wait, at least 0, or None where the header is absent or unreadable.

    A date counts from the answer's own Date header where there is one, so that a skewed local clock
    does no harm, else from `now` (aware).
    """
    text = headers.get("retry-after", "").strip(" \t")
    if DELAY_SECONDS.fullmatch(text):
        return float(text)
    until = _instant(text)
    if until is None:
        return None
    since = _instant(headers.get("date", "").strip(" \t")) or now
    return max(0.0, (until - since).total_seconds())
