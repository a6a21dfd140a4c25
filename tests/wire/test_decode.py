"""Bodies to values, strictly: faults 47 to 64 as far as they concern bodies."""

import json
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum
from typing import Any, Generic, Literal, TypedDict, TypeVar

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatloom_async.wire.cleaning import clean
from chatloom_async.wire.decode import decode, excerpt
from chatloom_async.wire.errors import ConfigurationError, DecodeError, NotJSONError, SchemaMismatchError
from chatloom_async.wire.message import Response

T = TypeVar("T")


@attrs.frozen
class Part:
    part_id: int
    note: str | None = None


@attrs.frozen
class Whole:
    id: str
    created_at: datetime
    parts: tuple[Part, ...] = ()
    by_name: dict[str, Part] = attrs.Factory(dict)
    is_on: bool = False
    share: float = 0.0
    from_: str = ""
    children: list["Whole"] = attrs.Factory(list)


@attrs.frozen
class Page(Generic[T]):
    the_items: list[T]


class Colour(Enum):
    RED = "red"


def answer(body: bytes | str, content_type: str = "application/json") -> Response:
    """A 200 with this body."""
    return Response(200, {"Content-Type": content_type}, body.encode() if isinstance(body, str) else body)


FITS: list[tuple[str, Any, Any]] = [
    ('{"partId": 1}', Part, Part(1)),
    ('{"partId": 1, "note": null}', Part, Part(1, None)),
    ('{"partId": 1, "note": "n", "unknown": {"x": [1]}}', Part, Part(1, "n")),
    ("[]", list[Part], []),
    ('[{"partId": 1}, {"partId": 2}]', list[Part], [Part(1), Part(2)]),
    ('[{"partId": 1}]', tuple[Part, ...], (Part(1),)),
    ('["a", "a"]', tuple[str, ...], ("a", "a")),
    ('["a", "a"]', Sequence[str], ("a", "a")),
    ('["a", "a"]', set[str], {"a"}),
    ('["a"]', frozenset[str], frozenset({"a"})),
    ('["a", 1]', list, ["a", 1]),
    ('["a", 1]', list[Any], ["a", 1]),
    ('{"a": 1}', dict[str, int], {"a": 1}),
    ('{"a": [1]}', dict, {"a": [1]}),
    ('{"x": {"partId": 1}}', dict[str, Part], {"x": Part(1)}),
    ('{"theItems": [{"partId": 1}]}', Page[Part], Page([Part(1)])),
    ("null", str | None, None),
    ('"x"', str | None, "x"),
    ('""', str, ""),
    ("0", int, 0),
    ("18446744073709551615", int, 2**64 - 1),
    ("true", bool, True),
    ("1", float, 1),
    ("1.5", float, 1.5),
    ("1e3", float, 1000.0),
    ('"red"', Colour, Colour.RED),
    ('"a"', Literal["a", "b"], "a"),
    ('{"any": [null, 1, {}]}', Any, {"any": [None, 1, {}]}),
    ("null", Any, None),
    (' \r\n\t{"partId": 1} \n', Part, Part(1)),
    (
        """{"id": "w", "createdAt": "2026-01-15T09:00:00Z", "parts": [{"partId": 1}], "byName": {"a b": {"partId": 2}},
        "isOn": true, "share": 0.5, "from": "f", "children": [{"id": "c", "createdAt": "2026-01-15T09:00:00Z"}]}""",
        Whole,
        Whole(
            "w",
            datetime(2026, 1, 15, 9, tzinfo=UTC),
            (Part(1),),
            {"a b": Part(2)},
            True,
            0.5,
            "f",
            [Whole("c", datetime(2026, 1, 15, 9, tzinfo=UTC))],
        ),
    ),
]


@pytest.mark.parametrize(("body", "returns", "value"), FITS)
def test_what_fits(body: str, returns: Any, value: Any) -> None:
    """camelCase members become snake_case fields; what is unknown is ignored; the types are exact."""
    decoded = decode(answer(body), returns)
    assert (decoded, type(decoded)) == (value, type(value))


