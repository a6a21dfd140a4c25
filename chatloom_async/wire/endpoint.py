"""Endpoint classes and how they become a `Request`: one attrs class is one endpoint, its fields are its parameters."""

import re
from collections.abc import Container
from inspect import get_annotations
from typing import Any, ClassVar, Generic, Self, TypeVar, get_args, get_origin
from urllib.parse import quote, urlencode

import attrs

from .encode import NAME, json_body, path_segment, query_pairs, wire_name
from .errors import ConfigurationError
from .message import DEFAULT_TIMEOUTS, Headers, Request, Timeouts
from .version import USER_AGENT

PATH = re.compile(r"/[!-\"$-~]*")
OWN = frozenset({"idempotent", "method", "path", "returns", "success"})
PLACE = re.compile(r"\{(\w+)\}")
METHOD = re.compile(r"[A-Z][A-Z-]*")
BODYLESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


@attrs.frozen
class Layout:
    """The place of each field of an endpoint class: its name, paired with its name on the wire."""

    path: tuple[str, ...]
    query: tuple[tuple[str, str], ...]
    body: tuple[tuple[str, str], ...]


LAYOUTS: dict[type, Layout] = {}
new_object: Any = object.__new__
UNDECORATED = "is not an attrs class: decorate it with attrs.frozen"


def layout_of(cls: Any) -> Layout:
    """The cached layout of a class. Raises ConfigurationError."""
    if known := LAYOUTS.get(cls):
        return known
    if mistake := _mistake(cls):
        raise ConfigurationError(f"{cls.__name__}{mistake}")
    in_path = tuple(PLACE.findall(cls.path))
    in_query: list[tuple[str, str]] = []
    in_body: list[tuple[str, str]] = []
    for field in cls.__attrs_attrs__:
        if field.name not in in_path:
            place = in_query if cls.method in BODYLESS or field.metadata.get("in") == "query" else in_body
            place.append((field.name, wire_name(field)))
    for _, name in (*in_query, *in_body):
        if len([other for _, other in (*in_query, *in_body) if other == name]) > 1:
            raise ConfigurationError(f"{cls.__name__} has two fields that are {name!r} on the wire")
    layout = LAYOUTS[cls] = Layout(in_path, tuple(in_query), tuple(in_body))
    return layout


def _mistake(cls: Any) -> str | None:
    """Why the class is not a valid endpoint, or None."""
    names = {field.name for field in cls.__attrs_attrs__}
    if own := sorted(OWN & names):
        return f" has a field named {own[0]}, which describes the endpoint: write it without an annotation"
    if not isinstance(getattr(cls, "path", None), str):
        return " has no path: give it one, such as path = '/api/plugin/agents'"
    if not hasattr(cls.success, "__contains__"):
        return f".success holds statuses, such as (200,), and is not {cls.success!r}"
    if not PATH.fullmatch(cls.path):
        return ".path must begin with / and hold no blank, #, or other than ASCII"
    if not METHOD.fullmatch(cls.method):
        return ".method must be the name of an HTTP method, such as GET"
    if set("{}") & set(PLACE.sub("", cls.path)):
        return ".path has a brace that is not part of a place such as {agent_id}; the URL's own braces are %7B and %7D"
    if unknown := sorted(set(PLACE.findall(cls.path)) - names):
        return f".path names {unknown}, but the class has no such field"
    return None


T_co = TypeVar("T_co", covariant=True)

SAFE_TO_REPEAT = BODYLESS | {"PUT"}  # RFC 9110, section 9.2.2
JSON_ACCEPTED = Headers({"Accept": "application/json", "User-Agent": USER_AGENT})
JSON_SENT = Headers({**JSON_ACCEPTED, "Content-Type": "application/json"})


def member(*, name: str, **options: Any) -> Any:
    """An attrs field with another name in JSON, for endpoints and for models. Takes the arguments of `attrs.field`.

    from attrs import frozen

    @frozen
    class Usage:
        user_id: str = member(name="userID")
    """
    return attrs.field(metadata={NAME: name}, **options)


def query(*, name: str | None = None, **options: Any) -> Any:
    """An attrs field that is sent in the query, for any method. Takes the arguments of `attrs.field`, and the `name`
    of the query parameter.

    The other fields of a POST are its JSON body:

        from attrs import frozen

        @frozen
        class SearchAgents(Endpoint[AgentList]):
            method = "POST"
            path = "/api/plugin/search"
            text: str
            page: int = query(default=1)

        request = SearchAgents("sales", page=2).request("https://chatloom.app")
        print(request.url, request.body)  # https://chatloom.app/api/plugin/search?page=2 b'{"text":"sales"}'
    """
    return attrs.field(metadata={"in": "query", NAME: name}, **options)


