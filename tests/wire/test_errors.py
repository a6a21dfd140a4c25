"""Errors as values: their family tree, what they say, and that they pickle, copy and compare."""

import copy
import pickle
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatloom_async.wire import errors as e
from chatloom_async.wire import status as s
from chatloom_async.wire.cleaning import clean
from chatloom_async.wire.errors import STOPPED, Attempt, ChatloomError

CANARY = "clf_canary0123456789"

TREE: list[tuple[type, tuple[type, ...]]] = [  # DESIGN, section 4
    (e.ChatloomError, (Exception,)),
    (e.ConfigurationError, (e.ChatloomError, ValueError)),
    (e.InvalidApiKeyError, (e.ConfigurationError,)),
    (e.InvalidBaseUrlError, (e.ConfigurationError,)),
    (e.InvalidAgentIdError, (e.ConfigurationError,)),
    (e.MissingExtraError, (e.ConfigurationError, ModuleNotFoundError)),
    (e.UsageError, (e.ChatloomError, RuntimeError)),
    (e.ClientClosedError, (e.UsageError,)),
    (e.DeadlineExceededError, (e.ChatloomError, TimeoutError)),
    (e.DecodeError, (e.ChatloomError,)),
    (e.NotJSONError, (e.DecodeError,)),
    (e.SchemaMismatchError, (e.DecodeError,)),
    (e.TransportError, (e.ChatloomError,)),
    (e.ConnectError, (e.TransportError,)),
    (e.TLSError, (e.TransportError,)),
    (e.AttemptTimeoutError, (e.TransportError, TimeoutError)),
    (e.ConnectionLostError, (e.TransportError,)),
    (e.PayloadError, (e.TransportError,)),
    (e.ProtocolError, (e.TransportError,)),
    (e.ResponseTooLargeError, (e.TransportError,)),
    (e.RedirectRefusedError, (e.TransportError,)),
    (s.APIStatusError, (e.ChatloomError,)),
    (s.BadRequestError, (s.APIStatusError,)),
    (s.AuthenticationError, (s.APIStatusError,)),
    (s.PermissionDeniedError, (s.APIStatusError,)),
    (s.NotFoundError, (s.APIStatusError,)),
    (s.RateLimitError, (s.APIStatusError,)),
    (s.ServerError, (s.APIStatusError,)),
]

SAMPLES: list[ChatloomError] = [
    *(cls("What happened") for cls, _ in TREE),
    e.DeadlineExceededError("Too late", last=s.ServerError("Down", status=503)),
    e.DecodeError("Odd", path="$.agents[0].id", excerpt='{"agents": 1'),
    e.NotJSONError("Cut", reason="possible_truncation", excerpt="{"),
    e.ConnectError("Refused", reason="refused", sent=False),
    e.ConnectionLostError("Gone", received=True),
    e.PayloadError("Cut", reason="cut", received=10, expected=20),
    e.MissingExtraError("Missing", extra="redis", module="redis.asyncio"),
    e.RedirectRefusedError("Elsewhere", location="https://elsewhere.example"),
    s.RateLimitError("Slow down", status=429, retry_after=1.5),
]

ATTEMPTS = tuple(
    Attempt(
        operation="ListAgents",
        number=n,
        started=0.0,
        waited=0.0,
        elapsed=0.1,
        status=503,
        error=s.ServerError("Down", status=503),
        method="POST",
    )
    for n in (1, 2, 3)
)


def name_of(value: object) -> str:
    """A test's id: the name of a class, or of a value's class."""
    return value.__name__ if isinstance(value, type) else type(value).__name__


def test_the_tree_is_complete() -> None:
    """No class of errors exists that the tree does not name."""

    def below(cls: type) -> set[type]:
        return {cls}.union(*(below(each) for each in cls.__subclasses__()))

    ours = {cls for cls in below(ChatloomError) if cls.__module__.startswith("chatloom_async.wire")}
    assert {cls.__name__ for cls in ours} == {cls.__name__ for cls, _ in TREE}


@pytest.mark.parametrize(("cls", "bases"), TREE, ids=name_of)
def test_the_tree(cls: type, bases: tuple[type, ...]) -> None:
    """Every class has exactly the ancestors that the design names."""
    assert cls.__bases__ == bases


@pytest.mark.parametrize("error", SAMPLES, ids=name_of)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_they_survive_pickle(error: ChatloomError, protocol: int) -> None:
    """An error comes out of a pickle with everything it had, as the same type."""
    whole = attrs.evolve(error, attempts=ATTEMPTS, stop_reason="attempts")
    back = pickle.loads(pickle.dumps(whole, protocol))
    assert (type(back), back, str(back), back.attempts) == (type(whole), whole, str(whole), ATTEMPTS)


