"""API keys: what can be one (faults 95 and 96), that none shows itself, and how one is put on a request."""

import copy
import json
import pickle
import traceback
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatloom_async.wire.auth import ApiKey, Auth, api_key_or_error
from chatloom_async.wire.errors import InvalidApiKeyError
from chatloom_async.wire.message import Headers, Request, Timeouts

SECRET = "clf_canary0123456789"

GOOD = ["clf_a", SECRET, "clf_" + "x" * 256, "clf_!#$%&()*+-./:;<=>?@[\\]^_{|}~", "clf_clf_", "clf_...x"]
BAD: list[tuple[Any, str]] = [
    ("clf_your_api_key_here", "placeholder"),
    ("clf_...", "placeholder"),
    ("", "empty"),
    (" \t\n", "empty"),
    ("canary", "start with the prefix clf_"),
    ("CLF_canary", "start with the prefix clf_"),
    ("clf_your_key_here", "placeholder"),
    ("clf_your_api_key", "placeholder"),
    ("clf_YOUR-API-KEY", "placeholder"),
    ("clf_<your key>", "placeholder"),
    ("clf_***", "placeholder"),
    ("'clf_your_key'", "placeholder"),
    ("Bearer clf_...", "placeholder"),
    ("Bearer ", "empty"),
    ("''", "empty"),
    (" clf_canary", "removed: blanks or a line break"),
    ("\ufeffclf_canary", "removed: characters that are not seen"),
    ("Bearer clf_canary", "removed: the word Bearer"),
    ("bearer\tclf_canary", "removed: the word Bearer"),
    ("'clf_canary'", "removed: quotes"),
    ("'clf_X'", "removed: quotes"),
    ("' clf_canary '", "removed: quotes, blanks or a line break"),
    ("X-API-Key: clf_canary", "removed: the name of a header"),
    ("Authorization: Bearer clf_canary", "removed: the word Bearer, the name of a header"),
    ('"Bearer clf_canary"\n', "removed: quotes, blanks or a line break, the word Bearer"),
    ("Bearer canary", "start with the prefix clf_"),
    ("'canary'", "start with the prefix clf_"),
    ("''clf_cana ry''", "start with the prefix clf_"),
    ("clf_", "visible ASCII"),
    ("clf_canary\n", "removed: blanks or a line break"),
    ("clf_canary\r\nX-Evil: 1", "visible ASCII"),
    ("clf_cana\x00ry", "visible ASCII"),
    ("clf_canary\x7f", "visible ASCII"),
    ("clf_cana ry", "blanks"),
    ("clf_canary ", "removed: blanks or a line break"),
    ("clf_canary\t", "removed: blanks or a line break"),
    ("clf_canary\xa0", "removed: blanks or a line break"),
    ("clf_canary\ufeff", "removed: characters that are not seen"),
    ("clf_cana\u200bry", "visible ASCII"),
    ("clf_canäry", "visible ASCII"),
    ("clf_canary\ud800", "visible ASCII"),
    ('clf_canary"', "removed: quotes"),
    ("clf_canary'", "removed: quotes"),
    ("clf_canary`", "removed: quotes"),
    ("clf_canary,clf_canary", "commas"),
    ("clf_" + "x" * 257, "more than 260"),
    ("clf_" + "x" * 9000, "more than 260"),
    (b"clf_canary", "bytes"),
    (bytearray(b"clf_canary"), "bytearray"),
    (None, "NoneType"),
    (5, "int"),
    (["clf_canary"], "list"),
]


@pytest.mark.parametrize("text", GOOD)
def test_a_good_key_is_kept_as_it_is(text: str) -> None:
    """`clf_` and 1 to 256 visible ASCII characters other than quotes and commas make a key."""
    key = ApiKey(text)
    assert key.reveal() == text
    assert api_key_or_error(text) == key
    assert api_key_or_error(key) is key


