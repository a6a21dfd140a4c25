"""Descriptions of endpoints become requests: what goes where, and how it is spelled."""

import json
import pickle
import re
import time as time_module
import types
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from enum import Enum, IntEnum, StrEnum
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

import attrs
import orjson
import pytest
from attrs import frozen

from chatloom_async.wire.auth import ApiKey
from chatloom_async.wire.decode import decode
from chatloom_async.wire.encode import NULL, Null
from chatloom_async.wire.endpoint import Endpoint, member, query
from chatloom_async.wire.errors import ConfigurationError, SchemaMismatchError
from chatloom_async.wire.message import DEFAULT_TIMEOUTS, Request, Response, Timeouts

T = TypeVar("T")
U = TypeVar("U")
BASE = "https://chatloom.app"


class Channel(Enum):
    WEB = "web"
    LEVEL = 3


class Mood(str, Enum):  # noqa: UP042  # what people wrote before StrEnum
    GOOD = "good"


class Tone(StrEnum):
    WARM = "warm"


class Level(IntEnum):
    HIGH = 2


@attrs.frozen
class Author:
    full_name: str
    email: str | None = None


@attrs.frozen
class Message:
    """What the README's example answers."""

    id: str
    sent_at: datetime


@attrs.frozen
class SendMessage(Endpoint[Message]):
    """The README's example of an endpoint of one's own."""

    method = "POST"
    path = "/api/plugin/agents/{agent_id}/messages"
    success = (200, 201)

    agent_id: str
    text: str
    reply_to: str | None = None
    author: Author | None = None
    dry_run: bool = query(default=False, kw_only=True)


@attrs.frozen
class Search(Endpoint[list[str]]):
    path = "/search"

    search_for: Any = None
    from_: Any = None


@attrs.frozen
class Post(Endpoint[Any]):
    method = "POST"
    path = "/post"

    some_value: Any = None


def url_of(value: Any) -> str:
    """The query that a search for this value has."""
    return Search(value).request(BASE).url.removeprefix(f"{BASE}/search")


def test_an_endpoint_of_ones_own() -> None:
    """Path, query and body are filled from the fields, in camelCase; the answer is read as the generic argument."""
    endpoint = SendMessage("agt_1", "Hello ü", author=Author("Ada"), dry_run=True)
    request = endpoint.request(BASE)
    assert (request.method, request.url) == ("POST", f"{BASE}/api/plugin/agents/agt_1/messages?dryRun=true")
    assert orjson.loads(request.body or b"") == {"text": "Hello ü", "author": {"fullName": "Ada"}}
    assert (request.headers["content-type"], request.headers["accept"]) == ("application/json", "application/json")
    answer = Response(201, body=b'{"id": "msg_1", "sentAt": "2026-01-15T09:00:00Z"}')
    assert decode(answer, endpoint.returns) == Message("msg_1", datetime(2026, 1, 15, 9, tzinfo=UTC))
    assert (endpoint.idempotent, endpoint.success) == (False, (200, 201))


QUERIES: list[tuple[Any, str]] = [
    (None, ""),
    ("x", "?searchFor=x"),
    ("", "?searchFor="),
    ("a b&c=d#e/f?g+h", "?searchFor=a%20b%26c%3Dd%23e%2Ff%3Fg%2Bh"),
    ("ü漢", "?searchFor=%C3%BC%E6%BC%A2"),
    ("a\r\nX-Evil: 1", "?searchFor=a%0D%0AX-Evil%3A%201"),
    (True, "?searchFor=true"),
    (False, "?searchFor=false"),
    (0, "?searchFor=0"),
    (-1.5, "?searchFor=-1.5"),
    (["a", "b"], "?searchFor=a&searchFor=b"),
    (("a", None, 1, True), "?searchFor=a&searchFor=1&searchFor=true"),
    ({"a"}, "?searchFor=a"),
    ([], ""),
    (Channel.WEB, "?searchFor=web"),
    (Channel.LEVEL, "?searchFor=3"),
    (Mood.GOOD, "?searchFor=good"),
    (Tone.WARM, "?searchFor=warm"),
    (Level.HIGH, "?searchFor=2"),
    ([Mood.GOOD, Channel.WEB], "?searchFor=good&searchFor=web"),
    (date(2026, 1, 15), "?searchFor=2026-01-15"),
    (datetime(2026, 1, 15, 9, tzinfo=UTC), "?searchFor=2026-01-15T09%3A00%3A00.000Z"),
    (datetime(2026, 1, 15, 10, tzinfo=timezone(timedelta(hours=1))), "?searchFor=2026-01-15T09%3A00%3A00.000Z"),
]