@pytest.mark.parametrize("error", SAMPLES, ids=name_of)
def test_they_can_be_copied(error: ChatloomError) -> None:
    """copy and deepcopy give equal errors with equal hashes."""
    for same in (copy.copy(error), copy.deepcopy(error)):
        assert (same, hash(same), repr(same)) == (error, hash(error), repr(error))


@pytest.mark.parametrize("error", SAMPLES, ids=name_of)
def test_they_are_exceptions(error: ChatloomError) -> None:
    """They can be raised, chained and annotated like any other, though their fields are frozen."""
    cause = ValueError("why")
    with pytest.raises(type(error)) as caught:
        raise error from cause
    caught.value.add_note("noted")
    assert (caught.value.__cause__, caught.value.__notes__) == (cause, ["noted"])
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        error.message = "another"  # type: ignore[misc]


def test_they_compare_by_type_and_fields() -> None:
    """Equal are errors of one type with equal fields; a subclass is another type."""
    error = s.ServerError("Down", status=503)
    unequal = [
        s.ServerError("Down", status=500),
        s.ServerError("Up", status=503),
        s.APIStatusError("Down", status=503),
        s.ServerError("Down", status=503, stop_reason="attempts"),
        ValueError("Down"),
        "Down",
    ]
    assert error == s.ServerError("Down", status=503)
    assert [error == each for each in unequal] == [False] * len(unequal)
    assert len({error, s.ServerError("Down", status=503), s.APIStatusError("Down", status=503)}) == 2


KINDS: list[tuple[ChatloomError, str]] = [
    (e.ChatloomError("x"), "permanent"),
    (e.ConfigurationError("x"), "permanent"),
    (e.ClientClosedError("x"), "permanent"),
    (e.DeadlineExceededError("x"), "permanent"),
    (e.NotJSONError("x"), "permanent"),
    (e.SchemaMismatchError("x"), "permanent"),
    (e.TransportError("x"), "transient"),
    (e.ConnectError("x", reason="refused"), "transient"),
    (e.ConnectError("x", reason="dns"), "transient"),
    (e.ConnectError("x", reason="proxy"), "transient"),
    (e.ConnectError("x", reason="proxy_auth"), "permanent"),
    (e.TLSError("x"), "permanent"),
    (e.AttemptTimeoutError("x"), "transient"),
    (e.ConnectionLostError("x"), "transient"),
    (e.PayloadError("x"), "transient"),
    (e.PayloadError("x", reason="encoding"), "once"),
    (e.PayloadError("x", reason="unasked"), "permanent"),
    (e.ProtocolError("x"), "once"),
    (e.ProtocolError("x", reason="head_too_large"), "permanent"),
    (e.ResponseTooLargeError("x"), "permanent"),
    (e.RedirectRefusedError("x"), "permanent"),
    (s.RateLimitError("x", status=429), "throttle"),
    (s.NotFoundError("x", status=404), "permanent"),
    (s.ServerError("x", status=500), "transient"),
    (s.ServerError("x", status=501), "permanent"),
]


@pytest.mark.parametrize(("error", "kind"), KINDS, ids=name_of)
def test_kinds(error: ChatloomError, kind: str) -> None:
    """What an error tells the retry policy; whatever is not permanent may succeed later."""
    assert (error.kind, error.retryable) == (kind, kind != "permanent")


NOT_IDEMPOTENT = "not retried because POST is not idempotent (set idempotent = True if it is safe)"


@pytest.mark.parametrize("error", SAMPLES, ids=name_of)
@pytest.mark.parametrize("reason", [None, *STOPPED])
def test_the_text_says_what_when_and_what_to_do(error: ChatloomError, reason: Any) -> None:
    """str() holds the message, the attempt it ended at, why it ended, and a hint."""
    text = str(attrs.evolve(error, attempts=ATTEMPTS, stop_reason=reason))
    why = NOT_IDEMPOTENT if reason == "not_retryable" and error.retryable else STOPPED.get(reason)
    stopped = f" Gave up after attempt 3: {why}." if reason else ""
    assert text.endswith(f"{error.message}.{stopped} {error.hint}")
    assert error.hint.endswith(".")