class Endpoint(Generic[T_co]):
    """One operation of the API. `T_co` is the type of its answer: a model, None, or by default plain JSON. Subclass it
    with `attrs.frozen`.

        from attrs import frozen

        @frozen
        class Count:
            count: int

        @frozen
        class CountAgents(Endpoint[Count]):
            path = "/api/plugin/agents"

        print((await chatloom.send(CountAgents())).count)

    The fields are the parameters. One that is named in `path`, as in "/agents/{agent_id}", fills its place there. Any
    other is a query parameter of GET, HEAD, DELETE and OPTIONS, and a member of the JSON body of other methods;
    `query()` puts it into the query there too. `primary_color` is sent as primaryColor, and models read it from
    primaryColor. `member(name=...)` gives a field any other name. A field that is None is left out; `NULL` is sent as
    null.

    `path` is relative to the base URL. `method` defaults to GET. `success` holds the successful statuses, by default
    every 2xx. `idempotent`: whether a request may be repeated if its answer was lost; by default yes, except for POST
    and PATCH (RFC 9110).
    """

    __slots__ = ()

    method: ClassVar[str] = "GET"
    path: ClassVar[str]
    success: ClassVar[Container[int]] = range(200, 300)
    idempotent: ClassVar[bool] = True
    returns: ClassVar[Any] = Any

    def __new__(cls, *_: Any, **__: Any) -> Self:
        if cls not in LAYOUTS and "__attrs_attrs__" not in cls.__dict__ and (mistake := _undecorated(cls)):
            raise ConfigurationError(f"{cls.__name__} {mistake}")
        return new_object(cls)  # type: ignore[no-any-return]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if isinstance(method := cls.__dict__.get("method"), str):  # else _mistake() reports it
            cls.method = method.upper()
            if "idempotent" not in cls.__dict__:
                cls.idempotent = cls.method in SAFE_TO_REPEAT
        for base in cls.__dict__.get("__orig_bases__", ()):
            origin = get_origin(base)
            if isinstance(origin, type) and issubclass(origin, Endpoint) and "returns" not in cls.__dict__:
                cls.returns = _answer(origin, get_args(base))

    def request(self, base_url: str, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> Request:
        """The unsigned request. Raises InvalidAgentIdError for an unsafe id, ConfigurationError for another unsafe
        path parameter or a value that JSON cannot hold."""
        layout = layout_of(type(self))
        path = self.path
        if layout.path:
            path = path.format_map({name: path_segment(name, getattr(self, name)) for name in layout.path})
        url = base_url + path
        if layout.query:
            pairs = [pair for field, name in layout.query for pair in query_pairs(field, name, getattr(self, field))]
            url += f"{'&' if '?' in path else '?'}{urlencode(pairs, quote_via=quote)}" if pairs else ""
        if self.method in BODYLESS:
            return Request(self.method, url, JSON_ACCEPTED, timeouts=timeouts)
        members = {name: value for field, name in layout.body if (value := getattr(self, field)) is not None}
        return Request(self.method, url, JSON_SENT, json_body(members, type(self).__name__), timeouts=timeouts)


def _undecorated(cls: Any) -> str | None:
    """Why a class without `attrs.frozen` is invalid, or None. A subclass that only changes `path` is valid."""
    if not hasattr(cls, "__attrs_attrs__"):
        return UNDECORATED
    fields = [name for name, kind in get_annotations(cls).items() if "ClassVar" not in str(kind)]
    return (
        f"has the field {fields[0]}, which attrs has not seen: decorate it with attrs.frozen, too" if fields else None
    )


def _answer(endpoint: Any, arguments: tuple[Any, ...]) -> Any:
    """The answer's type of `endpoint[arguments]`, for endpoint classes that are generic themselves."""
    known = dict(zip(endpoint.__parameters__, arguments, strict=True))
    answer = T_co if endpoint is Endpoint else endpoint.returns
    if isinstance(answer, TypeVar):
        return known.get(answer, answer)
    free = getattr(answer, "__parameters__", ())
    return answer[tuple(known.get(parameter, parameter) for parameter in free)] if free else answer