MISFITS: list[tuple[str, Any, str, str]] = [  # fault 58: the top level
    ("null", Part, "expected an object, got null", "$"),
    ("[]", Part, "expected an object, got an array", "$"),
    ('"x"', Part, "expected an object, got a string", "$"),
    ("5", Part, "expected an object, got an integer", "$"),
    ("{}", list[Part], "expected an array, got an object", "$"),
    ('"abc"', list[str], "expected an array, got a string", "$"),
    ('"abc"', tuple[str, ...], "expected an array, got a string", "$"),
    ('"abc"', set[str], "expected an array, got a string", "$"),
    ('"abc"', Sequence[str], "expected an array, got a string", "$"),
    ('"abc"', list, "expected an array, got a string", "$"),
    ("[]", dict[str, int], "expected an object, got an array", "$"),
    ('"ab"', dict, "expected an object, got a string", "$"),
    ("null", str, "expected a string, got null", "$"),
    ("5", str | None, "expected a string, got an integer", "$"),
    ("true", int, "expected an integer, got a boolean", "$"),
    ("1.0", int, "expected an integer, got a number", "$"),
    ("18446744073709551616.0", int, "expected an integer, got a number", "$"),
    ('"7"', int, "expected an integer, got a string", "$"),
    ("1", bool, "expected a boolean, got an integer", "$"),
    ('"true"', bool, "expected a boolean, got a string", "$"),
    ("true", float, "expected a number, got a boolean", "$"),
    ('"1"', float, "expected a number, got a string", "$"),
    ('"blue"', Colour, "'blue' is not a valid Colour", "$"),
    # faults 59 and 60: members
    ("{}", Part, "required member missing", "$.partId"),
    ('{"part_id": 1}', Part, "required member missing", "$.partId"),
    ('{"partId": null}', Part, "expected an integer, got null", "$.partId"),
    ('{"partId": 1, "note": 5}', Part, "expected a string, got an integer", "$.note"),
    ('{"partId": "1", "note": 5}', Part, "expected an integer, got a string", "$.partId"),
    ('[{"partId": 1}, {"partId": "2"}]', list[Part], "expected an integer, got a string", "$[1].partId"),
    ('[["a"], ["b", 2]]', list[list[str]], "expected a string, got an integer", "$[1][1]"),
    ('{"theItems": [1, "2"]}', Page[int], "expected an integer, got a string", "$.theItems[1]"),
    ('{"a.b_c @ d": "x"}', dict[str, int], "expected an integer, got a string", "$['a.b_c @ d']"),
    ('{"id": "w", "createdAt": 5}', Whole, "expected a string (ISO 8601), got an integer", "$.createdAt"),
    (
        '{"id": "w", "createdAt": "2026-01-15T09:00:00Z", "byName": {"x": {"partId": []}}}',
        Whole,
        "expected an integer, got an array",
        "$.byName['x'].partId",
    ),
    (
        '{"id": "w", "createdAt": "2026-01-15T09:00:00Z", "children": [{"id": "c", "createdAt": "never"}]}',
        Whole,
        "expected ISO 8601 with a time zone, got 'never'",
        "$.children[0].createdAt",
    ),
]


@pytest.mark.parametrize(("body", "returns", "reason", "path"), MISFITS)
def test_what_does_not_fit(body: str, returns: Any, reason: str, path: str) -> None:
    """Nothing is coerced: the error names the first place that differs, in the API's own names, and the reason."""
    text = f"The answer does not fit the endpoint's type: {reason} at {path}"
    assert decode(answer(body), returns) == SchemaMismatchError(text, path=path, excerpt=body[:200], documented=False)


def test_what_does_not_fit_a_type_of_ones_own_is_a_question_of_that_type() -> None:
    """Chatloom's support could say nothing about it."""
    own = SchemaMismatchError("", documented=False).hint
    assert own.startswith("Compare the fields of your endpoint's type with the answer: ")
    assert SchemaMismatchError("", documented=True).hint == DecodeError.hint


