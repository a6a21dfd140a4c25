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
from collections.abc import Container
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin
from urllib.parse import quote, urlencode

import attrs

from .encode import camel, json_body, path_segment, query_pairs
from .errors import ConfigurationError
from .message import DEFAULT_TIMEOUTS, Headers, Request, Timeouts
from .version import USER_AGENT

__all__ = ["BODYLESS", "layout_of"]

PATH = re.compile(r"/[!-\"$-~]*")
OWN = frozenset({"idempotent", "method", "path", "returns", "success"})
PLACE = re.compile(r"\{(\w+)\}")
METHOD = re.compile(r"[A-Z][A-Z-]*")
BODYLESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


@attrs.frozen
class Layout:
    """Which fields of an endpoint class go where."""

    path: tuple[str, ...]
    query: tuple[str, ...]
    body: tuple[str, ...]


LAYOUTS: dict[type, Layout] = {}


def layout_of(cls: Any) -> Layout:
    """The layout of a class, made when it is first needed. Raises ConfigurationError."""
    return LAYOUTS.get(cls) or _made(cls)


def _made(cls: Any) -> Layout:
    if mistake := _mistake(cls):
        raise ConfigurationError(f"{cls.__name__}{mistake}")
    names = [each.name for each in cls.__attrs_attrs__]
    asked = {each.name for each in cls.__attrs_attrs__ if each.metadata.get("in") == "query"}
    in_path = tuple(PLACE.findall(cls.path))
    rest = [name for name in names if name not in in_path]
    in_query = tuple(name for name in rest if cls.method in BODYLESS or name in asked)
    layout = LAYOUTS[cls] = Layout(in_path, in_query, tuple(name for name in rest if name not in in_query))
    return layout


def _mistake(cls: Any) -> str | None:
    """Why the class cannot be an endpoint."""
    fields = getattr(cls, "__attrs_attrs__", None)
    if fields is None:
        return " is not an attrs class: decorate it with attrs.frozen"
    names = {each.name for each in fields}
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


__all__ = ["Endpoint", "query"]

T_co = TypeVar("T_co", covariant=True)

SAFE_TO_REPEAT = BODYLESS | {"PUT"}  # RFC 9110, section 9.2.2
JSON_ACCEPTED = Headers({"Accept": "application/json", "User-Agent": USER_AGENT})
JSON_SENT = Headers({**JSON_ACCEPTED, "Content-Type": "application/json"})


def query(**options: Any) -> Any:
    """An attrs field that travels in the query, whatever the endpoint's method. Takes `attrs.field`'s arguments.

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
    return attrs.field(metadata={"in": "query"}, **options)


class Endpoint(Generic[T_co]):
    """One operation of the API; `T_co` is what it answers: a model, None, or by default JSON as it is. Subclass it
    with `attrs.frozen`.

        from attrs import frozen

        @frozen
        class Count:
            count: int

        @frozen
        class CountAgents(Endpoint[Count]):
            path = "/api/plugin/agents"

        print((await chatloom.send(CountAgents())).count)

    Its fields are its parameters, in the API's spelling: `primary_color` goes over the wire as primaryColor, and comes
    back as that in the fields of what it answers. A field that is None is left out.

    `path` is relative to the base URL. `method` defaults to GET. `success` lists the statuses that carry an
    answer. `idempotent` says whether a request whose answer was lost may be sent again; by default it follows
    from the method (RFC 9110: yes, except POST and PATCH).
    """

    __slots__ = ()

    method: ClassVar[str] = "GET"
    path: ClassVar[str]
    success: ClassVar[Container[int]] = (200,)
    idempotent: ClassVar[bool] = True
    returns: ClassVar[Any] = Any

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if isinstance(method := cls.__dict__.get("method"), str):  # else layout.py says what it is
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
            parameters = [pair for name in layout.query for pair in query_pairs(name, getattr(self, name))]
            url += f"{'&' if '?' in path else '?'}{urlencode(parameters, quote_via=quote)}" if parameters else ""
        if self.method in BODYLESS:
            return Request(self.method, url, JSON_ACCEPTED, timeouts=timeouts)
        members = {camel(name): value for name in layout.body if (value := getattr(self, name)) is not None}
        return Request(self.method, url, JSON_SENT, json_body(members, type(self).__name__), timeouts=timeouts)


def _answer(endpoint: Any, arguments: tuple[Any, ...]) -> Any:
    """What `endpoint[arguments]` answers: a generic class of endpoints may build on its type variables."""
    known = dict(zip(endpoint.__parameters__, arguments, strict=True))
    answer = T_co if endpoint is Endpoint else endpoint.returns
    if isinstance(answer, TypeVar):
        return known.get(answer, answer)
    free = getattr(answer, "__parameters__", ())
    return answer[tuple(known.get(each, each) for each in free)] if free else answer