@pytest.mark.parametrize(("value", "text"), QUERIES)
def test_queries(value: Any, text: str) -> None:
    """The fields of a GET are its query: escaped, booleans as true and false, lists repeated, None left out."""
    assert url_of(value) == text


def test_a_query_keeps_the_order_of_the_fields() -> None:
    """Several parameters come in the order of the class; a trailing underscore is dropped."""
    assert Search("a", "b").request(BASE).url == f"{BASE}/search?searchFor=a&from=b"


BODIES: list[tuple[Any, Any]] = [
    ("x", "x"),
    (True, True),
    (0, 0),
    (1.5, 1.5),
    ([], []),
    ([1, None, "x"], [1, None, "x"]),
    (("a",), ["a"]),
    ({"a"}, ["a"]),
    (frozenset({1}), [1]),
    ({"snake_key": None}, {"snake_key": None}),
    (Channel.WEB, "web"),
    (Mood.GOOD, "good"),
    (Level.HIGH, 2),
    (date(2026, 1, 15), "2026-01-15"),
    (datetime(2026, 1, 15, 9, 0, 0, 123999, tzinfo=UTC), "2026-01-15T09:00:00.123Z"),
    (datetime(2026, 1, 15, 10, tzinfo=timezone(timedelta(hours=1))), "2026-01-15T09:00:00.000Z"),
    (Author("Ada"), {"fullName": "Ada"}),
    ([Author("Ada", "a@x")], [{"fullName": "Ada", "email": "a@x"}]),
    ({"by": Author("Ada")}, {"by": {"fullName": "Ada"}}),
]


@pytest.mark.parametrize(("value", "document"), BODIES)
def test_bodies(value: Any, document: Any) -> None:
    """A POST's fields are members of its JSON: nested attrs values in camelCase, moments in UTC."""
    request = Post(value).request(BASE)
    assert (request.url, orjson.loads(request.body or b"")) == (f"{BASE}/post", {"someValue": document})


def test_an_empty_body_is_an_empty_object() -> None:
    """None is left out; the rest is still JSON."""
    assert Post().request(BASE).body == b"{}"


UNSENDABLE: list[tuple[Any, str]] = [
    (datetime(2026, 1, 15), "without a time zone"),  # noqa: DTZ001
    ([{"at": datetime(2026, 1, 15)}], "without a time zone"),  # noqa: DTZ001
    (time(9), "time has no JSON form"),
    (object(), "object has no JSON form"),
    (b"bytes", "bytes has no JSON form"),
    (1j, "complex has no JSON form"),
    (ApiKey("clf_canary0123"), "ApiKey has no JSON form"),
    ({1: 2}, "must be str"),
    (2**64, "64-bit"),
    ("\ud800", "surrogates"),
]


def test_what_json_cannot_hold_is_explained() -> None:
    """In one sentence, not in that of an error within an error."""
    with pytest.raises(ConfigurationError) as caught:
        Post(datetime(2026, 1, 15)).request(BASE)  # noqa: DTZ001
    reason = "A datetime without a time zone cannot be sent: add tzinfo, such as datetime.UTC"
    assert caught.value == ConfigurationError(f"Post cannot be written as JSON: {reason}")