HOUR = timedelta(hours=1)
MOMENTS = [  # fault 62
    ("2026-01-15T09:00:00.000Z", datetime(2026, 1, 15, 9, tzinfo=UTC)),
    ("2026-01-15T09:00:00Z", datetime(2026, 1, 15, 9, tzinfo=UTC)),
    ("2026-01-15T09:00Z", datetime(2026, 1, 15, 9, tzinfo=UTC)),
    ("2026-01-15T09:00:00.123456Z", datetime(2026, 1, 15, 9, 0, 0, 123456, tzinfo=UTC)),
    ("2026-01-15T09:00:00.5Z", datetime(2026, 1, 15, 9, 0, 0, 500000, tzinfo=UTC)),
    ("2026-01-15T10:00:00+01:00", datetime(2026, 1, 15, 10, tzinfo=timezone(HOUR))),
    ("2026-01-15T10:00:00+0100", datetime(2026, 1, 15, 10, tzinfo=timezone(HOUR))),
    ("2026-01-15 09:00:00+00:00", datetime(2026, 1, 15, 9, tzinfo=UTC)),
    ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),  # a leap second
    ("2016-12-31T23:59:60.5Z", datetime(2017, 1, 1, 0, 0, 0, 500000, tzinfo=UTC)),
    ("2017-01-01T00:59:60+01:00", datetime(2017, 1, 1, 1, tzinfo=timezone(HOUR))),
    ("2026-01-15T24:00:00Z", datetime(2026, 1, 16, tzinfo=UTC)),
    ("2026-01-15T24:00:00.000Z", datetime(2026, 1, 16, tzinfo=UTC)),
    ("2026-12-31T24:00+01:00", datetime(2027, 1, 1, tzinfo=timezone(HOUR))),
]


@pytest.mark.parametrize(("text", "moment"), MOMENTS)
def test_moments(text: str, moment: datetime) -> None:
    """ISO 8601 with Z or an offset, with or without a fraction, becomes an aware datetime of the same offset."""
    decoded = decode(answer(json.dumps(text)), datetime)
    assert (decoded, decoded.utcoffset()) == (moment, moment.utcoffset())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-15",
        "2026-01-15T09:00:00",
        "yesterday",
        "1768467600",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "Z",
        "2026-01-15T09:00:00+25:00",
        "2026-01-15T24:00:01Z",
        "2026-01-15T25:00:00Z",
        "2026-01-15T09:00:61Z",
        "2026-01-15T24:00:00",
        "9999-12-31T24:00:00Z",
    ],
)
def test_no_moments(text: str) -> None:
    """Moments without a time zone, or not in ISO 8601, are refused with the original text in the error."""
    reason = f"The answer does not fit the endpoint's type: expected ISO 8601 with a time zone, got {text!r} at $"
    body = json.dumps(text)
    assert decode(answer(body), datetime) == SchemaMismatchError(reason, path="$", excerpt=body, documented=False)


def test_a_text_that_is_no_moment_is_quoted_by_its_beginning() -> None:
    """So that the place is still read."""
    body = json.dumps("x" * 61)
    reason = f"expected ISO 8601 with a time zone, got '{'x' * 57}...'"
    wanted = SchemaMismatchError(
        f"The answer does not fit the endpoint's type: {reason} at $", path="$", excerpt=body, documented=False
    )
    assert decode(answer(body), datetime) == wanted


