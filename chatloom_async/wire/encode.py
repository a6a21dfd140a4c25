"""Turns an endpoint's values into what goes over the wire: path segments, query parameters and JSON bodies.

What has no safe or no exact form there is a ConfigurationError: nothing is sent.
"""

import json
import re
from datetime import UTC, date, datetime
from enum import Enum
from functools import lru_cache
from typing import Any

import attrs
import orjson

from .errors import ConfigurationError, InvalidAgentIdError

__all__ = ["camel"]


@lru_cache(maxsize=1024)
def camel(name: str) -> str:
    """`created_at` -> `createdAt`. A trailing underscore (`from_`, `class_`) is dropped."""
    head, *rest = name.rstrip("_").split("_")
    return head + "".join(word.capitalize() for word in rest)


__all__ = ["json_body", "path_segment", "query_pairs"]

PATH_PARAMETER = re.compile(r"[A-Za-z0-9_~.-]{1,256}")
SURROGATE = re.compile(r"[\ud800-\udfff]")


def path_segment(name: str, value: object) -> str:
    """No quoting scheme alone is safe in a path (`..` survives them all), so only harmless characters pass."""
    if isinstance(value, str) and PATH_PARAMETER.fullmatch(value) and value not in (".", ".."):
        return value
    error = InvalidAgentIdError if name == "agent_id" else ConfigurationError
    must = "be 1 to 256 of A-Z a-z 0-9 _ ~ . - and not '.' or '..'"
    if not isinstance(value, str):
        must = f"be a string, not of the type {type(value).__name__}"
    raise error(f"{name} cannot be part of a path: it must {must}")


def query_pairs(name: str, value: Any) -> list[tuple[str, str]]:
    """A query parameter, as often as it has values."""
    values = value if isinstance(value, (list, tuple, set, frozenset)) else (value,)
    return [(camel(name), _word(name, each)) for each in values if each is not None]


def _word(name: str, value: Any) -> str:
    if isinstance(value, (Enum, date)):
        value = _plain(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)) and SURROGATE.search(text := str(value)) is None:
        return text
    raise ConfigurationError(f"{name} cannot be part of a query: its {type(value).__name__} has no such form")


def json_body(members: dict[str, Any], endpoint: str) -> bytes:
    """The members as a JSON object; `endpoint` is named in the error where they cannot be one."""
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
    """Whether no null in the JSON stands for NaN or an infinity, as orjson writes them."""
    try:
        json.dumps(members, default=_inside, allow_nan=False)
    except ValueError:
        return False
    return True


def _inside(value: Any) -> Any:
    """What numbers a value holds that json does not write: orjson does, a dataclass or a UUID as well."""
    try:
        return _plain(value)
    except TypeError:
        return getattr(value, "__dict__", None)


def _plain(value: Any) -> Any:
    """The API's spelling of a value: enums as their value, moments as ISO 8601 in UTC with a Z."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ConfigurationError("A datetime without a time zone cannot be sent: add tzinfo, such as datetime.UTC")
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if attrs.has(type(value)):
        return {camel(f.name): v for f in attrs.fields(type(value)) if (v := getattr(value, f.name)) is not None}
    if isinstance(value, (set, frozenset)):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