@pytest.mark.parametrize(("text", "problem"), BAD)
def test_a_bad_key_is_refused_at_construction(text: Any, problem: str) -> None:
    """The error says what is wrong, never what was given; as data it is the same error."""
    with pytest.raises(InvalidApiKeyError, match=problem) as caught:
        ApiKey(text)
    assert "ry" not in f"{caught.value} {caught.value!r}".replace("dictionary", "")
    assert api_key_or_error(text) == caught.value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clf_...", "The API key is a placeholder, as documentation has it in place of a key"),
        (" ", "The API key is empty"),
        ("canary", "The API key does not start with the prefix clf_ of all keys"),
        (
            "clf_ canary",
            "The API key holds blanks, quotes, commas or other than visible ASCII, or more than 260 characters",
        ),
        (7, "The API key is a int, not a string"),
        (
            "'clf_canary'",
            "The API key is surrounded by characters that must be removed: quotes",
        ),
    ],
)
def test_each_reason_in_full(text: Any, message: str) -> None:
    """One sentence for each way in which a text is no key."""
    assert api_key_or_error(text) == InvalidApiKeyError(message)


@pytest.mark.parametrize("text", ["clf_cana ry0123456789", "cana-ry0123456789", "clf_cana,ry0123456789"])
def test_a_refused_key_is_not_in_the_frames_of_the_traceback(text: str) -> None:
    """Tools that show local variables do not show it either."""
    given_key = [text]
    with pytest.raises(InvalidApiKeyError) as caught:
        ApiKey(given_key.pop())
    inner = caught.value.__traceback__.tb_next  # type: ignore[union-attr]  # without this test's own frame
    shown = traceback.TracebackException(type(caught.value), caught.value, inner, capture_locals=True)
    assert "0123456789" not in "".join(shown.format())


@given(st.text())
def test_no_text_makes_it_fail_in_another_way(text: str) -> None:
    """Any text is a key or an InvalidApiKeyError."""
    answer = api_key_or_error(text)
    assert isinstance(answer, InvalidApiKeyError) or answer.reveal() == text


SHOWN: list[tuple[Callable[[ApiKey], str], str]] = [
    (str, "clf_***"),
    (repr, "ApiKey('clf_***')"),
    (format, "clf_***"),
    (lambda key: f"{key}", "clf_***"),
    (lambda key: f"{key!r}", "ApiKey('clf_***')"),
    (lambda key: f"{key:>10}", "   clf_***"),
    (lambda key: f"{key:s}", "clf_***"),
    (lambda key: "%s" % key, "clf_***"),  # noqa: UP031
    (lambda key: f"{[key]}", "[ApiKey('clf_***')]"),
    (lambda key: str({key: key}), "{ApiKey('clf_***'): ApiKey('clf_***')}"),
    (ascii, "ApiKey('clf_***')"),
]


@pytest.mark.parametrize(("show", "text"), SHOWN)
def test_every_way_to_show_it_is_masked(show: Callable[[ApiKey], str], text: str) -> None:
    """str, repr, format and what is built on them."""
    assert show(ApiKey(SECRET)) == text


REFUSED: list[Callable[[ApiKey], object]] = [
    pickle.dumps,
    lambda key: pickle.dumps(key, 0),
    lambda key: pickle.dumps({"key": [key]}),
    copy.copy,
    copy.deepcopy,
    lambda key: copy.deepcopy([key]),
    json.dumps,
    orjson.dumps,
    attrs.asdict,  # type: ignore[list-item]
    vars,
    bytes,
]


@pytest.mark.parametrize("leak", REFUSED)
def test_every_way_to_carry_it_off_is_refused(leak: Callable[[ApiKey], object]) -> None:
    """Pickle, copy, JSON and conversions fail, without the key in the error."""
    with pytest.raises((TypeError, ValueError)) as caught:
        leak(ApiKey(SECRET))
    assert SECRET not in str(caught.value)


def test_the_refusal_to_be_pickled_says_what_to_do() -> None:
    """A key travels by reference."""
    with pytest.raises(TypeError) as caught:
        pickle.dumps(ApiKey(SECRET))
    assert str(caught.value) == (
        "An ApiKey cannot be pickled or copied: pass a reference, such as the name of a variable."
    )


def test_it_takes_no_new_attributes() -> None:
    """Slots: nobody can hang something on it."""
    with pytest.raises(AttributeError):
        ApiKey(SECRET).note = "mine"  # type: ignore[attr-defined]


