"""Decodes the body of an answer into the type that its endpoint promises, or into the error that says why it cannot.

orjson reads, and is strict: no NaN, no invalid UTF-8, a limited depth. Added here is what a Chatloom server would not
send but something between might: byte order marks, empty and cut bodies, HTML, members that come twice.
"""

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import orjson

from .cleaning import clean
from .errors import DecodeError, NotJSONError, SchemaMismatchError
from .message import Response

__all__ = ["decode", "excerpt", "read_document"]

EXCERPT = 200
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:]')


@cache
def _reader(returns: Any) -> Callable[[bytes], tuple[Any, int] | None] | None:
    from .fast_decode import reader

    return reader(returns)


def decode(response: Response, returns: Any) -> Any | DecodeError:
    """The body as `returns`, or the error that says why not, as data.

    `returns` is an attrs class, anything built of such classes, lists, `tuple[X, ...]`, sets, dicts and JSON's own
    types, `Any` (JSON as it is, None for a 204), `bytes` (the body as it is) or None (no body is expected). Raises
    ConfigurationError for a type that cannot be read from JSON.
    """
    if returns is bytes:
        return response.body
    if returns is None or returns is type(None) or (returns is Any and response.status == 204):
        return None
    read = _reader(returns) if isinstance(returns, type) else None
    found = read(response.body) if read else None
    if found and found[1] == response.body.count(b'"'):
        return found[0]  # no member was doubled or unknown, or there would be more quotes
    document = read_document(response)
    if isinstance(document, DecodeError):
        return document
    if found:
        return found[0]
    from .structure import Mismatch, structure  # cattrs is a third of the import time: not before it is needed

    value = structure(document, returns)
    if not isinstance(value, Mismatch):
        return value
    text = f"The answer is not as documented: {value.reason} at {value.path}"
    return SchemaMismatchError(text, path=value.path, excerpt=excerpt(response))


def excerpt(response: Response) -> str:
    """The beginning of the body, to look at; in its own encoding, or a key in UTF-16 would pass for single letters."""
    return response.body[:EXCERPT].decode(json.detect_encoding(response.body), "replace")


def read_document(response: Response) -> Any | DecodeError:
    """The body as JSON, or the error, as data."""
    try:
        document = orjson.loads(response.body)
    except ValueError as problem:
        document = _other_encoding(response, str(problem))
    if isinstance(document, NotJSONError):
        return document
    if (name := _duplicate_member(response.body, document)) is None:
        return document
    reason = f"The answer is not as documented: the member {clean(name, 80)!r} comes twice in one object"
    return SchemaMismatchError(reason, excerpt=excerpt(response))


def _other_encoding(response: Response, problem: str) -> Any:
    """JSON with a byte order mark or in UTF-16 or -32, which orjson does not read; else the error."""
    encoding = json.detect_encoding(response.body)
    if encoding != "utf-8":
        try:
            return orjson.loads(response.body.decode(encoding))
        except ValueError:
            pass
    return _not_json(response, problem)


def _not_json(response: Response, problem: str) -> NotJSONError:
    body, kind, begin = response.body.strip(), response.headers.get("content-type", ""), excerpt(response)
    if not body:
        return NotJSONError("The answer is empty where JSON was expected", reason="empty")
    if body[:1] in b"{[" and body[-1:] not in b"}]":
        text = f"The answer ends in the middle of its JSON: {problem}"
        return NotJSONError(text, reason="possible_truncation", excerpt=begin)
    if "json" not in kind.lower() and body[:1] not in b"{[":
        text = f"The answer is not JSON ({clean(kind, 80) or 'no content type'}) but begins: {clean(begin)}"
        return NotJSONError(text, reason="content_type", excerpt=begin)
    return NotJSONError(f"The answer is not valid JSON: {problem}", excerpt=begin)


def _duplicate_member(body: bytes, document: Any) -> str | None:
    """The name of a member that one object holds twice: of the two values, orjson silently takes the last.

    A document that is written out exactly as it came cannot have lost a member: that takes 1 us for ten agents,
    and suffices where the server writes compact JSON. Otherwise the slow reader looks.
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
    """The same, of a valid document of any depth."""
    inside: list[set[str]] = []
    name = ""
    for found in TOKEN.finditer(text):
        match found[0]:
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
    """Ends the slow reading; its text is the member's name."""


def _once(members: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in members]
    if len(set(names)) < len(names):
        raise DuplicateMember(next(name for name in names if names.count(name) > 1))