@pytest.mark.skipif(not hasattr(time_module, "tzset"), reason="needs POSIX, to be elsewhere for a moment")
def test_moments_are_sent_in_utc_wherever_this_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own time zone plays no part."""
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "XXX-9")
        time_module.tzset()
        body = Post(datetime(2026, 1, 15, 9, tzinfo=UTC)).request(BASE).body
    time_module.tzset()
    assert body == b'{"someValue":"2026-01-15T09:00:00.000Z"}'


@pytest.mark.parametrize(("value", "reason"), UNSENDABLE)
def test_what_json_cannot_hold(value: Any, reason: str) -> None:
    """A value without an exact JSON form is refused before anything is sent, with the reason."""
    with pytest.raises(ConfigurationError, match=f"^Post cannot be written as JSON: .*{reason}") as caught:
        Post(value).request(BASE)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        b"bytes",
        {"a": 1},
        [["nested"]],
        Author("Ada"),
        time(9),
        "\ud800",
        ApiKey("clf_canary0123"),
        datetime(2026, 1, 15),  # noqa: DTZ001
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_query_cannot_hold(value: Any) -> None:
    """Nor does a query take what has no plain spelling."""
    with pytest.raises(ConfigurationError) as caught:
        url_of(value)
    assert "canary" not in str(caught.value)


def test_what_a_query_cannot_hold_is_explained() -> None:
    """By the names of the field and of the type."""
    with pytest.raises(ConfigurationError) as caught:
        url_of([b"bytes"])
    assert caught.value.message == "search_for cannot be part of a query: its bytes has no such form"
    with pytest.raises(ConfigurationError) as caught:
        url_of(NULL)
    assert caught.value.message == "search_for cannot be part of a query: a query has no null"


@pytest.mark.parametrize(
    ("method", "idempotent", "in_body"),
    [
        ("GET", True, False),
        ("HEAD", True, False),
        ("DELETE", True, False),
        ("OPTIONS", True, False),
        ("PUT", True, True),
        ("POST", False, True),
        ("PATCH", False, True),
        ("post", False, True),
        ("put", True, True),
    ],
)
def test_what_follows_from_the_method(method: str, idempotent: bool, in_body: bool) -> None:
    """Where fields go, and whether a lost request may be repeated, follows from the method (RFC 9110)."""
    cls = attrs.frozen(type("Call", (Endpoint,), {"method": method, "path": "/x", "__annotations__": {"a": str}}))
    request = cls("1").request(BASE)
    assert (cls.idempotent, request.method) == (idempotent, method.upper())
    assert (request.url, request.body) == ((f"{BASE}/x", b'{"a":"1"}') if in_body else (f"{BASE}/x?a=1", None))


def test_idempotent_is_the_classs_to_say() -> None:
    """A class may know better; its subclasses keep that, unless they have another method."""

    @attrs.frozen
    class Keyed(Endpoint[Any]):
        method = "POST"
        path = "/x"
        idempotent = True

    @attrs.frozen
    class Same(Keyed):
        path = "/y"

    @attrs.frozen
    class Patch(Keyed):
        method = "PATCH"

    @attrs.frozen
    class OneShot(Endpoint[Any]):
        path = "/x"
        idempotent = False

    @attrs.frozen
    class Reads(OneShot):
        path = "/y"

    classes: list[type[Endpoint[Any]]] = [Keyed, Same, Patch, OneShot, Reads]
    assert [cls.idempotent for cls in classes] == [True, True, False, False, False]
    assert [cls.method for cls in classes] == ["POST", "POST", "PATCH", "GET", "GET"]


def test_subclasses_inherit_everything() -> None:
    """Path, method, fields and answer come from the ancestor; a subclass may add fields."""

    @attrs.frozen(kw_only=True)
    class Loud(SendMessage):
        volume: int = 11

    request = Loud(agent_id="agt_1", text="x").request(BASE)
    assert (Loud.returns, Loud.success, Loud.idempotent) == (Message, (200, 201), False)
    assert orjson.loads(request.body or b"") == {"text": "x", "volume": 11}


@attrs.frozen
class Page(Generic[T]):
    items: tuple[T, ...]


@attrs.frozen
class Listing(Endpoint[Page[T]]):
    path = "/listing"


@attrs.frozen
class Plain(Endpoint[T]):
    path = "/plain"


@attrs.frozen
class Messages(Listing[Message]):
    pass


@attrs.frozen
class Nested(Listing[dict[str, U]], Generic[U]):
    pass


@attrs.frozen
class NestedFlags(Nested[bool]):
    pass


@attrs.frozen
class Words(Plain[list[str]]):
    pass


@attrs.frozen
class FewerWords(Words):
    pass


@attrs.frozen
class Untyped(Endpoint):  # type: ignore[type-arg]
    path = "/untyped"


@attrs.frozen
class Nothing(Endpoint[None]):
    path = "/nothing"


@pytest.mark.parametrize(
    ("cls", "returns"),
    [
        (SendMessage, Message),
        (Search, list[str]),
        (Listing, Page[T]),  # type: ignore[valid-type]
        (Messages, Page[Message]),
        (NestedFlags, Page[dict[str, bool]]),
        (Plain, T),
        (Words, list[str]),
        (FewerWords, list[str]),
        (Untyped, Any),
        (Nothing, type(None)),
    ],
)
def test_returns_follows_the_generic_argument(cls: type[Endpoint[Any]], returns: Any) -> None:
    """The generic argument is what the endpoint answers, through any number of generic ancestors."""
    assert cls.returns == returns


def test_a_generic_answer_is_decoded() -> None:
    """One generic page serves every resource."""
    body = b'{"items": [{"id": "msg_1", "sentAt": "2026-01-15T09:00:00Z"}]}'
    expected = Page((Message("msg_1", datetime(2026, 1, 15, 9, tzinfo=UTC)),))
    assert decode(Response(200, body=body), Messages.returns) == expected


def test_a_path_that_names_no_field() -> None:
    """A mistyped name is told by name, at the first request."""

    @attrs.frozen
    class Typo(Endpoint[Any]):
        path = "/x/{agent}/{thread}"
        agent_id: str
        thread: str

    with pytest.raises(ConfigurationError, match=r"^Typo\.path names \['agent'\], but the class has no such field"):
        Typo("1", "2").request(BASE)


@pytest.mark.parametrize("path", ["api/x", "", "@other.example/x", "/a b", "/a#b", "/a\r\nX: y", "/\x7f", "/ü"])
def test_a_path_that_could_lead_elsewhere(path: str) -> None:
    """A forgotten slash would make another host of it, which would get the key."""
    Lost = attrs.frozen(type("Lost", (Endpoint,), {"path": path}))  # noqa: N806
    with pytest.raises(ConfigurationError, match=r"^Lost\.path must begin with / and hold no blank"):
        Lost().request(BASE)


MISTAKES: dict[str, dict[str, Any]] = {
    "has no path: give it one, such as path = '/api/plugin/agents'": {},
    "has no path": {"path": None},
    ".success holds statuses, such as (200,), and is not 201": {"path": "/x", "success": 201},
    "has a field named path, which describes the endpoint: write it without an annotation": {
        "path": "/x",
        "__annotations__": {"path": str},
    },
    "has a field named method, which": {"path": "/x", "method": "PUT", "__annotations__": {"method": str}},
    "has a field named returns, which": {"path": "/x", "returns": int, "__annotations__": {"returns": type}},
}


@pytest.mark.parametrize(("told", "body"), MISTAKES.items(), ids=list(MISTAKES))
def test_a_mistake_in_an_endpoint_is_told_before_anything_is_sent(told: str, body: dict[str, Any]) -> None:
    """With what to write instead."""
    Wrong = attrs.frozen(type("Wrong", (Endpoint,), body))  # noqa: N806
    with pytest.raises(ConfigurationError, match=f"^Wrong ?{re.escape(told)}"):
        Wrong().request(BASE)


def test_a_field_named_returns_beside_a_type_argument() -> None:
    """The argument does not take the field's place, so it is told, too."""
    members = {"path": "/x", "__annotations__": {"returns": str}}
    Wrong = attrs.frozen(types.new_class("Wrong", (Endpoint[str],), {}, lambda own: own.update(members)))  # noqa: N806
    with pytest.raises(ConfigurationError, match=r"^Wrong has a field named returns"):
        Wrong("a").request(BASE)