def test_keys_compare_by_their_text() -> None:
    """Equal texts are equal keys with equal hashes and fingerprints; other types are never equal."""
    one, same, other = ApiKey(SECRET), ApiKey(SECRET), ApiKey(SECRET + "x")
    assert (one == same, one != same, one == other, one == SECRET, one == None) == (True, False, False, False, False)  # noqa: E711
    assert (hash(one), one.fingerprint) == (hash(same), same.fingerprint)
    assert len({one, same, other}) == 2
    assert one.fingerprint != other.fingerprint
    assert hash(one) != hash(other)


def test_the_fingerprint_does_not_tell_the_key() -> None:
    """It is 16 hexadecimal digits, and not a plain hash that a dictionary attack could try."""
    fingerprint = ApiKey(SECRET).fingerprint
    assert (len(fingerprint), set(fingerprint) <= set("0123456789abcdef")) == (16, True)
    assert fingerprint not in SECRET
    assert fingerprint != blake2b(SECRET.encode(), digest_size=8).hexdigest(), "anybody could compute it"


SIGNED: list[tuple[Auth, dict[str, str]]] = [
    ("bearer", {"Accept": "application/json", "Authorization": f"Bearer {SECRET}"}),
    ("x-api-key", {"Accept": "application/json", "X-API-Key": SECRET}),
]


@pytest.mark.parametrize(("auth", "headers"), SIGNED)
@pytest.mark.parametrize(
    "foreign",
    [
        {},
        {"Authorization": "Basic x"},
        {"authorization": "Bearer clf_old"},
        {"AUTHORIZATION": "Bearer clf_old", "x-api-key": "clf_old"},
        {"X-Api-Key": "clf_old"},
        {"X-API-KEY": "clf_old", "aUtHoRiZaTiOn": "x"},
    ],
)
def test_exactly_one_header_carries_the_key(auth: Auth, headers: dict[str, str], foreign: dict[str, str]) -> None:
    """Whatever credentials a request had, in whatever case, it has one afterwards; the rest stays as it is."""
    timeouts = Timeouts(read=1.0)
    request = Request("POST", "https://x/y", {"Accept": "application/json", **foreign}, b"{}", timeouts=timeouts)
    signed = ApiKey(SECRET).sign(request, auth)
    assert signed == Request("POST", "https://x/y", headers, b"{}")
    assert dict(signed.headers) == headers
    assert signed.timeouts is timeouts


def test_the_unsigned_request_stays_unsigned() -> None:
    """Signing makes a new request."""
    request = Request("GET", "https://x/y", {"Accept": "*/*"})
    ApiKey(SECRET).sign(request, "bearer")
    assert request == Request("GET", "https://x/y", {"Accept": "*/*"})


def test_signed_headers_are_remembered_for_the_same_headers_only() -> None:
    """Requests that share their Headers share the signed ones too; others, and another `auth`, get their own."""
    key, first, second = ApiKey(SECRET), Headers({"Accept": "a"}), Headers({"Accept": "b"})

    def signed(headers: Headers, auth: Auth) -> Headers:
        return key.sign(Request("GET", "https://x/y", headers), auth).headers

    assert signed(first, "bearer") is signed(first, "bearer")
    for headers, auth in [(first, "bearer"), (second, "bearer"), (first, "x-api-key"), (first, "bearer")] * 2:
        kept = {"Accept": headers["accept"]}
        expected = {"bearer": {"Authorization": f"Bearer {SECRET}"}, "x-api-key": {"X-API-Key": SECRET}}[auth]
        assert signed(headers, auth) == Headers({**kept, **expected})  # type: ignore[arg-type]


def test_keys_do_not_share_signed_headers() -> None:
    """Two keys that sign the same request each sign it with their own text."""
    request = Request("GET", "https://x/y", Headers({"Accept": "a"}))
    values = [
        ApiKey(text).sign(request, "x-api-key").headers["X-API-Key"] for text in ("clf_one", "clf_two", "clf_one")
    ]
    assert values == ["clf_one", "clf_two", "clf_one"]
