"""Turns an endpoint description into a `Request`: one attrs class is one endpoint, its fields are its parameters.

    @frozen
    class GetAllowedDomains(Endpoint[AllowedDomains]):
        path = "/api/plugin/agents/{agent_id}/allowed-domains"
        agent_id: str

A field named in `path` fills its place there. Any other field is a query parameter of GET, HEAD, DELETE
and OPTIONS, and a member of the JSON body of other methods; `query()` puts it into the query there too.
Names go over the wire in camelCase, and a field that is None is left out.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin
from urllib.parse import quote, urlencode

import attrs
import orjson

from .errors import ConfigurationError, InvalidAgentIdError
from .message import DEFAULT_TIMEOUTS, Headers, Request, Timeouts
from .naming import camel
from .version import USER_AGENT

__all__ = ["Endpoint", "query"]

T_co = TypeVar("T_co", covariant=True)

PATH_PARAMETER = re.compile(r"[A-Za-z0-9_~.-]{1,256}")
BODYLESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
SAFE_TO_REPEAT = BODYLESS | {"PUT"}  # RFC 9110, section 9.2.2
JSON_ACCEPTED = Headers({"Accept": "application/json", "User-Agent": USER_AGENT})
JSON_SENT = Headers({**JSON_ACCEPTED, "Content-Type": "application/json"})


def query(**options: Any) -> Any:
    """An attrs field that travels in the query, whatever the endpoint's method. Takes `attrs.field`'s arguments."""
    return attrs.field(metadata={"in": "query"}, **options)


class Endpoint(Generic[T_co]):
    """One operation of the API; `T_co` is what it answers. Subclass it with `attrs.frozen`.

    `path` is relative to the base URL. `method` defaults to GET. `success` lists the statuses that carry an
    answer. `idempotent` says whether a request whose answer was lost may be sent again; by default it follows
    from the method (RFC 9110: yes, except POST and PATCH).
    """

    __slots__ = ()

    method: ClassVar[str] = "GET"
    path: ClassVar[str]
    success: ClassVar[Iterable[int]] = (200,)
    idempotent: ClassVar[bool] = True
    returns: ClassVar[Any] = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.method = cls.method.upper()
        if "idempotent" not in cls.__dict__:
            cls.idempotent = cls.method in SAFE_TO_REPEAT
        for base in getattr(cls, "__orig_bases__", ()):
            if get_origin(base) is Endpoint:
                (cls.returns,) = get_args(base)

    def request(self, base_url: str, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> Request:
        """The unsigned request. Raises InvalidAgentIdError for an unsafe id, ConfigurationError for another unsafe
        path parameter or a value that JSON cannot hold."""
        layout = _layout(type(self))
        path = self.path if not layout.path else self.path.format_map({n: _segment(n, getattr(self, n)) for n in layout.path})
        parameters = [pair for name in layout.query for pair in _pairs(camel(name), getattr(self, name))]
        url = f"{base_url}{path}?{urlencode(parameters, quote_via=quote)}" if parameters else base_url + path
        if self.method in BODYLESS:
            return Request(self.method, url, JSON_ACCEPTED, timeouts=timeouts)
        members = {camel(name): value for name in layout.body if (value := getattr(self, name)) is not None}
        return Request(self.method, url, JSON_SENT, _json(members, type(self).__name__), timeouts=timeouts)


@attrs.frozen
class Layout:
    """Which fields of an endpoint class go where."""

    path: tuple[str, ...]
    query: tuple[str, ...]
    body: tuple[str, ...]


LAYOUTS: dict[type, Layout] = {}


def _layout(cls: type[Endpoint[Any]]) -> Layout:
    if cls not in LAYOUTS:
        names = [each.name for each in attrs.fields(cls)]
        asked = {each.name for each in attrs.fields(cls) if each.metadata.get("in") == "query"}
        in_path = tuple(re.findall(r"\{(\w+)\}", cls.path))
        rest = [name for name in names if name not in in_path]
        if unknown := set(in_path) - set(names):
            raise ConfigurationError(f"{cls.__name__}.path names {sorted(unknown)}, but the class has no such field")
        in_query = tuple(name for name in rest if cls.method in BODYLESS or name in asked)
        LAYOUTS[cls] = Layout(in_path, in_query, tuple(name for name in rest if name not in in_query))
    return LAYOUTS[cls]


def _segment(name: str, value: object) -> str:
    """No quoting scheme alone is safe in a path (`..` survives them all), so only harmless characters pass."""
    if isinstance(value, str) and PATH_PARAMETER.fullmatch(value) and value not in (".", ".."):
        return value
    error = InvalidAgentIdError if name == "agent_id" else ConfigurationError
    raise error(f"{name} cannot be part of a path: it must be 1 to 256 of A-Z a-z 0-9 _ ~ . - and not '.' or '..'")


def _pairs(name: str, value: Any) -> list[tuple[str, str]]:
    if value is None:
        return []
    if isinstance(value, (list, tuple, set, frozenset)):
        return [pair for each in value for pair in _pairs(name, each)]
    if isinstance(value, bool):
        return [(name, "true" if value else "false")]
    return [(name, str(value if isinstance(value, (str, int, float)) else _plain(value)))]


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


def _json(members: dict[str, Any], endpoint: str) -> bytes:
    try:
        return orjson.dumps(members, default=_plain, option=orjson.OPT_PASSTHROUGH_DATETIME)
    except TypeError as problem:
        reason = str(problem)
    raise ConfigurationError(f"{endpoint} cannot be written as JSON: {reason}")