NO_JSON: list[tuple[bytes, str, str, str]] = [
    (b"", "application/json", "empty", ""),  # 47
    (b" \r\n", "application/json", "empty", ""),
    (b"<html><body>Login</body></html>", "text/html", "content_type", "<html><body>Login</body></html>"),  # 49
    (b"<html>", "", "content_type", "<html>"),
    (b"upstream error", "text/plain", "content_type", "upstream error"),
    (b"<html>", "application/json", "syntax", "<html>"),
    (b'{"agents": [{"id"', "application/json", "possible_truncation", '{"agents": [{"id"'),  # 37, 42
    (b'[{"id": 1}, ', "text/plain", "possible_truncation", '[{"id": 1},'),
    (b'{"a": X', "application/json", "possible_truncation", '{"a": X'),
    (b'{"a": 1}}', "application/json", "syntax", '{"a": 1}}'),
    (b'{"a": 1}<!-- debug -->', "application/json", "syntax", '{"a": 1}<!-- debug -->'),
    (b'{"a": "\\ud83d', "application/json", "possible_truncation", '{"a": "\\ud83d'),
    (b"{'a': 1}", "text/plain", "syntax", "{'a': 1}"),
    (b"X[", "text/plain", "content_type", "X["),
    (b"{'a': 1}", "application/json", "syntax", "{'a': 1}"),
    (b'{"a": 1,}', "application/json", "syntax", '{"a": 1,}'),
    (b'{"a": "\xff"}', "application/json", "syntax", '{"a": "\ufffd"}'),  # 52
    (b'{"a": "\xed\xa0\x80"}', "application/json", "syntax", '{"a": "\ufffd\ufffd\ufffd"}'),
    (b"[" * 100_000 + b"]" * 100_000, "application/json", "syntax", "[" * 200),  # 54
    (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "application/json", "syntax", '{"a":' * 40),
    (b"[" * 100_000, "application/json", "possible_truncation", "[" * 200),
    (b"[" + b"1" * 5000 + b"]", "application/json", "syntax", "[" + "1" * 199),  # 55
    (b"[NaN]", "application/json", "syntax", "[NaN]"),  # 56
    (b"[Infinity]", "application/json", "syntax", "[Infinity]"),
    (b"[-Infinity]", "application/json", "syntax", "[-Infinity]"),
    (b"[1e999]", "application/json", "syntax", "[1e999]"),
    (b"\xef\xbb\xbf", "application/json", "syntax", ""),
    (b"\xff\xfe{\x00", "application/json", "syntax", "{"),
    ("<p>clf_canary0123</p>".encode("utf-16"), "text/html", "content_type", "<p>clf_***"),
    (b"\x1f\x8b\x08\x00\x00", "application/json", "syntax", "\ufffd"),
    (b"clf_canary0123 was refused", "text/plain", "content_type", "clf_*** was refused"),
]


@pytest.mark.parametrize(("body", "content_type", "reason", "excerpt"), NO_JSON)
def test_what_is_not_json(body: bytes, content_type: str, reason: str, excerpt: str) -> None:
    """No half or foreign body becomes a value: the error tells apart why, with the beginning of what came."""
    error = decode(answer(body, content_type), Any)
    assert isinstance(error, NotJSONError)
    assert (error.reason, error.excerpt, error.path) == (reason, excerpt, "$")


def test_a_portal_is_named_in_the_message() -> None:
    """HTML in place of JSON is shown, with its content type, so that a captive portal is recognized."""
    error = decode(answer("<h1>Sign in\x1b[31m to WiFi</h1>", "text/html; charset=utf-8"), Any)
    text = "The answer is not JSON (text/html; charset=utf-8) but begins: <h1>Sign in [31m to WiFi</h1>"
    assert error == NotJSONError(text, reason="content_type", excerpt="<h1>Sign in [31m to WiFi</h1>")


MESSAGES: list[tuple[bytes, dict[str, str], str]] = [
    (b" ", {}, "The answer is empty, but JSON was expected"),
    (b"<p>", {}, "The answer is not JSON (no content type) but begins: <p>"),
    (b"<p>", {"content-type": "t" * 81}, f"The answer is not JSON ({'t' * 77}...) but begins: <p>"),
    (b"<p>", {"Content-Type": "Application/JSON"}, "The answer is not valid JSON: {orjson}"),
    (b"[1,]", {}, "The answer is not valid JSON: {orjson}"),
    (b"[1", {}, "The JSON of the answer is incomplete: {orjson}"),
    (b'{"a": "}"} <!-- x -->\n', {}, "The answer has text behind its JSON: '<!-- x -->'"),
    (b"[1] clf_canary0123", {}, "The answer has text behind its JSON: 'clf_***'"),
]


