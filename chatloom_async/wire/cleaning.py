"""Turns text from outside into text that can be shown, in an error, on a terminal or in a log."""

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import quote

TEXT_LIMIT = 2048
KEY_LIKE = re.compile(r"clf_[^\s\"'`,]+")
CONTROL = re.compile(  # and whatever else is not seen, but acts: on direction, on joining, or on who reads closely
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f]+"
)


def clean(text: str, limit: int = TEXT_LIMIT) -> str:
    """Text from outside, fit for a terminal or a log: no keys, no control characters, `limit` bytes at most."""
    text = CONTROL.sub(" ", KEY_LIKE.sub("clf_***", text)).strip()
    raw = text.encode()
    if len(raw) <= limit:
        return text
    return KEY_LIKE.sub(
        "clf_***", raw[: limit - 3].decode(errors="ignore") + "..."
    )  # where the cut went through a mask


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
