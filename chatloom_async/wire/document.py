"""Turns an answer's body into a JSON document (dicts, lists and so on), or into the error that says why it is none.

orjson reads, and is strict: no NaN, no invalid UTF-8, a limit to nesting. What is added here is what a Chatloom
server would not send but something in its way might: byte order marks, empty and cut bodies, HTML, doubled members.
"""

import json
import re
from typing import Any

import orjson
from attrs import frozen

from .cleaning import clean
from .decode_errors import DecodeError, NotJSONError, SchemaMismatchError
from .message import Response

__all__ = ["Mismatch", "excerpt", "read_document"]

EXCERPT = 200
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:]')


@frozen
class Mismatch:
    """Why a document is not what was asked for, and the JSON path of the first place where it does not."""

    reason: str
    path: str


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
    if (name := _doubled_member(response.body, document)) is None:
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


def _doubled_member(body: bytes, document: Any) -> str | None:
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
    except Doubled as doubled:
        return str(doubled)
    except RecursionError:  # nested deeper than Python reads; no documented answer is
        return _doubled_deep_down(body.decode(json.detect_encoding(body)))
    return None


def _doubled_deep_down(text: str) -> str | None:
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


class Doubled(Exception):
    """Ends the slow reading; its text is the member's name."""


def _once(members: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in members]
    if len(set(names)) < len(names):
        raise Doubled(next(name for name in names if names.count(name) > 1))
