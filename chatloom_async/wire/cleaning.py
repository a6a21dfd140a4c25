"""Makes text from outside safe to show in an error, on a terminal or in a log."""

import re
from base64 import b32encode, b32hexencode, b64encode
from collections.abc import Callable, Iterator
from functools import cache, partial
from html.entities import html5

TEXT_LIMIT = 2048
KEY_LIKE = re.compile(r"clf_[^\s\"'`,]+")
CONTROL = re.compile(  # control, bidi and zero-width characters
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f]+"
)


def clean(text: str, limit: int = TEXT_LIMIT) -> str:
    """Text from outside, fit for a terminal or a log: no keys, no control characters, `limit` bytes at most."""
    if len(text) <= limit and text.isascii() and text.isprintable() and "clf_" not in text:
        return text.strip()  # the usual case, five times as fast
    text = CONTROL.sub(" ", KEY_LIKE.sub("clf_***", text)).strip()
    raw = text.encode()
    if len(raw) <= limit:
        return text
    return KEY_LIKE.sub("clf_***", raw[: limit - 3].decode(errors="ignore") + "...")  # the cut may split a mask


def spelling_in(key: str, text: bytes) -> bytes | None:
    """How `text` spells the key, if it does: plain, with any of its characters escaped as in URLs, JSON, HTML or
    e-mails, or in hex, base64 or base32; in upper or lower case, as UTF-16, or broken into lines."""
    views = tuple(_views(text))
    for spelled, pattern in _spellings(key):
        # The exact search takes 100 ms and more, so simpler forms of the text are searched first.
        if any(spelled in view for view in views) and (match := re.search(pattern(), text, re.IGNORECASE)):
            return match[0]
    return None


BREAK = rb"(?:[\x00\s]|\\[nrt]|=\r?\n){0,4}"
HEX_BREAK = rb"(?:[\x00\s,:;-]|\\{0,8}0?x){0,4}"
ESCAPE = re.compile(
    rb"%(?:25){0,4}([0-9a-f]{2})|\\{1,8}(?:u00|x)([0-9a-f]{2})"
    rb"|&(?:amp;){0,4}(?:#x0{0,6}([0-9a-f]{1,2});?|#0{0,6}([0-9]{1,3});?|([a-z]{2,6});)"
)
VARIANTS = {"+": "+-", "/": "/_"}  # in base64 for URLs


QUOTED_PRINTABLE = re.compile(rb"=([0-9a-f]{2})")


def _views(text: bytes) -> Iterator[bytes]:
    """The text in lower case without line breaks; the same without escapes; and without separators of hex digits."""
    text = text.lower().replace(b"=\r\n", b"").replace(b"=\n", b"").translate(None, b"\x00 \t\n\r\v\f")
    for escape in (rb"\n", rb"\r", rb"\t"):
        text = text.replace(escape, b"")
    unescaped = ESCAPE.sub(_unescaped, text)
    for view in (text, unescaped, QUOTED_PRINTABLE.sub(lambda match: _lower(int(match[1], 16)), unescaped)):
        yield _viewed(view)
    yield text.replace(b"0x", b"").replace(rb"\x", b"").translate(None, b",:;-")


def _viewed(text: bytes) -> bytes:
    return text.replace(b"\\", b"").translate(URL_SAFE)


URL_SAFE = bytes.maketrans(b"-_", b"+/")


def _unescaped(match: re.Match[bytes]) -> bytes:
    percent, json, html, decimal, name = match.groups()
    if name:
        return html5.get(f"{name.decode()};", "").encode()
    return _lower(int(decimal) if decimal else int(percent or json or html, 16))


def _lower(code: int) -> bytes:
    """The character in lower case, if it is ASCII: keys have only ASCII characters."""
    return bytes((code,)).lower() if code < 128 else b""


def _spellings(key: str) -> Iterator[tuple[bytes, Callable[[], bytes]]]:
    """Each spelling of the key as it is in one of the views, and a pattern for it in the text."""
    raw = key.encode()
    yield _viewed(key.lower().encode()), lambda: BREAK.join(map(_character, key))
    yield raw.hex().encode(), lambda: HEX_BREAK.join(b"%02x" % byte for byte in raw)
    for encode, bits, blocks in ((b64encode, 6, 3), (b32encode, 5, 5), (b32hexencode, 5, 5)):
        for skipped in range(blocks):
            encoded = encode(bytes(skipped) + raw).decode()
            inside = encoded[-(-skipped * 8 // bits) : (skipped + len(raw)) * 8 // bits]  # in any context
            yield _viewed(inside.lower().encode()), partial(_pattern, inside)


def _pattern(encoded: str) -> bytes:
    """A pattern for base64 or base32 text, broken into lines or not."""
    spellings = (map(_character, VARIANTS.get(letter, letter)) for letter in encoded)
    return BREAK.join(b"(?:%s)" % b"|".join(spelling) for spelling in spellings)


@cache
def _character(character: str) -> bytes:
    """A pattern for one character, as it is or escaped, even more than once: percent, JSON, HTML, quoted-printable."""
    code = ord(character)
    names = "".join(f"|{name}" for name, text in html5.items() if text == character and name.endswith(";"))
    return (
        rf"(?:\\{{0,8}}{re.escape(character)}|%(?:25){{0,4}}{code:02x}|\\{{1,8}}(?:u00{code:02x}|x{code:02x})"
        rf"|&(?:amp;){{0,4}}(?:#0{{0,6}}{code};?|#x0{{0,6}}{code:x};?{names})|={code:02x})"
    ).encode()
