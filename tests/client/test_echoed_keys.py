"""A server that repeats the key in another spelling: no error, attempt or log line shows it."""

import logging
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from traceback import TracebackException
from typing import Any

import orjson
import pytest

import chatloom_async
from chatloom_async import (
    AsyncChatloom,
    Attempt,
    ChatloomError,
    MockTransport,
    NotJSONError,
    PermissionDeniedError,
    RedirectRefusedError,
    Response,
    SchemaMismatchError,
)
from chatloom_async.wire.cleaning import LEFT_OUT, holds_key
from chatloom_async.wire.decode import DEEP
from tests.samples import AGENT
from tests.secrets import places

PACKAGE = Path(chatloom_async.__file__).parent
KEY = "clf_" + "a1b2c3d4" * 4
SPELLED = {
    "plain": KEY,
    "percent": "".join(f"%{ord(letter):02X}" for letter in KEY),
    "one character in percent": KEY.replace("_", "%5F"),
    "json": KEY.replace("c", "\\u0063", 1),
    "html": KEY.replace("_", "&#95;"),
    "upper": KEY.upper(),
    "hex": KEY.encode().hex(),
    "base64": b64encode(KEY.encode()).decode(),
    "base64 of a part": b64encode(f"xBearer {KEY}".encode()).decode(),
    "lines": f"{KEY[:12]}\n{KEY[12:]}",
    "unseen characters": f"{KEY[:2]}\u200b{KEY[2:9]}\u200b{KEY[9:]}",
}
spellings = pytest.mark.parametrize("spelled", SPELLED.values(), ids=SPELLED)


def shown(error: BaseException) -> Iterator[tuple[str, str]]:
    """What an error shows, and the local variables of the frames of this package that it went through. The header
    Content-Type of a response is shown as it came."""
    yield from ((place, text) for place, text in places(error).items() if place not in ("traceback", "rich"))
    for frame in TracebackException.from_exception(error, capture_locals=True).stack:
        if Path(frame.filename).is_relative_to(PACKAGE):
            yield from ((name, text) for name, text in (frame.locals or {}).items() if name != "outcome")


async def failed(response: Response, **options: Any) -> ChatloomError:
    """The error of a call that is answered so, after a check that nothing shows the key."""
    attempts = list[Attempt]()
    transport = MockTransport(lambda _: response)
    client = AsyncChatloom(KEY, transport=transport, retry=None, on_attempt=attempts.append, **options)
    with pytest.raises(ChatloomError) as caught:
        await client.list_agents()
    own = [attempt.error for attempt in attempts if attempt.error]
    texts = [text for error in (caught.value, *own) for place, text in shown(error)]
    assert not [text for text in texts if holds_key(KEY, text.encode(errors="replace"))]
    return caught.value


@spellings
async def test_the_text_of_an_error_shows_no_key(spelled: str, caplog: pytest.LogCaptureFixture) -> None:
    """The rest of the text is kept."""
    with caplog.at_level(logging.DEBUG, logger="chatloom_async"):
        error = await failed(Response(403, {}, orjson.dumps({"error": f"bad key {spelled}"})))
    assert type(error) is PermissionDeniedError
    assert error.message.startswith("bad key ")
    assert "clf_***" in error.message
    assert not holds_key(KEY, caplog.text.encode())


@spellings
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
async def test_the_beginning_of_a_body_shows_no_key(spelled: str, encoding: str) -> None:
    """Nor a part of it, where the body is cut."""
    page = f"<p>{'.' * 170}{spelled}</p>"
    error = await failed(Response(502, {}, page.encode(encoding)))
    assert error.message.startswith(f"<p>{'.' * 170}")
    assert not [part for part in (spelled[:20], spelled[6:16]) if part in error.message]
    assert "clf_***" in error.message


async def test_an_endless_text_is_cut() -> None:
    """The search is for what an error may show, not for the whole answer."""
    error = await failed(Response(500, {}, orjson.dumps({"error": "x" * 200_000})))
    assert error.message == "x" * 2045 + "..."


