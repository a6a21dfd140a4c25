"""Makes text from outside safe to show in an error, on a terminal or in a log."""

import re
from base64 import b32encode, b32hexencode, b64encode
from collections.abc import Callable, Iterator, Sequence
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


def first_of(texts: Sequence[str], most: int) -> str:
    """The first texts, for a sentence, and how many more there are: `a, b and 7 more`."""
    more = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {more:,} more" if more > 0 else "")


def spelling_in(key: str, text: bytes) -> bytes | None:
    """How `text` spells the key, if it does: plain, with any of its characters escaped as in URLs, JSON, HTML, e-mails
    or program text, as a list of numbers, or in hex, base64 (even twice) or base32; in upper or lower case, as UTF-16,
    or broken into lines."""
    matches = (re.search(pattern, text, re.IGNORECASE) for pattern in _patterns(key, text))
    return next((match[0] for match in matches if match), None)


def holds_key(key: str, text: bytes) -> bool:
    """Whether `text` spells the key. Finds a bit more than `spelling_in`: the breaks may be of any length."""
    return any(_patterns(key, text))


LEFT_OUT = b"(a text that holds the key)"


def without_key(key: str, text: bytes) -> bytes:
    """`text` with a mask for the key, however it is spelled. If that is not possible, a note replaces the text."""
    mask = b"clf_***" if key.startswith("clf_") else b"***"
    text = text.replace(key.encode(), mask)  # the usual case, much faster than a pattern
    patterns = tuple(_patterns(key, text))
    for pattern in patterns:
        text = re.sub(pattern, mask, text, flags=re.IGNORECASE)
    return LEFT_OUT if patterns and holds_key(key, text) else text


def _patterns(key: str, text: bytes) -> Iterator[bytes]:
    """A pattern for each kind of spelling that the text has. The exact search takes 100 ms and more, so simpler forms
    of the text are searched first."""
    views = b"\n".join(_views(text))
    return (pattern() for spelled, pattern in _spellings(key) if spelled in views)


BREAK = rb"(?:[\x00\s]|\\[nrt]|=\r?\n){0,4}"
HEX_BREAK = rb"(?:[\x00\s,:;-]|\\{0,8}0?x){0,4}"
ESCAPE = re.compile(
    rb"%(?:25){0,4}(?:u00)?([0-9a-f]{2})|\\{1,8}(?:u00|x)([0-9a-f]{2})|\\{1,8}u\{0{0,6}([0-9a-f]{2})\}"
    rb"|\\{1,8}([0-7]{3})"
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
    percent, json, braces, octal, html, decimal, name = match.groups()
    if name:
        return html5.get(f"{name.decode()};", "").encode()
    if octal:
        return _lower(int(octal, 8))
    return _lower(int(decimal) if decimal else int(percent or json or braces or html, 16))


def _lower(code: int) -> bytes:
    """The character in lower case, if it is ASCII: keys have only ASCII characters."""
    return bytes((code,)).lower() if code < 128 else b""


def _spellings(key: str) -> Iterator[tuple[bytes, Callable[[], bytes]]]:
    """Each spelling of the key as it is in one of the views, and a pattern for it in the text."""
    raw, wide = key.encode(), "\0".join(key).encode()  # UTF-16 of both byte orders, without its first or last zero
    yield _viewed(key.lower().encode()), lambda: BREAK.join(map(_character, key))
    for digits in ([b"%02x" % byte for byte in raw], [b"%02x" % byte for byte in wide], [b"%d" % byte for byte in raw]):
        yield b"".join(digits), partial(HEX_BREAK.join, digits)
    once = [text.encode() for text in _insides(b64encode, 6, 3, raw)]
    encoded = [inside for value in (raw, wide, *once) for inside in _insides(b64encode, 6, 3, value)]
    encoded += [inside for encode in (b32encode, b32hexencode) for inside in _insides(encode, 5, 5, raw)]
    for inside in encoded:
        yield _viewed(inside.lower().encode()), partial(_pattern, inside)


def _insides(encode: Callable[[bytes], bytes], bits: int, blocks: int, raw: bytes) -> Iterator[str]:
    """The bytes encoded as a part of something longer: only the characters that depend on nothing around them."""
    for skipped in range(blocks):
        encoded = encode(bytes(skipped) + raw).decode()
        yield encoded[-(-skipped * 8 // bits) : (skipped + len(raw)) * 8 // bits]


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
        rf"(?:\\{{0,8}}{re.escape(character)}|%(?:25){{0,4}}(?:u00)?{code:02x}"
        rf"|\\{{1,8}}(?:u00{code:02x}|x{code:02x}|u\{{0{{0,6}}{code:02x}\}}|{code:03o})"
        rf"|&(?:amp;){{0,4}}(?:#0{{0,6}}{code};?|#x0{{0,6}}{code:x};?{names})|={code:02x})"
    ).encode()