def test_without_a_type_argument_json_comes_back_as_it_is() -> None:
    """Nothing of the answer is lost; a 204 has none."""
    assert decode(Response(200, body=b'{"a": [null]}'), Untyped.returns) == {"a": [None]}
    assert decode(Response(204), Untyped.returns) is None


@dataclass
class Point:
    """What orjson writes by itself."""

    x: object


@pytest.mark.parametrize("number", [float("nan"), float("inf"), [1.0, -float("inf")]])
def test_a_number_that_is_not_finite_is_not_sent_as_null(number: object) -> None:
    """JSON has none; a null that was meant is sent."""

    @attrs.frozen
    class Rate(Endpoint[Any]):
        method = "POST"
        path = "/x"
        rate: Any

    for value in (number, Point(number), Rate(number)):
        with pytest.raises(ConfigurationError) as caught:
            Rate(value).request(BASE)
        reason = "a number that is not finite has no JSON form"
        assert caught.value.message == f"Rate cannot be written as JSON: {reason}"
    assert Rate([None, 1.5]).request(BASE).body == b'{"rate":[null,1.5]}'
    moment = datetime(2026, 1, 15, 9, tzinfo=UTC)
    others = [None, moment, UUID(int=7), Point(None), Rate(None)]
    text = '[null,"2026-01-15T09:00:00.000Z","00000000-0000-0000-0000-000000000007",{"x":null},{}]'
    assert Rate(others).request(BASE).body == f'{{"rate":{text}}}'.encode()


