"""Finds a key in bytes, in every spelling in which they may carry it. Never shows the key, and raises nothing."""

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import quote

URL_SAFE = bytes.maketrans(b"+/", b"-_")


def spelling_in(key: str, text: bytes) -> bytes | None:
    """How `text` spells the key, if it does: plain, percent-encoded, escaped (JSON, HTML), UTF-16, hex or base64."""
    return next((spelling for spelling in _spellings(key) if spelling in text), None)


def _spellings(key: str) -> Iterator[bytes]:
    raw, percent, escaped = key.encode(), quote(key, safe=""), json.dumps(key)[1:-1]
    in_html = re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", escaped)  # JSON that is safe inside of HTML
    lower = re.sub("%..", lambda found: found[0].lower(), percent)
    for text in (key, percent, lower, escaped, escaped.replace("/", "\\/"), in_html, html.escape(key), raw.hex()):
        yield text.encode()
    yield key.encode("utf-16-le")[:-1]  # without its last zero it is a part of UTF-16-BE, too
    for skipped in range(3):
        encoded = _base64_inside(raw, skipped)
        yield from (encoded, encoded.translate(URL_SAFE))


def _base64_inside(raw: bytes, skipped: int) -> bytes:
    """The characters of `raw` in base64 after `skipped` bytes (modulo 3), whatever those are and whatever follows."""
    encoded = b64encode(bytes(skipped) + raw)
    return encoded[-(-skipped * 8 // 6) : (skipped + len(raw)) * 8 // 6]
