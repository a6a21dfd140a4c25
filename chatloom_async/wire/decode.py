"""Decodes the body of a response into the endpoint's type, or returns a DecodeError.

orjson parses strictly: no NaN, no invalid UTF-8, a limited depth. This file handles what proxies and other servers
send: byte order marks, empty and truncated bodies, HTML, duplicate members, integers beyond 64 bits, half surrogate
pairs.
"""

import json
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from logging import Logger, getLogger
from typing import Any

import orjson
from attrs import evolve

from .auth import SEARCHED, ApiKey, hidden
from .cleaning import LEFT_OUT, clean
from .errors import DecodeError, NotJSONError, SchemaMismatchError
from .message import Response

log: Logger = getLogger("chatloom_async")
PACKAGE = f"{__name__.partition('.')[0]}."

EXCERPT = 200
DEEP = 2**17
PART_OF_TEXT = re.compile(r"(['\"]).*(?:\.\.\.|clf_\*\*\*).*\1")  # quoted, but cut or masked
BIG_INTEGER = re.compile(rb"[0-9]{19}")  # 2^63 has 19 digits
ESCAPE = re.compile(  # whole surrogate pairs, lone surrogates, and any other escape
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:]')


@cache
def _reader(returns: Any) -> Callable[[bytes], tuple[Any, int] | None] | None:
    from .fast_decode import reader

    return reader(returns)


def decode(response: Response, returns: Any, warn: Callable[[str], object] = log.warning) -> Any | DecodeError:
    """The body as `returns`, or a DecodeError, returned and not raised.

    `returns` is an attrs class, anything built of such classes, lists, `tuple[X, ...]`, sets, dicts, unions and JSON's
    own types, `Any` (JSON as it is, None for an empty body other than a 200's), `bytes` (the body as it is) or None
    (the body does not matter). Raises ConfigurationError for a type that cannot be read from JSON. `warn` is called if
    a text had to be repaired.
    """
    if returns is bytes:
        return response.body
    if returns is None or returns is type(None) or (returns is Any and response.status != 200 and not response.body):
        return None
    read = _reader(returns) if isinstance(returns, type) else None
    fast = read(response.body) if read else None
    if fast and fast[1] == response.body.count(b'"'):
        return fast[0]  # a duplicate or unknown member would mean more quotes
    ours = getattr(returns, "__module__", "").startswith(PACKAGE)
    document = read_document(response, warn)
    if isinstance(document, DecodeError):
        return evolve(document, documented=ours) if isinstance(document, SchemaMismatchError) else document
    if fast:
        return fast[0]
    from .structure import Mismatch, structure  # cattrs is a third of the import time: imported when needed

    value = structure(document, returns)
    if not isinstance(value, Mismatch):
        return value
    what = "is not as documented" if ours else "does not fit the endpoint's type"
    text = f"The answer {what}: {value.reason} at {value.path}"
    return SchemaMismatchError(text, path=value.path, excerpt=excerpt(response), documented=ours)


def error_without_key(error: DecodeError, response: Response, returns: Any, key: ApiKey | None) -> DecodeError:
    """The error with a mask for the key, if the response spells it. The body is masked and decoded again, because the
    error may quote a part of a spelling. A search in 8 MiB can take seconds, so only the beginning of the body is
    masked, and texts from behind it are quoted only if they are whole."""
    text, kind = _text(response.body), response.headers.get("content-type", "")
    masked, masked_kind = hidden(text, key, DEEP) + text[DEEP:], hidden(kind, key)
    if (masked, masked_kind) != (text, kind):
        again = decode(Response(response.status, {"content-type": masked_kind}, masked.encode()), returns, str)
        unquoted = evolve(error, message=LEFT_OUT.decode(), excerpt=excerpt(response, key))
        error = again if isinstance(again, DecodeError) else unquoted
    message = PART_OF_TEXT.sub("'...'", error.message) if len(text) > DEEP else error.message
    message, path, begin = (hidden(quoted, key) for quoted in (message, error.path, error.excerpt))
    return evolve(error, message=message, path=path, excerpt=begin)


def excerpt(response: Response, key: ApiKey | None = None) -> str:
    """The beginning of the body, with a mask for the key."""
    return hidden(_text(response.body[:SEARCHED]), key)[:EXCERPT]