@pytest.mark.parametrize(("body", "headers", "message"), MESSAGES)
def test_what_is_not_json_is_explained(body: bytes, headers: dict[str, str], message: str) -> None:
    """In a sentence, with orjson's own words for the place."""
    with pytest.raises(ValueError, match="line 1 column") as caught:
        orjson.loads(body)
    error = decode(Response(200, headers, body), Any)
    assert isinstance(error, NotJSONError)
    assert error.message == message.format(orjson=caught.value)


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "text/html", "application/json; charset=bogus", "image/png"]
)
def test_the_content_type_does_not_matter_where_the_body_is_json(content_type: str) -> None:
    """Liberal on the type, strict on the shape (faults 50 and 53)."""
    assert decode(answer('{"partId": 1}', content_type), Part) == Part(1)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_json_in_another_encoding(encoding: str) -> None:
    """Byte order marks, UTF-16 and UTF-32 are read as Python's json reads them (faults 51 and 53)."""
    assert decode(answer('{"partId": 1, "note": "ü漢🦜"}'.encode(encoding)), Part) == Part(1, "ü漢🦜")


DOUBLED = [  # fault 57
    ('{"partId":1,"partId":2}', "partId"),
    ('{"partId": 1, "partId": 1}', "partId"),
    ('{"partId":1,"x":{"a b":1,"c":[{"a b":1,"a b":2}]}}', "a b"),
    ('{"partId":1,"\\u0070artId":1}', "partId"),
    ('{"x":1,"partId" : 1, "y":1,"x":1,"y":1}', "x"),
    ('{"partId":1,"x":1,"x":2}', "x"),
    ('{"partId":1,"x":' + "[" * 300 + '{"y":1,"y":1}' + "]" * 300 + "}", "y"),
]


@pytest.mark.parametrize(("body", "name"), DOUBLED)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("returns", [Part, Any])
def test_doubled_members_are_refused(body: str, name: str, encoding: str, returns: Any) -> None:
    """Of two values for one name, none is silently taken."""
    error = decode(answer(body.encode(encoding)), returns)
    assert isinstance(error, SchemaMismatchError)
    assert error.message == f"The member {name!r} comes twice in one object of the answer"
    assert (error.path, error.excerpt) == ("$", clean(excerpt(answer(body.encode(encoding)))))


def test_a_doubled_member_among_many_is_found_at_once() -> None:
    """The time grows with the number of members, not with its square."""
    members = ",".join(f'"k{number}":1' for number in range(40_000))
    began = time.process_time()
    error = decode(answer(f'{{{members},"k39999":2}}'.encode()), Part)
    assert isinstance(error, SchemaMismatchError)
    assert (error.message[:20], time.process_time() - began < 5) == ("The member 'k39999' ", True)


def test_a_doubled_member_of_a_long_name_is_named_by_its_beginning() -> None:
    """So that the rest of the sentence is still read."""
    name = "n" * 81
    error = decode(answer(f'{{"{name}": 1, "{name}": 2}}'), Any)
    message = f"The member '{'n' * 77}...' comes twice in one object of the answer"
    assert (type(error), error.message) == (SchemaMismatchError, message)


@pytest.mark.parametrize(
    "body",
    [
        '{"a":1,"b":{"a":1}}',
        '[{"a":1},{"a":1}]',
        '{"a": 1, "A": 1}',
        '{"a":"\\"a\\":1,\\"a\\":2"}',
        '{"a":"x","b":"x"}',
        '{"":1," ":1}',
    ],
)
def test_one_name_in_two_objects_is_fine(body: str) -> None:
    """Only within one object is a name given twice."""
    assert decode(answer(body), Any) == json.loads(body)


@pytest.mark.parametrize("depth", [100, 300, 990])
def test_deep_but_readable(depth: int) -> None:
    """Nesting that orjson reads is read, also where neither orjson nor json could write it or check it."""
    body = "[" * depth + "]" * depth
    value = decode(answer(body + " "), Any)
    for _ in range(depth - 1):
        (value,) = value
    assert value == []


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(codec="utf-8")),
        lambda v: st.lists(v) | st.dictionaries(st.text(st.characters(codec="utf-8")), v),
        max_leaves=20,
    )
)
def test_any_json_comes_as_it_is(document: Any) -> None:
    """With `Any`, every document that Python writes is read back, compact or not, escaped or not."""
    for body in (
        json.dumps(document),
        json.dumps(document, ensure_ascii=False, separators=(",", ":")),
        json.dumps(document, indent=1),
    ):
        assert decode(answer(body), Any) == document


