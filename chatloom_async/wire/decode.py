"""Turns an answer's body into the type that its endpoint promises, strictly.

cattrs' defaults are generous (null becomes 'None', a string becomes a list of letters); a client that
invents data is worse than one that fails, so every hook here looks before it takes. Unknown members are
accepted: the API may grow.
"""

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn, TypeVar, get_origin

import attrs
import cattrs
import orjson
from cattrs.cols import homogenous_tuple_structure_factory, list_structure_factory
from cattrs.gen import make_dict_structure_fn, override

from .errors import DecodeError, NotJSONError, SchemaMismatchError, clean
from .message import Response
from .naming import camel

__all__ = ["decode"]

T = TypeVar("T")

JSON_TYPES: dict[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "a boolean",
    type(None): "null",
}
SEQUENCES = {list: list_structure_factory, tuple: homogenous_tuple_structure_factory}
EXCERPT = 200


class Misfit(ValueError):
    """A JSON value of another type than expected; its text is fit to show."""


def _misfit(expected: str, value: object) -> NoReturn:
    raise Misfit(f"expected {expected}, got {JSON_TYPES.get(type(value), type(value).__name__)}")


def _only(kind: type, structure: Callable[[Any, Any], Any] | None = None) -> Callable[[Any, Any], Any]:
    """A cattrs hook that takes values of exactly this JSON type (True is no integer) and passes them on."""

    def hook(value: Any, target: Any) -> Any:
        if type(value) is not kind:
            _misfit(JSON_TYPES[kind], value)
        return value if structure is None else structure(value, target)

    return hook


def _number(value: Any, _: Any) -> Any:
    return value if type(value) in (int, float) else _misfit("a number", value)


def _moment(value: Any, _: Any) -> datetime:
    """ISO 8601 with Z or an offset; the result is aware."""
    if type(value) is not str:
        _misfit("a string (ISO 8601)", value)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Misfit(f"expected ISO 8601 with a time zone, got {clean(value, 60)!r}")
    return moment


def _object(cls: type, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    names = {each.name: override(rename=camel(each.name)) for each in attrs.fields(cls)}
    return _only(dict, make_dict_structure_fn(cls, converter, **names))


def _sequence(cls: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    return _only(list, SEQUENCES[get_origin(cls)](cls, converter))


def _converter(*, detailed: bool) -> cattrs.Converter:
    made = cattrs.Converter(detailed_validation=detailed)
    for kind in (str, int, bool):
        made.register_structure_hook(kind, _only(kind))
    made.register_structure_hook(float, _number)
    made.register_structure_hook(datetime, _moment)
    made.register_structure_hook_factory(attrs.has, _object)
    made.register_structure_hook_factory(lambda cls: get_origin(cls) in SEQUENCES, _sequence)
    return made


FAST = _converter(detailed=False)
DETAILED = _converter(detailed=True)  # a second pass after a failure, to name the place: it costs a third more


def decode(response: Response, returns: type[T] | Any) -> T | DecodeError:
    """The body as `returns`, or the error that says why not, as data.

    `returns` is an attrs class, anything built of such classes, list, tuple, dict and JSON's own types,
    `Any` (JSON as it is), `bytes` (the body as it is) or None (no body is expected).
    """
    if returns is bytes or returns is None or returns is type(None):
        return response.body if returns is bytes else None  # type: ignore[return-value]
    try:
        document = orjson.loads(response.body)
    except ValueError as problem:
        document = _other_encoding(response, str(problem))
    if isinstance(document, NotJSONError):
        return document
    try:
        return FAST.structure(document, returns)
    except Exception:  # whatever a hook stumbled over: the detailed pass below finds it again and names it
        return _mismatch(document, returns, response)


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
    body, content_type = response.body.strip(), response.headers.get("content-type", "")
    excerpt = body[:EXCERPT].decode("utf-8", "replace")
    if not body:
        return NotJSONError("The answer is empty where JSON was expected", reason="empty")
    if body[:1] in b"{[" and body[-1:] not in b"}]":
        return NotJSONError(f"The answer ends in the middle of its JSON: {problem}", reason="possible_truncation", excerpt=excerpt)
    if "json" not in content_type.lower() and body[:1] not in b"{[":
        what = clean(content_type, 80) or "no content type"
        return NotJSONError(f"The answer is not JSON ({what}) but begins: {clean(excerpt)}", reason="content_type", excerpt=excerpt)
    return NotJSONError(f"The answer is not valid JSON: {problem}", excerpt=excerpt)


def _reason(problem: BaseException, _: type | None) -> str:
    return "required member missing" if isinstance(problem, KeyError) else str(problem)


def _mismatch(document: Any, returns: Any, response: Response) -> SchemaMismatchError:
    try:
        DETAILED.structure(document, returns)
        place = "does not fit @ $"
    except Exception as problem:
        place = cattrs.transform_error(problem, format_exception=_reason)[0]
    reason, _, path = place.rpartition(" @ ")
    path = re.sub(r"\.(\w+)", lambda found: f".{camel(found[1])}", path)
    excerpt = response.body[:EXCERPT].decode("utf-8", "replace")
    return SchemaMismatchError(f"The answer is not as documented: {reason} at {path}", path=path, excerpt=excerpt)