def _text(body: bytes) -> str:
    """The body in its own encoding. Otherwise a key in UTF-16 would not be recognized."""
    return body.decode(json.detect_encoding(body), "replace")


def read_document(response: Response, warn: Callable[[str], object] = log.warning) -> Any | DecodeError:
    """The body as JSON, or the error."""
    body = response.body
    try:
        document = orjson.loads(body)
    except ValueError as problem:
        if (readable := _readable(body, warn)) is None:
            return _not_json(response, str(problem))
        body, document = readable, orjson.loads(readable)
    if BIG_INTEGER.search(body):
        with suppress(RecursionError):  # nested deeper than Python reads
            document = json.loads(body)  # orjson rounds integers beyond 64 bits to floats
    if (name := _duplicate_member(body, document)) is None:
        return document
    reason = f"The member {clean(name, 80)!r} comes twice in one object of the answer"
    return SchemaMismatchError(reason, excerpt=excerpt(response))


def _readable(body: bytes, warn: Callable[[str], object]) -> bytes | None:
    """The body repaired for orjson, if possible: UTF-8 without a byte order mark, and U+FFFD instead of half a
    surrogate pair. JavaScript writes half a pair if a text is cut within an emoji."""
    encoding = json.detect_encoding(body)
    try:
        text = body if encoding == "utf-8" else body.decode(encoding).encode()
        repaired = ESCAPE.sub(lambda escape: b"\\ufffd" if escape[1] else escape[0], text)
        orjson.loads(repaired)
    except ValueError:
        return None
    if repaired != text:
        warn("a text in the answer holds half a character (a lone surrogate); U+FFFD stands in its place")
    return repaired


def _not_json(response: Response, problem: str) -> NotJSONError:
    body, kind, begin = response.body.strip(), response.headers.get("content-type", ""), excerpt(response)
    if not body:
        return NotJSONError("The answer is empty, but JSON was expected", reason="empty")
    if body[:1] in b"{[" and body[-1:] not in b"}]":
        if behind := _text_behind(body):
            return NotJSONError(f"The answer has text behind its JSON: {clean(behind, 80)!r}", excerpt=begin)
        text = f"The JSON of the answer is incomplete: {problem}"
        return NotJSONError(text, reason="possible_truncation", excerpt=begin)
    if "json" not in kind.lower() and body[:1] not in b"{[":
        text = f"The answer is not JSON ({clean(kind, 80) or 'no content type'}) but begins: {clean(begin)}"
        return NotJSONError(text, reason="content_type", excerpt=begin)
    return NotJSONError(f"The answer is not valid JSON: {problem}", excerpt=begin)


def _text_behind(body: bytes) -> str | None:
    """The text after a complete JSON value, such as a proxy's comment."""
    text = _text(body)
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return text[end:].strip()


def _duplicate_member(body: bytes, document: Any) -> str | None:
    """The name of a member that an object has twice. orjson keeps the last value.

    If writing the document gives the same bytes, no member was lost. That takes 1 us for ten agents, and suffices if
    the server writes compact JSON. Otherwise the slow reader checks.
    """
    try:
        if orjson.dumps(document) == body:
            return None
    except TypeError:  # nested deeper than orjson writes
        pass
    try:
        json.loads(body, object_pairs_hook=_once)
    except DuplicateMember as duplicate:
        return str(duplicate)
    except RecursionError:  # nested deeper than Python reads; no documented answer is
        return _duplicate_in_deep_document(body.decode(json.detect_encoding(body)))
    return None


def _duplicate_in_deep_document(text: str) -> str | None:
    """The same for a valid document of any depth."""
    inside: list[set[str]] = []
    name = ""
    for token in TOKEN.finditer(text):
        match token[0]:
            case "{" | "[":
                inside.append(set())
            case "}" | "]":
                inside.pop()
            case ":" if name in inside[-1]:
                return name
            case ":":
                inside[-1].add(name)
            case string:
                name = json.loads(string)
    return None


class DuplicateMember(Exception):
    """Stops the slow reader. Its text is the member's name."""


def _once(members: list[tuple[str, Any]]) -> None:
    counts = Counter(name for name, _ in members)
    if len(counts) < len(members):
        raise DuplicateMember(next(name for name, count in counts.items() if count > 1))
