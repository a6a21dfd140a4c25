"""JSON text that is safe to show on a terminal."""

import re
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
