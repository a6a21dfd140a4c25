"""What is written down of an exchange, and how it becomes a page: no key, no cookie, no Markdown of others."""

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve

from chatloom_async import ApiKey, ConnectError, MockTransport, Request, Response
from chatloom_async.diagnosis.journal import LINES, Entry, Journal, JournalTransport, markdown
from chatloom_async.diagnosis.observation import ok, skipped, warning, wrong
from chatloom_async.wire.auth import Auth
from tests.samples import KEY, OTHER_KEY, answer

NOW = datetime(2026, 1, 15, 9, tzinfo=UTC)
URL = "https://chatloom.app/api/plugin/agents"
ASKED = Request("GET", URL, {"Accept": "application/json", "User-Agent": "x", "Cookie": "secret"})


async def written(outcome: Response | ConnectError, request: Request = ASKED) -> tuple[Entry, Journal]:
    """The entry for an exchange that takes a quarter of a second."""
    times = iter([NOW, NOW + timedelta(seconds=0.25)])
    journal = Journal()
    transport = JournalTransport(MockTransport(lambda _: outcome), journal, lambda: next(times))
    transport.purpose = "A test"
    assert await transport.send(request) == outcome
    await transport.aclose()
    return journal.entries[0], journal


async def test_an_exchange_is_written_down() -> None:
    """Headers that are on the lists, and JSON so that it can be read."""
    headers = {"Content-Type": "application/json", "Date": "today", "Set-Cookie": "session=1", "X-Secret": "x"}
    response = Response(200, headers, b'{"agents": [],"count": 0}')
    entry, journal = await written(response)
    assert entry == Entry(
        purpose="A test",
        method="GET",
        url=URL,
        sent={"Accept": "application/json", "User-Agent": "x"},
        status=200,
        received={"Content-Type": "application/json", "Date": "today"},
        body='{\n  "agents": [],\n  "count": 0\n}',
        seconds=0.25,
    )
    assert journal.answered == (response, NOW + timedelta(seconds=0.25))


async def test_json_that_is_nested_too_deep_is_written_down_as_it_came() -> None:
    """orjson reads more levels than it writes."""
    deep = b"[" * 500 + b"]" * 500
    entry, _ = await written(Response(200, {"Content-Type": "application/json"}, deep))
    assert entry.body == deep.decode()


async def test_a_failure_is_written_down() -> None:
    """In the place of an answer."""
    entry, journal = await written(ConnectError("No way", reason="refused"))
    assert (entry.status, entry.received, journal.answered) == (None, {}, None)
    assert entry.body == "No way. Check the base URL, name resolution, the proxy and the firewall."


@pytest.mark.parametrize(
    ("auth", "shown"), [("bearer", {"Authorization": "Bearer clf_***"}), ("x-api-key", {"X-API-Key": "clf_***"})]
)
async def test_no_key_is_written_down(auth: Auth, shown: dict[str, str]) -> None:
    """Neither from the request, nor where the answer repeats it, in whatever spelling; other keys neither."""
    document = {"echo": KEY, "hidden": b64encode(KEY.encode()).decode(), "other": OTHER_KEY}
    received = {"content-type": KEY, "location": f"https://chatloom.app/?key={KEY}"}
    entry, _ = await written(answer(document, 200, **received), ApiKey(KEY).sign(ASKED, auth))
    assert dict(entry.sent) == {"Accept": "application/json", "User-Agent": "x", **shown}
    assert dict(entry.received) == {
        "content-type": "clf_***",
        "location": "https://chatloom.app/... (the rest is left out)",
    }
    assert json.loads(entry.body)["echo"] == "clf_***"
    assert json.loads(entry.body)["other"] == "clf_***"
    assert not [secret for secret in (KEY, OTHER_KEY, b64encode(KEY.encode()).decode()[:20]) if secret in repr(entry)]


async def test_a_body_is_left_out_if_the_key_cannot_be_masked_in_it() -> None:
    """Such as a key that is broken by many blanks."""
    body = f"bad key {KEY[:6]}{' ' * 9}{KEY[6:]}".encode()
    entry, _ = await written(Response(403, {}, body), ApiKey(KEY).sign(ASKED, "bearer"))
    assert entry.body == "(a text that holds the key)"