@given(st.binary(max_size=200), st.sampled_from([Any, Part, list[Part], Whole, dict[str, int], datetime]))
def test_no_body_makes_it_fail_in_another_way(body: bytes, returns: Any) -> None:
    """Whatever comes, the result is a value or a DecodeError."""
    decoded = decode(answer(body), returns)
    assert isinstance(decoded, (DecodeError, type(None), Part, list, Whole, dict, datetime, int, float, str))


@pytest.mark.parametrize("body", [b"", b"\x00\xff", b'{"a": 1}'])
def test_bytes_come_as_they_are(body: bytes) -> None:
    """An endpoint that answers bytes gets the body, whatever it is."""
    assert decode(answer(body), bytes) is body


@pytest.mark.parametrize("returns", [None, type(None)])
@pytest.mark.parametrize("body", ["", "<html>", '{"a": 1}'])
def test_none_expects_nothing(returns: Any, body: str) -> None:
    """An endpoint that answers nothing does not look at the body."""
    assert decode(answer(body), returns) is None


@pytest.mark.parametrize(
    "returns",
    [
        tuple[str, str],
        tuple[str],
        tuple[()],
        tuple[int, str],
        list[tuple[str, str]],
        object(),
        complex | None,
        list[bytes],
        bytearray,
        TypedDict("Typed", {"id": str}),
    ],
)
def test_types_that_json_does_not_have(returns: Any) -> None:
    """A type that cannot be read from JSON is the endpoint's mistake, not the server's."""
    with pytest.raises(ConfigurationError, match=r"cannot be read from JSON\. An endpoint can answer") as caught:
        decode(answer('["ab"]'), returns)
    assert "structure hook" not in str(caught.value)


def test_a_tuple_of_a_fixed_length_is_explained() -> None:
    """With what to write in its place."""
    with pytest.raises(ConfigurationError) as caught:
        decode(answer('["ab", "c"]'), tuple[str, str])
    assert caught.value.message.startswith("tuple[str, str] cannot be read from JSON. An endpoint can answer")
    assert "tuple[X, ...]" in caught.value.message


def test_a_validator_of_the_users_own_is_named() -> None:
    """A model may refuse values; its reason and place are in the error."""

    @attrs.frozen
    class Even:
        half_of: int = attrs.field()

        @half_of.validator
        def _(self, _: object, value: int) -> None:
            if value % 2:
                problem = ValueError(f"{value} is odd")
                problem.add_note("a note of the user's own")
                raise problem

    error = decode(answer('[{"halfOf": 2}, {"halfOf": 3}]'), list[Even])
    text = "The answer does not fit the endpoint's type: 3 is odd at $[1]"
    assert error == SchemaMismatchError(text, path="$[1]", excerpt='[{"halfOf": 2}, {"halfOf": 3}]', documented=False)


@pytest.mark.parametrize("depth", [300, 1000])
def test_a_doubled_member_is_seen_however_deep_a_document_is(depth: int) -> None:
    """Also where Python's own reader gives up, and whatever else is in it."""
    deep = "[" * depth + '{"id": "a", "x": ":{[\\"", "id\\u0064": 1}' + "]" * depth
    assert "comes twice" in str(decode(answer(f'{{"id": 1, "deep": {deep}, "i\\u0064": 2}}'), Any))
    assert type(decode(answer(f'{{"id": 1, "deep": {deep}, "\\u0069d2": 2}} '), Any)) is dict


@attrs.frozen
class Invoice:
    number: int
    total: float
    due: date
    reference: int | str
    paid: bool | None = None
    lines: tuple[Part | str, ...] = ()


INVOICE = '{"number": 1, "total": 0.5, "due": "2026-01-15", "reference": "r"}'


