"""JSON text that is safe to show on a terminal, and the text of a time in it."""

import re
from datetime import UTC, datetime
from typing import Any

import orjson

INVISIBLE = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def json_text(document: Any, *, indent: bool = False) -> str:
    """JSON in which control and direction characters are escaped beyond what JSON asks for; the values are the same."""
    raw = orjson.dumps(document, option=orjson.OPT_INDENT_2 if indent else None)
    text = raw.decode()
    return text if raw.isascii() and b"\x7f" not in raw else escaped(text)


def escaped(text: str) -> str:
    """The JSON text with all invisible characters escaped."""
    return INVISIBLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def time_text(moment: datetime) -> str:
    """The moment in UTC, with milliseconds and a Z. `isoformat` alone takes twice as long as orjson and this."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    raw = orjson.dumps(utc, option=orjson.OPT_UTC_Z)  # "2026-01-15T09:30:00Z", or with six digits of a second
    return f"{raw[1:-2].decode()}.000"[:23] + "Z"