async def test_a_key_of_another_form_is_not_called_one_of_ours() -> None:
    """The report must not say that a good prefix was sent where it was not."""
    entry, _ = await written(answer({}), Request("GET", URL, {"Authorization": "Bearer hunter2"}))
    assert entry.sent == {"Authorization": "Bearer ***"}
    empty, _ = await written(answer({}), Request("GET", URL, {"X-API-Key": ""}))
    assert empty.sent == {"X-API-Key": "***"}


async def test_what_is_no_json_is_shown_as_it_is() -> None:
    """Line by line, without control characters, and cut where it is long."""
    entry, _ = await written(Response(502, {}, b"<html>\x1b[31m\n  <p>\xff\n" + b"x\n" * 500))
    assert entry.body.splitlines()[:3] == ["<html> [31m", "  <p>\ufffd", "x"]
    assert entry.body.splitlines()[LINES:] == [f"... and {502 - LINES} more lines"]


def test_the_page() -> None:
    """Character for character; what is the same is shown once, and no text breaks out of its place."""
    entry = Entry("Agents `x`", "GET", URL, {"Accept": "*/*"}, 200, {"Date": "today"}, "a ``` b", 0.25)
    later = Entry("Again", "GET", URL, {"Accept": "*/*"}, 200, {"Date": "tomorrow"}, "a ``` b", 0.5)
    failed = Entry("None", "GET", URL, {}, None, {}, "No way.", 1.0)
    observations = [
        ok("versions", "aiohttp 3.14.5"),
        warning("proxies", "[x](http://evil.example)", "Name it."),
        wrong("call", "<b>no</b>."),
        skipped("TLS", "none"),
    ]
    page = markdown(observations, [entry, later, failed], {"chatloom_async": "0.1.0", "Python": "3.11"}, NOW)
    assert (
        page.partition("## Observations")[2]
        == """

- ✓ **versions**: aiohttp 3.14.5.
- ! **proxies**: \\[x\\](http://evil.example). Name it.
- ✗ **call**: \\<b\\>no\\</b\\>.
- ○ **TLS**: none.

## Requests and responses

### 1. Agents \\`x\\`: HTTP 200, 2 times

````text
GET https://chatloom.app/api/plugin/agents
Accept: */*
````

After 250 ms:

````text
HTTP 200
Date: today

a ``` b
````

### 2. None: no answer

```text
GET https://chatloom.app/api/plugin/agents
```

After 1000 ms:

```text
No way.
```
""".replace("````text\nGET", "```text\nGET", 1).replace("*/*\n````", "*/*\n```", 1)
    )
    assert "Written 2026-01-15 09:00:00 UTC by `chatloom doctor`: chatloom_async 0.1.0, Python 3.11." in page


def test_a_page_without_exchanges() -> None:
    """Says that there were none."""
    assert markdown([ok("x", "y")], [], {}, NOW).endswith(
        "- ✓ **x**: y.\n\n## Requests and responses\n\nNo request was sent.\n"
    )


def test_dots_are_kept_in_the_page() -> None:
    """A path such as ../keys leads somewhere else without one; a sentence has one full stop all the same."""
    page = markdown([ok("key", "read from ../keys"), ok("name", "It resolves.")], [], {}, NOW)
    assert "- \u2713 **key**: read from ../keys.\n- \u2713 **name**: It resolves.\n" in page


def test_only_what_differs_in_its_time_alone_is_shown_once() -> None:
    """Purpose, received headers and seconds differ from try to try; the first try is the one on the page."""
    entry = Entry("Agents", "GET", URL, {}, 200, {"Date": "today"}, "a", 0.25)
    later = evolve(entry, purpose="Again", received={"Date": "tomorrow"}, seconds=0.5)
    others = [evolve(entry, status=404), evolve(entry, body="b"), evolve(entry, method="HEAD"), evolve(entry, url="/")]
    assert entry != later
    page = markdown([], [entry, later, *others], {}, NOW)
    assert [line for line in page.splitlines() if line.startswith("### ")] == [
        "### 1. Agents: HTTP 200, 2 times",
        "### 2. Agents: HTTP 404",
        "### 3. Agents: HTTP 200",
        "### 4. Agents: HTTP 200",
        "### 5. Agents: HTTP 200",
    ]
    assert page.count("After 250 ms:") == 5
    assert entry != evolve(entry, seconds=0.5)