def test_dates_and_unions_are_read() -> None:
    """Of a union, the first type that fits."""
    body = INVOICE.replace("}", ', "lines": ["x", {"partId": 1}]}')
    assert decode(answer(body), Invoice) == Invoice(1, 0.5, date(2026, 1, 15), "r", None, ("x", Part(1)))
    assert decode(answer("[1, true, null, 0.5]"), list[int | bool | float | None]) == [1, True, None, 0.5]
    assert decode(answer('["2026-01-15T09:00:00Z", "x"]'), list[datetime | str]) == [
        datetime(2026, 1, 15, 9, tzinfo=UTC),
        "x",
    ]


@pytest.mark.parametrize(
    ("body", "returns", "reason"),
    [
        ("0.5", int | str, "expected an integer or a string, got a number"),
        ("[]", Part | None | bool, "expected Part or null or a boolean, got an array"),
        ("5", date, "expected a string (a date), got an integer"),
        ('"15.01.2026"', date, "expected a date such as 2026-01-15, got '15.01.2026'"),
        ('"2026-02-30"', date, "day is out of range for month"),
        ('"20260115"', date, "expected a date such as 2026-01-15, got '20260115'"),
    ],
)
def test_what_fits_no_type_of_a_union_and_no_date(body: str, returns: Any, reason: str) -> None:
    """Nothing is coerced there either."""
    error = decode(answer(body), returns)
    assert isinstance(error, SchemaMismatchError)
    assert error.message == f"The answer does not fit the endpoint's type: {reason} at $"


BIG = 2**64 + 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("number", [BIG, -BIG, 10**30, 2**63, 2**53 + 1])
def test_big_integers_are_exact(number: int, encoding: str) -> None:
    """Never rounded to a float, whatever the type says."""
    document = f'{{"partId": {number}, "note": "x"}}'.encode(encoding)
    assert decode(answer(document), Part) == Part(number, "x")
    assert decode(answer(document), Any) == {"partId": number, "note": "x"}
    assert decode(answer(document), dict[str, Any])["partId"] == number
    assert decode(answer(f"[{number}]".encode(encoding)), list[float]) == [number]


def test_an_integer_too_long_to_read_is_an_error() -> None:
    """Python reads no more than some thousand digits: then nothing is invented."""
    assert isinstance(decode(answer(f'{{"partId": {"1" * 5000}}}'), Any), NotJSONError)


def test_big_integers_in_a_deep_document() -> None:
    """Where Python's own reader gives up, what orjson reads has to do."""
    assert decode(answer("[" * 1000 + '"1234567890123456789"' + "]" * 1000), Any)


HALF = "half a character"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"cut \ud83d", "cut \ufffd"),
        (r"cut \uDE00", "cut \ufffd"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (r"\ude00\ud83d", "\ufffd\ufffd"),
        (r"\\ud83d \ud83d", "\\ud83d \ufffd"),
        (r"\ud83d\n", "\ufffd\n"),
        (r"\ud83d\\", "\ufffd\\"),
    ],
)
def test_half_a_character_hides_nothing_else(text: str, value: str) -> None:
    """U+FFFD takes its place in that text, with one warning; whole pairs and other escapes stay."""
    warnings: list[str] = []
    decoded = decode(answer(f'[{{"partId": 1, "note": "{text}"}}, {{"partId": 2}}]'), list[Part], warnings.append)
    assert decoded == [Part(1, value), Part(2)]
    assert len(warnings) == 1
    assert HALF in warnings[0]


def test_whole_characters_are_no_reason_for_a_warning() -> None:
    """An emoji that is written as two escapes is one character."""
    warnings: list[str] = []
    assert decode(answer(r'["\ud83d\ude00"]'), list[str], warnings.append) == ["\U0001f600"]
    assert isinstance(decode(answer(r'["\ud83d" x]'), list[str], warnings.append), NotJSONError)
    assert warnings == []


@pytest.mark.parametrize(("status", "body", "value"), [(201, b"", None), (204, b"", None), (202, b"{}", {})])
def test_an_answer_without_a_body_is_none(status: int, body: bytes, value: object) -> None:
    """Where JSON as it is is expected: a write may answer nothing. A 200 should not."""
    assert decode(Response(status, body=body), Any) == value
    assert isinstance(decode(Response(200, body=b""), Any), NotJSONError)
