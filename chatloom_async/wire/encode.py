"""Encodes values: an endpoint's names, path segments, query parameters and JSON body, models, and JSON to be shown.

A value without a safe and exact encoding raises ConfigurationError before anything is sent.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from enum import Enum
from functools import cache, lru_cache
from typing import Any, Final, get_type_hints

import attrs
import orjson

from .errors import ConfigurationError, InvalidAgentIdError

NAME: Final = "chatloom_async.name"  # in the metadata of a field
SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*_*")
PATH_PARAMETER = re.compile(r"[A-Za-z0-9_~.-]{1,256}")
SURROGATE = re.compile(r"[\ud800-\udfff]")
INVISIBLE = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


class Null(Enum):
    """The type of `NULL`, an explicit null in a JSON body. A field that is None is left out:

    from attrs import frozen
    from chatloom_async import NULL, Null

    @frozen
    class UpdateAgent(Endpoint[None]):
        method = "PATCH"
        path = "/api/plugin/agents/{agent_id}"
        agent_id: str
        name: str | Null | None = None
        template: str | Null | None = None

    print(UpdateAgent("agt_1", template=NULL).request("https://chatloom.app").body)  # b'{"template":null}'
    """

    NULL = None

    def __repr__(self) -> str:
        return "NULL"


NULL: Final = Null.NULL


@lru_cache(maxsize=1024)
def camel(name: str) -> str:
    """`created_at` -> `createdAt`, and `from_` -> `from`. A name that is not plain snake_case stays as it is."""
    if not SNAKE_CASE.fullmatch(name):
        return name
    head, *rest = name.rstrip("_").split("_")
    return head + "".join(word.capitalize() for word in rest)


def wire_name(field: "attrs.Attribute[Any]") -> str:
    """A field's name in JSON and in a query: the one that `member(name=...)` gives it, or the camelCase form."""
    return field.metadata.get(NAME) or camel(field.name)


def path_segment(name: str, value: object) -> str:
    """A path segment. Quoting alone is not safe in a path (it does not change `..`), so only safe characters pass."""
    if isinstance(value, str) and PATH_PARAMETER.fullmatch(value) and value not in (".", ".."):
        return value
    error = InvalidAgentIdError if name == "agent_id" else ConfigurationError
    must = "be 1 to 256 of A-Z a-z 0-9 _ ~ . - and not '.' or '..'"
    if not isinstance(value, str):
        must = f"be a string, not of the type {type(value).__name__}"
    raise error(f"{name} cannot be part of a path: it must {must}")


def query_pairs(field: str, name: str, value: Any) -> list[tuple[str, str]]:
    """The pairs of a query parameter, one for each value."""
    values = value if isinstance(value, (list, tuple, set, frozenset)) else (value,)
    return [(name, _word(field, item)) for item in values if item is not None]


def _word(name: str, value: Any) -> str:
    if isinstance(value, (Enum, date)):
        value = _plain(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)) and SURROGATE.search(text := str(value)) is None:
        return text
    reason = "a query has no null" if value is None else f"its {type(value).__name__} has no such form"
    raise ConfigurationError(f"{name} cannot be part of a query: {reason}")


def json_body(members: dict[str, Any], endpoint: str) -> bytes:
    """The members as a JSON object. If that is impossible, the error names `endpoint`."""
    try:
        body = orjson.dumps(members, default=_plain, option=orjson.OPT_PASSTHROUGH_DATETIME)
    except TypeError as problem:
        cause = problem.__cause__  # what _plain raised
        reason = cause.message if isinstance(cause, ConfigurationError) else str(cause or problem)
    else:
        if b"null" not in body or _is_finite(members):
            return body
        reason = "a number that is not finite has no JSON form"
    raise ConfigurationError(f"{endpoint} cannot be written as JSON: {reason}")


def _is_finite(members: dict[str, Any]) -> bool:
    """Whether all numbers are finite: orjson writes NaN and infinities as null."""
    try:
        json.dumps(members, default=_inside, allow_nan=False)
    except ValueError:
        return False
    return True


def _inside(value: Any) -> Any:
    """Converts a value that orjson can write and json cannot, such as a dataclass or a UUID."""
    try:
        return _plain(value)
    except TypeError:
        return getattr(value, "__dict__", None)


