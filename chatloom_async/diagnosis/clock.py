"""Compares this machine's clock with the Date of an answer. Reads no clock itself."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from ..wire.message import Response
from .observation import Observation, ok, skipped, warning

TOLERATED: Final = timedelta(seconds=30)
ROUNDING: Final = timedelta(seconds=0.5)  # a Date holds whole seconds: on average, so much is cut off
ADVICE: Final = "Synchronize it (NTP): certificates, and dates in Retry-After, are judged by it."


def examine_clock(answered: tuple[Response, datetime] | None) -> Observation:
    """How far the clock was off when an answer came; None: there was no answer."""
    if answered is None:
        return skipped("clock", "not compared: there is no answer")
    response, arrived = answered
    text = response.headers.get("date", "")
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError, IndexError):
        return skipped("clock", "not compared: the answer has no readable Date")
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    ahead = arrived - aware - ROUNDING
    seconds = round(ahead.total_seconds(), 1)
    if abs(ahead) <= TOLERATED:
        return ok("clock", f"within {max(1, round(abs(seconds)))} s of the server's", ahead=seconds)
    direction = "ahead of" if seconds > 0 else "behind"
    return warning("clock", f"{_span(abs(ahead))} {direction} the server's", ADVICE, ahead=seconds)


def _span(length: timedelta) -> str:
    """In the unit that makes the number handy."""
    for unit, seconds in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if length.total_seconds() >= 2 * seconds:
            return f"{length.total_seconds() / seconds:.0f} {unit}"
    return f"{length.total_seconds():.0f} s"