TOO_LONG = (
    "HTTP 429, retry after 300 s: Too many requests. Gave up after attempt 1: the server asks for a longer wait than "
    "this client may make. A few hundred requests per minute and key are fine: lower the rate limit, or ask "
    "support@chatloom.app."
)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (e.ChatloomError(""), ". See help(chatloom_async)."),
        (
            e.ConfigurationError("Done?"),
            "Done? Correct what the message names; help(AsyncChatloom) explains the options, help(Endpoint) endpoints.",
        ),
        (
            s.RateLimitError("Too many requests", status=429, retry_after=299.2, stop_reason="retry_after_too_long"),
            TOO_LONG,
        ),
        (
            s.ServerError("Down!", status=503),
            "HTTP 503: Down! Try again later; contact support@chatloom.app if it persists.",
        ),
    ],
    ids=name_of,
)
def test_texts(error: ChatloomError, text: str) -> None:
    """Whole texts; one that waited too long tells the seconds."""
    assert str(error) == text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (e.ChatloomError("What"), "ChatloomError('What')"),
        (e.ConnectError("No", reason="dns", sent=False), "ConnectError('No', reason='dns', sent=False)"),
        (
            s.RateLimitError("No", status=429, retry_after=0.0, stop_reason="budget"),
            "RateLimitError('No', stop_reason='budget', status=429, retry_after=0.0)",
        ),
        (
            e.DeadlineExceededError("No", last=s.ServerError("Down", status=500), attempts=ATTEMPTS),
            "DeadlineExceededError('No', last=ServerError('Down', status=500))",
        ),
    ],
    ids=name_of,
)
def test_repr(error: ChatloomError, text: str) -> None:
    """The repr shows what differs from the defaults, without the attempts."""
    assert repr(error) == text


HOSTILE = [
    (f"key {CANARY} is bad", "key clf_*** is bad"),
    (f"'{CANARY}','{CANARY}x'", "'clf_***','clf_***'"),
    ("clf_ab<cd>ef!", "clf_***"),
    ("clf_ca\u200bna\x00ry", "clf_***"),
    (f"Authorization: Bearer {CANARY}", "Authorization: Bearer clf_***"),
    ("a\x1b[31mred\x07", "a [31mred"),
    ("line\r\n\nline\ttab", "line line tab"),
    ("\x00\x01", ""),
    ("a\u202eb\u2066c\u2060d\u061ce\u200bf\ufeffg", "a b c d e f g"),
    (
        "soft\xadhyphen, \ufff9note\ufffb, tag\U000e0041\U000e007f, \U0001d173beam, \u180evowel",
        "soft hyphen,  note , tag ,  beam,  vowel",
    ),
    ("lone \ud800 surrogate", "lone   surrogate"),
    ("  kept  inside  ", "kept  inside"),
]


@pytest.mark.parametrize(("text", "shown"), HOSTILE)
def test_text_from_outside_is_made_harmless(text: str, shown: str) -> None:
    """Keys are masked, and control, bidirectional and invisible characters replaced, in all that a server can set."""
    assert clean(text) == shown
    error = e.DecodeError(text, path=text, excerpt=text)
    assert (error.message, error.path, error.excerpt) == (shown, shown, shown)
    assert e.RedirectRefusedError("x", location=text).location == shown


@pytest.mark.parametrize("letter", ["x", "ü", "漢", "🦜"])
def test_text_from_outside_is_short(letter: str) -> None:
    """At most 2 KiB in UTF-8, and no letter is cut in two."""
    message = s.ServerError(letter * 5000, status=500).message
    assert 2040 < len(message.encode()) <= 2048
    assert message == letter * (len(message) - 3) + "..."


@pytest.mark.parametrize(("length", "kept"), [(2047, 2047), (2048, 2048), (2049, 2045)])
def test_the_limit_is_exact(length: int, kept: int) -> None:
    """2048 bytes are still whole; of more, the beginning is kept."""
    assert clean("x" * length) == "x" * kept + "..." * (length > 2048)


@pytest.mark.parametrize("cut", range(12))
def test_a_mask_that_is_cut_in_two_is_still_one(cut: int) -> None:
    """Text that was cut is still clean, so that an error equals its own copy."""
    error = s.ServerError("x" * (2048 - cut) + CANARY + " and more", status=500)
    assert pickle.loads(pickle.dumps(error)) == error
    assert clean(error.message) == error.message


@given(st.text(alphabet=st.characters() | st.sampled_from("clf_"), max_size=300), st.integers(4, 100))
def test_cleaning_is_done_once(text: str, limit: int) -> None:
    """Clean text stays as it is, so that copying an error does not change it; the limit holds."""
    once = clean(text, limit)
    assert clean(once, limit) == once
    assert len(once.encode()) <= limit
    assert once.isprintable() or all(not c.isascii() or c.isprintable() for c in once)


def test_an_error_with_an_echoed_key_shows_it_nowhere() -> None:
    """Neither str, repr, args, fields nor a pickle of it."""
    body = f'Invalid key "{CANARY}" in header Bearer {CANARY}'
    error = s.AuthenticationError(body, status=401)
    assert CANARY not in f"{error} {error!r} {error.args} {attrs.asdict(error)} {pickle.dumps(error)!r}"