@pytest.mark.parametrize(
    "path",
    ["/{agent_id!s}", "/{agent_id:>9}", "/{agent_id[0]}", "/{agent-id}", "/{}", "/{{}}", "/{{agent_id}}", "/x}", "/{"],
)
def test_a_brace_that_is_no_place(path: str) -> None:
    """It is told before anything is sent, and no parameter slides into the query."""
    Braced = attrs.make_class("Braced", ["agent_id"], bases=(Endpoint,), class_body={"path": path})  # noqa: N806
    with pytest.raises(ConfigurationError, match=r"^Braced\.path has a brace that is not part of a place such as"):
        Braced("agt_1").request(BASE)


def test_a_query_that_the_path_has_already() -> None:
    """Parameters follow it."""

    @attrs.frozen
    class Sorted(Endpoint[Any]):
        path = "/x?sort=name"
        page: int | None = None

    assert Sorted().request(BASE).url == f"{BASE}/x?sort=name"
    assert Sorted(2).request(BASE).url == f"{BASE}/x?sort=name&page=2"


@pytest.mark.parametrize("method", ["", "G ET", "GET\r\n"])
def test_a_method_that_is_none(method: str) -> None:
    """It is told like a path."""
    Odd = attrs.frozen(type("Odd", (Endpoint,), {"path": "/x", "method": method}))  # noqa: N806
    with pytest.raises(ConfigurationError, match=r"^Odd\.method must be the name of an HTTP method"):
        Odd().request(BASE)


def test_a_class_that_attrs_has_not_seen() -> None:
    """A forgotten decorator is told, too."""

    class Bare(Endpoint[Any]):
        path = "/x"

    with pytest.raises(ConfigurationError, match=r"^Bare is not an attrs class: decorate it with attrs\.frozen"):
        Bare().request(BASE)


@pytest.mark.parametrize("value", ["..", "a/b", "", None, 5])
def test_other_path_parameters_are_as_strict(value: Any) -> None:
    """Any field in a path must be harmless, not only agent ids."""

    @attrs.frozen
    class Thread(Endpoint[Any]):
        path = "/threads/{thread_id}"
        thread_id: Any

    with pytest.raises(ConfigurationError, match=r"^thread_id cannot be part of a path") as caught:
        Thread(value).request(BASE)
    assert type(caught.value) is ConfigurationError
    must = "be 1 to 256 of A-Z a-z 0-9 _ ~ . - and not '.' or '..'"
    if not isinstance(value, str):
        must = f"be a string, not of the type {type(value).__name__}"
    assert caught.value.message == f"thread_id cannot be part of a path: it must {must}"


def test_requests_of_one_kind_share_their_headers() -> None:
    """That is what lets a key remember its signed headers."""
    assert Search("a").request(BASE).headers is Search("b").request(BASE).headers
    assert Post("a").request(BASE).headers is Post("b").request(BASE).headers