async def test_a_text_is_left_out_if_the_key_cannot_be_masked_in_it() -> None:
    """Such as a key with many blanks in between."""
    error = await failed(Response(403, {}, orjson.dumps({"error": f"bad key {KEY[:8]}{' ' * 9}{KEY[8:]}"})))
    assert error.message == LEFT_OUT.decode()


async def test_a_redirect_shows_no_key() -> None:
    """Nor what follows the key in the name of the host."""
    error = await failed(Response(302, {"Location": f"https://{KEY.encode().hex()}.example/"}))
    assert isinstance(error, RedirectRefusedError)
    assert error.location == "https://clf_***"


@spellings
async def test_an_answer_that_does_not_fit_shows_no_key(spelled: str) -> None:
    """Neither its excerpt, nor the name of a member, where it is cut."""
    body = orjson.dumps({"agents": 1, "note": f"x{spelled}"})
    error = await failed(Response(200, {}, body))
    assert isinstance(error, SchemaMismatchError)
    assert (error.path, error.excerpt[:21], error.excerpt[-9:]) == ("$.agents", '{"agents":1,"note":"x', 'clf_***"}')
    name = "x" * 60 + spelled
    twice = await failed(Response(200, {}, b'{"agents": [], %b: 1, %b: 2}' % ((orjson.dumps(name),) * 2)))
    assert isinstance(twice, SchemaMismatchError)
    assert "comes twice" in twice.message
    assert spelled[6:16] not in twice.message


@spellings
async def test_an_answer_that_is_not_json_shows_no_key(spelled: str) -> None:
    """Neither its beginning, nor its content type, nor the text behind the JSON."""
    kind = orjson.dumps(spelled).decode()
    error = await failed(Response(200, {"Content-Type": f"text/x; note={kind}"}, f"<p>{spelled}".encode()))
    assert isinstance(error, NotJSONError)
    assert (error.reason, error.excerpt[:3], error.excerpt[-7:]) == ("content_type", "<p>", "clf_***")
    behind = await failed(Response(200, {}, f'{{"agents": []}} {"." * 60}{spelled}'.encode()))
    assert isinstance(behind, NotJSONError)
    assert "text behind its JSON" in behind.message
    assert spelled[6:16] not in behind.message


@spellings
async def test_a_large_answer_is_searched_where_the_error_quotes_it(spelled: str) -> None:
    """The beginning, and the name of a member however deep it is. A name that would be cut is left out."""
    name = orjson.dumps(spelled)
    body = b'{"agents": [], %b: 0, "x": "%b", "%b": {%b: 1, %b: 2}}' % (name, b"." * DEEP, b"y" * 9, name, name)
    error = await failed(Response(200, {}, body))
    assert isinstance(error, SchemaMismatchError)
    assert error.message.endswith(" comes twice in one object of the answer")
    quoted = error.message.split("'")[1]
    assert quoted == "..." or (quoted.endswith("clf_***") and len(spelled) < 80)
    assert "clf_***" in error.excerpt


async def test_an_error_that_masking_would_repair_is_reported_without_the_key() -> None:
    """A line break is not valid in a string of JSON."""
    error = await failed(Response(200, {}, f'{{"agents": [], "count": 0, "x": "{KEY[:9]}\n{KEY[9:]}"}}'.encode()))
    assert isinstance(error, NotJSONError)
    assert (error.message, error.excerpt) == (LEFT_OUT.decode(), '{"agents": [], "count": 0, "x": "clf_***"}')


async def test_a_large_answer_is_quoted_where_nothing_is_cut() -> None:
    """Such as a time that cannot be read."""
    made = [{**AGENT, "id": f"agt_{number}"} for number in range(1500)]
    body = orjson.dumps({"agents": [*made, {**AGENT, "createdAt": "soon"}], "count": 1501})
    error = await failed(Response(200, {}, body))
    assert len(body) > DEEP
    assert "got 'soon' at $.agents[1500].createdAt" in error.message


async def test_a_success_is_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search would cost more than the rest of the call."""
    monkeypatch.setattr("chatloom_async.wire.auth.without_key", None)
    body = orjson.dumps({"agents": [], "count": 0, "note": KEY})
    client = AsyncChatloom(KEY, transport=MockTransport(lambda _: Response(200, {}, body)))
    assert len(await client.list_agents()) == 0