def members_of(value: Any) -> dict[str, Any]:
    """The fields of an attrs value by their names in JSON, without those that are None."""
    return {wire_name(f): v for f in attrs.fields(type(value)) if (v := getattr(value, f.name)) is not None}


def timestamp(moment: date) -> str:
    """A date as ISO 8601; a datetime, as the API writes it: in UTC, with milliseconds and a Z."""
    if not isinstance(moment, datetime):
        return moment.isoformat()
    if moment.tzinfo is None:
        raise ConfigurationError("A datetime without a time zone cannot be sent: add tzinfo, such as datetime.UTC")
    try:
        utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    except OverflowError:  # the first or the last hours that a datetime knows
        utc = moment.replace(tzinfo=UTC)
    return f"{utc.isoformat('T', 'milliseconds')[:-6]}Z"


def _plain(value: Any) -> Any:
    """The API's spelling of a value: enums as their value, moments as ISO 8601 in UTC with a Z."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date):
        return timestamp(value)
    if attrs.has(type(value)):
        return members_of(value)
    if isinstance(value, (set, frozenset)):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


class Model:
    """An attrs model of an answer. `to_dict()` converts it to JSON types. It works as a FastAPI `response_model`.

    pydantic calls the hook below; its schemas are plain dictionaries, so this package does not import it.
    """

    __slots__ = ()

    def to_dict(self, *, python_names: bool = False) -> dict[str, Any]:
        """The model as JSON types, with the API's names (`primaryColor`) or Python's (`primary_color`). A datetime
        becomes a string in the API's format.

            agents = await chatloom.list_agents()
            print(agents.to_dict()["agents"][0]["createdAt"])  # 2026-01-12T14:41:57.480Z
        """
        model: Any = type(self)
        return {shown: _json(getattr(self, name), python_names) for name, shown in _names(model, python_names)}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> dict[str, Any]:
        """pydantic's hook: an object with the model's fields under the API's names. Instances pass unchanged."""
        hints, fields = get_type_hints(cls), _fields(cls)
        members = {
            field.name: {
                "type": "typed-dict-field",
                "schema": handler.generate_schema(hints[field.name]),
                "validation_alias": wire_name(field),
                "serialization_alias": wire_name(field),
                "required": True,
            }
            for field in fields
        }
        mapping = {"type": "typed-dict", "fields": members}

        def validate(value: Any, structure: Callable[[Any], dict[str, Any]]) -> Any:
            return value if isinstance(value, cls) else cls(**structure(value))

        def serialize(value: Any, write: Callable[[dict[str, Any]], Any]) -> Any:
            return write({field.name: getattr(value, field.name) for field in fields})

        return {
            "type": "function-wrap",
            "function": {"type": "no-info", "function": validate},
            "schema": mapping,
            "serialization": {"type": "function-wrap", "function": serialize, "schema": mapping},
            "ref": f"{cls.__module__}.{cls.__qualname__}:{id(cls)}",
        }


def _fields(cls: Any) -> "tuple[attrs.Attribute[Any], ...]":
    return cls.__attrs_attrs__  # type: ignore[no-any-return]


@cache
def _names(model: type, python_names: bool) -> tuple[tuple[str, str], ...]:
    """The name of each field, and its name in `to_dict`."""
    return tuple((field.name, field.name if python_names else wire_name(field)) for field in _fields(model))


def _json(value: Any, python_names: bool) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, Model):
        return value.to_dict(python_names=python_names)
    if isinstance(value, tuple):
        return [_json(item, python_names) for item in value]
    return timestamp(value) if isinstance(value, date) else value


def json_text(document: Any, *, indent: bool = False) -> str:
    """JSON in which control and direction characters are escaped beyond what JSON asks for; the values are the same."""
    raw = orjson.dumps(document, option=orjson.OPT_INDENT_2 if indent else None)
    text = raw.decode()
    return text if raw.isascii() and b"\x7f" not in raw else escaped(text)


def escaped(text: str) -> str:
    """The JSON text with all invisible characters escaped."""
    return INVISIBLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