def test_base_url_and_timeouts_are_the_clients() -> None:
    """Both are handed in; a path prefix stays."""
    timeouts = Timeouts(read=1.0)
    request = Search("a").request("https://proxy.example/v1", timeouts)
    assert request == Request("GET", "https://proxy.example/v1/search?searchFor=a", request.headers)
    assert (request.timeouts, Search().request(BASE).timeouts) == (timeouts, DEFAULT_TIMEOUTS)


@frozen
class Odd:
    """A model with names that are not plain snake_case, and one that says what it is called."""

    userID: str  # noqa: N815 - as the API has it
    _private: int
    with__two: bool
    plain_name: str
    shown_as: str = member(name="Display-Name")


@frozen
class SendOdd(Endpoint[Odd]):
    method = "POST"
    path = "/odd"
    odd: Odd
    userID: str  # noqa: N815 - as the API has it
    page_size: int = query(name="page[size]", default=5)
    trace_id: str | None = member(name="trace-id", default=None)


def test_names_travel_both_ways() -> None:
    """Plain snake_case as camelCase, any other as it is, and a given name as it was given."""
    odd = Odd("u", 1, True, "p", "s")
    request = SendOdd(odd, "v", trace_id="t").request("https://chatloom.app")
    document = {"userID": "u", "_private": 1, "with__two": True, "plainName": "p", "Display-Name": "s"}
    assert request.url == "https://chatloom.app/odd?page%5Bsize%5D=5"
    assert json.loads(request.body or b"") == {"odd": document, "userID": "v", "trace-id": "t"}
    assert decode(Response(200, body=json.dumps(document).encode()), Odd) == odd
    missing = decode(Response(200, body=json.dumps({**document, "Display-Name": 5}).encode()), Odd)
    assert isinstance(missing, SchemaMismatchError)
    assert missing.path == "$.Display-Name"


def test_two_fields_cannot_have_one_name() -> None:
    """One would hide the other."""

    @frozen
    class Twice(Endpoint[None]):
        path = "/twice"
        page_size: int
        size: int = member(name="pageSize")

    with pytest.raises(ConfigurationError, match=r"^Twice has two fields that are 'pageSize' on the wire"):
        Twice(1, 2).request("https://chatloom.app")


@frozen
class Change(Endpoint[None]):
    method = "PATCH"
    path = "/things"
    name: str | Null | None = None
    tags: tuple[str | Null, ...] | None = None


def test_null_is_sent_and_none_is_left_out() -> None:
    """A service that distinguishes "leave it" from "remove it" gets both."""
    assert Change().request("https://chatloom.app").body == b"{}"
    assert Change(name=NULL).request("https://chatloom.app").body == b'{"name":null}'
    assert Change(tags=("a", NULL)).request("https://chatloom.app").body == b'{"tags":["a",null]}'
    assert (repr(NULL), pickle.loads(pickle.dumps(NULL)) is NULL) == ("NULL", True)


def test_null_has_no_form_in_a_query() -> None:
    """What a server would take it for is anybody's guess."""

    @frozen
    class Search(Endpoint[None]):
        path = "/things"
        text: str | Null

    with pytest.raises(ConfigurationError, match=r"^text cannot be part of a query"):
        Search(NULL).request("https://chatloom.app")


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 299])
def test_every_2xx_is_success(status: int) -> None:
    """The thing was created: calling that a failure would invite to create it again."""
    assert status in Change.success
    assert 199 not in Change.success
    assert 300 not in Change.success


def test_a_class_that_attrs_has_not_seen_is_told_when_it_is_made() -> None:
    """Python would only say that it takes no arguments; and a subclass would lose its new fields."""

    class Bare(Endpoint[None]):
        path = "/bare"
        text: str

    class Longer(Change):
        text: str
        more: ClassVar[int] = 5

    class Elsewhere(Change):
        path = "/elsewhere"

    with pytest.raises(ConfigurationError, match=r"^Bare is not an attrs class: decorate it with attrs\.frozen"):
        Bare(text="x")  # type: ignore[call-arg]
    with pytest.raises(ConfigurationError, match=r"^Longer has the field text, which attrs has not seen: decorate it"):
        Longer(text="x")  # type: ignore[call-arg]
    assert Elsewhere(name="x").request("https://chatloom.app").url == "https://chatloom.app/elsewhere"
