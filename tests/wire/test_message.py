"""Headers, requests, responses and limits as values."""

import copy
import math
import pickle
from collections.abc import Callable

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chatloom_async.wire.errors import Attempt, UsageError
from chatloom_async.wire.message import Exchange, Headers, Request, Response, Timeouts

CANARY = "clf_canary0123456789"


def test_headers_ignore_case_and_keep_order() -> None:
    """Names are found in any case and listed as they were first written."""
    headers = Headers({"Content-Type": "application/json", "X-Request-Id": "7"})
    assert (headers["content-TYPE"], "x-request-id" in headers, headers.get("absent")) == (
        "application/json",
        True,
        None,
    )
    assert list(headers) == ["Content-Type", "X-Request-Id"]
    assert len(headers) == 2
    with pytest.raises(KeyError):
        headers["absent"]


def test_headers_of_a_server_are_bytes() -> None:
    """Raw pairs are Latin-1, and a name that comes twice has its values joined (RFC 9110, section 5.3)."""
    pairs = ((b"Via", b"1.1 a"), (b"Date", b"na\xefve"), (b"VIA", b"1.1 b"))
    headers = Headers(pairs)
    assert dict(headers) == {"Via": "1.1 a, 1.1 b", "Date": "naïve"}
    assert headers.pairs == pairs


@pytest.mark.parametrize(
    ("other", "equal"),
    [
        (Headers({"a": "1"}), True),
        (Headers([(b"A", b"1")]), True),
        ({"A": "1"}, True),
        ({"a": "2"}, False),
        (Headers({"a": "1", "b": "2"}), False),
        (Headers({"a": "1 "}), False),
        ([("A", "1")], False),
        (None, False),
    ],
)
def test_headers_compare_by_content(other: object, equal: bool) -> None:
    """Case of names and kind of mapping do not matter."""
    headers = Headers({"A": "1"})
    assert ((headers == other), (headers != other)) == (equal, not equal)


def test_equal_headers_have_equal_hashes() -> None:
    """Headers can be members of sets, whatever the case of their names."""
    assert len({Headers({"A": "1"}), Headers([(b"a", b"1")]), Headers({"A": "2"})}) == 2


@given(st.dictionaries(st.text(st.characters(codec="latin-1"), min_size=1), st.text(st.characters(codec="latin-1"))))
def test_headers_survive_pickle_and_copy(fields: dict[str, str]) -> None:
    """Answers can be stored and sent to other processes with their headers."""
    headers = Headers(fields)
    assume("authorization" not in headers and "x-api-key" not in headers)
    assert pickle.loads(pickle.dumps(headers)) == copy.deepcopy(headers) == headers


@pytest.mark.parametrize("name", ["Authorization", "x-api-key"])
def test_headers_with_a_key_are_neither_pickled_nor_copied(name: str) -> None:
    """Taken out of their request, they are as secret as before."""
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match=r"^Headers that hold an API key cannot be pickled or copied\.$"):
            attempt(Headers({name: CANARY}))


def test_only_harmless_headers_are_shown() -> None:
    """The repr shows values by a list of names; credentials and cookies are not on it."""
    headers = Headers(
        {"Authorization": CANARY, "X-API-Key": CANARY, "Set-Cookie": CANARY, "accept": "a", "Retry-After": "5"}
    )
    assert repr(headers) == (
        "Headers({'Authorization': '***', 'X-API-Key': '***', 'Set-Cookie': '***', 'accept': 'a', 'Retry-After': '5'})"
    )
    assert repr(Headers({"Content-Type": f"text/plain; note={CANARY}"})) == (
        "Headers({'Content-Type': 'text/plain; note=clf_***'})"
    )


def test_request_repr() -> None:
    """A request shows its method, address, harmless headers and the size of its body."""
    request = Request("POST", "https://x/y", {"X-API-Key": CANARY, "Accept": "a"}, b"12345")
    assert (
        repr(request) == "Request('POST', 'https://x/y', Headers({'X-API-Key': '***', 'Accept': 'a'}), body=<5 bytes>)"
    )
    assert repr(Request("GET", "https://x/y")) == "Request('GET', 'https://x/y', Headers({}), body=None)"


def test_response_repr() -> None:
    """A response shows its status, harmless headers and size, never its text."""
    response = Response(200, {"Set-Cookie": CANARY, "Content-Type": "text/html"}, CANARY.encode())
    assert (
        repr(response) == "Response(200, Headers({'Set-Cookie': '***', 'Content-Type': 'text/html'}), body=<20 bytes>)"
    )


@pytest.mark.parametrize("carry_off", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_request_stays_in_its_process(carry_off: Callable[[object], object]) -> None:
    """Its headers may hold a key, so it refuses pickle and copy."""
    with pytest.raises(TypeError, match=r"^A Request cannot be pickled or copied, because its headers may hold"):
        carry_off(Request("GET", "https://x/y"))


def test_an_infinite_timeout_is_no_limit() -> None:
    """Either may be written."""
    assert Timeouts(attempt=math.inf, read=math.inf) == Timeouts(attempt=None, read=None)


def test_requests_compare_without_their_timeouts() -> None:
    """How long one may take is not part of what is asked."""
    plain = Request("GET", "https://x/y")
    assert plain == Request("GET", "https://x/y", {}, None, timeouts=Timeouts(read=1.0))
    assert plain != Request("GET", "https://x/z")
    assert plain != Request("GET", "https://x/y", body=b"")


@pytest.mark.parametrize("value", [Request("GET", "https://x/y"), Response(200), Timeouts()])
def test_messages_are_frozen(value: object) -> None:
    """No field of a message can be set."""
    name = attrs.fields(type(value))[0].name  # type: ignore[arg-type]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value, name, None)


def test_an_exchange_can_be_stored() -> None:
    """A finished call with its response and attempts survives pickle and deepcopy."""
    attempt = Attempt(operation="ListAgents", number=1, started=0.0, waited=0.1, elapsed=0.2, status=200)
    exchange = Exchange(("agt_1",), Response(200, {"Date": "x"}, b"{}"), (attempt,), 0.3)
    assert pickle.loads(pickle.dumps(exchange)) == copy.deepcopy(exchange) == exchange


def test_a_response_has_a_number_for_a_status() -> None:
    """A test double that returns "200" is told so at once."""
    with pytest.raises(UsageError, match="status such as 200, not of the type str"):
        Response("200")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["connect", "read", "attempt"])
@pytest.mark.parametrize("seconds", [0, 0.0, -1.0, float("nan")])
def test_limits_are_above_zero(name: str, seconds: float) -> None:
    """A limit of no time at all is refused."""
    with pytest.raises(ValueError, match=name):
        Timeouts(**{name: seconds})


def test_limits_can_be_lifted() -> None:
    """None means no limit; the defaults are those of the documentation of Timeouts."""
    assert attrs.astuple(Timeouts(connect=None, read=None, attempt=None)) == (None, None, None)
    assert attrs.astuple(Timeouts()) == (5.0, 10.0, 15.0)
