"""Recording to a file and playing it back: what is in the file, what never is, and what is found again."""

import asyncio
import base64
import re
import traceback
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from chatloom_async import (
    AgentList,
    ApiKey,
    AsyncChatloom,
    AttemptTimeoutError,
    ChatloomError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    MockTransport,
    PayloadError,
    RecordingTransport,
    RedirectRefusedError,
    ReplayTransport,
    Request,
    Response,
    RetryPolicy,
    Sandbox,
    Transport,
    TransportError,
    UsageError,
)
from chatloom_async.testing import VirtualClock
from chatloom_async.transports.recording import NotRecordedError, SecretInRecordingError
from tests.samples import AGENTS, DOMAINS, KEY, answer, api, in_turn

AGENTS_URL = "https://chatloom.app/api/plugin/agents"
DOMAINS_URL = f"{AGENTS_URL}/agt_abc123/allowed-domains"
OTHER_URL = f"{AGENTS_URL}/agt_xyz123/allowed-domains"
ODD_KEY = r"clf_a+b/c\d&e<f>g?h=0123456789"  # every character that some spelling changes


def asking(url: str = AGENTS_URL, method: str = "GET", body: bytes | None = None, key: str = KEY) -> Request:
    """A signed request, as the client hands it to a transport."""
    headers = {"Accept": "application/json", "User-Agent": "chatloom-async/0.1.0", "X-Session": "s3cr3t"}
    return ApiKey(key).sign(Request(method, url, headers, body), "bearer")


async def record(path: Path, *exchanges: tuple[Request, Response | TransportError]) -> None:
    """Records these requests with these outcomes, in this order."""
    recording = RecordingTransport(in_turn(*(outcome for _, outcome in exchanges)), path)
    for request, outcome in exchanges:
        assert await recording.send(request) == outcome


def content(path: Path) -> bytes:
    """What is in a file."""
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that does not exist, in a folder that does not either."""
    return tmp_path / "cassettes" / "agents.json"


async def test_the_file_is_readable_and_holds_what_was_exchanged(path: Path) -> None:
    """Ordered by URL; text as text, other bytes in base64; of the request's headers only those that are known."""
    failure = ConnectionLostError("The server closed the connection", received=True)
    await record(
        path,
        (
            asking(DOMAINS_URL),
            Response(200, {"X-Request-Id": "1", "Set-Cookie": "session=1"}, b'{"domains":["\xc3\xa9"]}'),
        ),
        (asking(method="POST", body=b"\xff\x00"), failure),
        (asking(), Response(503, {}, b"")),
    )
    assert content(path).decode() == FILE


FILE = """{
  "format": "chatloom_async cassette",
  "version": 1,
  "exchanges": [
    {
      "request": {
        "method": "GET",
        "url": "https://chatloom.app/api/plugin/agents",
        "headers": {
          "Accept": "application/json"
        },
        "body": null
      },
      "response": {
        "status": 503,
        "headers": {},
        "body": {
          "text": ""
        }
      }
    },
    {
      "request": {
        "method": "POST",
        "url": "https://chatloom.app/api/plugin/agents",
        "headers": {
          "Accept": "application/json"
        },
        "body": {
          "base64": "/wA="
        }
      },
      "failure": {
        "type": "ConnectionLostError",
        "message": "The server closed the connection",
        "received": true
      }
    },
    {
      "request": {
        "method": "GET",
        "url": "https://chatloom.app/api/plugin/agents/agt_abc123/allowed-domains",
        "headers": {
          "Accept": "application/json"
        },
        "body": null
      },
      "response": {
        "status": 200,
        "headers": {
          "X-Request-Id": "1"
        },
        "body": {
          "text": "{\\"domains\\":[\\"é\\"]}"
        }
      }
    }
  ]
}
"""


async def test_what_was_recorded_is_played_in_order(path: Path) -> None:
    """Equal requests get their outcomes one after the other, whatever is asked in between, and with any key."""
    outcomes = [answer(AGENTS), Response(500, {"retry-after": "1"}, b"\xff"), Response(200, {}, b"")]
    await record(
        path,
        (asking(), outcomes[0]),
        (asking(DOMAINS_URL), answer(DOMAINS)),
        (asking(), outcomes[1]),
        (asking(method="POST", body=b"1"), answer({"n": 1}, 201)),
        (asking(method="POST", body=b"2"), answer({"n": 2}, 201)),
        (asking(), outcomes[2]),
    )
    replay = ReplayTransport(path)
    assert await replay.send(asking(method="POST", body=b"2")) == answer({"n": 2}, 201)
    assert [await replay.send(asking(key="clf_another")) for _ in range(3)] == outcomes
    assert await replay.send(asking(DOMAINS_URL)) == answer(DOMAINS)
    assert await replay.send(asking(method="POST", body=b"1")) == answer({"n": 1}, 201)
    await replay.aclose()


class SlowerThanTheOthersError(AttemptTimeoutError):
    """A failure that a transport of the user's own makes."""


@pytest.mark.parametrize(
    "failure",
    [
        TransportError("Something else"),
        ConnectError("No connection", reason="refused", sent=False),
        AttemptTimeoutError("Too slow", reason="read"),
        ConnectionLostError("Gone", received=True),
        PayloadError("Cut", reason="cut", received=10, expected=20),
        RedirectRefusedError("Elsewhere", location="https://example.com"),
    ],
)
async def test_failures_are_recorded_and_played_too(path: Path, failure: TransportError) -> None:
    """As equal values, whether the transport returned or raised them."""
    returned = MockTransport(lambda _: failure)
    assert await RecordingTransport(returned, path).send(asking()) == failure
    assert await ReplayTransport(path).send(asking()) == failure
    assert await RecordingTransport(in_turn(failure), path).send(asking()) == failure
    assert await ReplayTransport(path).send(asking()) == failure
    assert failure.__traceback__ is None


async def test_a_failure_of_a_kind_that_is_not_ours_is_played_as_the_nearest_of_ours(path: Path) -> None:
    """The file does not import anything."""
    await record(path, (asking(), SlowerThanTheOthersError("Too slow", reason="read")))
    assert await ReplayTransport(path).send(asking()) == AttemptTimeoutError("Too slow", reason="read")


async def test_two_recordings_of_the_same_are_the_same_file(path: Path) -> None:
    """Whatever the order in which different requests were sent and answered; equal ones stay as they were sent."""
    requests = [asking(), asking(), asking(method="POST"), asking(DOMAINS_URL), asking(method="POST", body=b"1")]
    files = []
    for order in (requests, requests[::-1]):
        gates, numbers = [asyncio.Event() for _ in order], count()
        times: Counter[Request] = Counter()

        async def handler(request: Request, gates: Any = gates, numbers: Any = numbers, times: Any = times) -> Response:
            times[request] += 1
            response = answer({"time": times[request], "of": f"{request.method} {request.url} {request.body!r}"})
            await gates[next(numbers)].wait()
            return response

        recording = RecordingTransport(MockTransport(handler), path)
        calls = [asyncio.create_task(recording.send(request)) for request in order]
        for gate, call in [*zip(gates, calls, strict=True)][::-1]:
            await asyncio.sleep(0)
            gate.set()
            await call
        files.append(content(path))
    assert files[0] == files[1]


async def test_a_request_that_was_cancelled_leaves_no_trace(path: Path) -> None:
    """Nothing is known of its outcome."""

    async def never(_: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError

    recording = RecordingTransport(in_turn(answer(AGENTS), then=never), path)
    await recording.send(asking())
    before = content(path)
    call = asyncio.create_task(recording.send(asking(DOMAINS_URL)))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait([call])
    assert (call.cancelled(), content(path)) == (True, before)


def entities(key: str, form: str) -> bytes:
    """Every character as a reference of HTML."""
    return "".join(form.format(ord(character)) for character in key).encode()


def spelled(key: str) -> dict[str, bytes]:
    """The ways in which a text may carry a key."""
    raw = key.encode()
    hidden = {f"base64 {n}": base64.b64encode(b"x" * n + raw + b"yz") for n in range(4)}
    hidden |= {f"base32 {n}": base64.b32encode(b"x" * n + raw + b"yz") for n in range(5)}
    hidden |= {f"base32hex {n}": base64.b32hexencode(b"x" * n + raw + b"yz") for n in range(5)}
    in_html = key.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = orjson.dumps(key)[1:-1]
    percent, every = quote(key, safe="").encode(), "".join(f"%{byte:02X}" for byte in raw).encode()
    json_in_html = escaped.replace(b"&", rb"\u0026").replace(b"<", rb"\u003c").replace(b">", rb"\u003e")
    return hidden | {
        "plain": raw,
        "upper": raw.upper(),
        "lower": raw.lower(),
        "percent": percent,
        "lower percent": re.sub(b"%[0-9A-F]{2}", lambda found: found[0].lower(), percent),
        "percent of everything": every,
        "percent twice": every.replace(b"%", b"%25"),
        "json": escaped,
        "json twice": orjson.dumps(escaped.decode())[1:-1],
        "json with slashes": escaped.replace(b"/", b"\\/"),
        "json in html": json_in_html,
        "json in html, upper": re.sub(rb"u00..", lambda found: b"u" + found[0][1:].upper(), json_in_html),
        "json, all escaped": "".join(f"\\u{byte:04X}" for byte in raw).encode(),
        "html": in_html.encode(),
        "html, decimal": entities(key, "&#{};"),
        "html, decimal with zeros": entities(key, "&#{:05};"),
        "html, hex": entities(key, "&#x{:x};"),
        "html, upper hex": entities(key, "&#X{:X};"),
        "html, escaped twice": entities(key, "&amp;#{};"),
        "html, by name": key.replace("&", "&amp;").replace("_", "&lowbar;").replace("+", "&plus;").encode(),
        "json with braces": "".join(f"\\u{{{byte:x}}}" for byte in raw).encode(),
        "json with braces and zeros": "".join(f"\\u{{{byte:06X}}}" for byte in raw).encode(),
        "percent with u": "".join(f"%u{byte:04x}" for byte in raw).encode(),
        "octal": "".join(f"\\{byte:03o}" for byte in raw).encode(),
        "decimal": ",".join(map(str, raw)).encode(),
        "decimal in lines": " ,\n".join(map(str, raw)).encode(),
        "hex": raw.hex().encode(),
        "hex of utf-16": key.encode("utf-16-le").hex().encode(),
        "hex of utf-16-be": key.encode("utf-16-be").hex(" ").encode(),
        "upper hex": raw.hex().upper().encode(),
        "hex with colons": raw.hex(":").encode(),
        "hex with blanks": raw.hex(" ").encode(),
        "hex as numbers": ", ".join(f"0x{byte:02x}" for byte in raw).encode(),
        "hex escapes": "".join(f"\\x{byte:02x}" for byte in raw).encode(),
        "among other escapes": b"&#233; &eacute; &bogus; \\u00e9 %E9 =E9 " + raw,
        "quoted-printable": "".join(f"={byte:02X}" for byte in raw).encode(),
        "utf-16": key.encode("utf-16"),
        "utf-16-be": key.encode("utf-16-be"),
        "lower base32": base64.b32encode(raw).lower(),
        "base64url": base64.urlsafe_b64encode(b"??>" + raw),
        "base64 in a URL": quote(base64.b64encode(b"??>" + raw), safe="").encode(),
        "base64 in JSON": base64.b64encode(b"??>" + raw).replace(b"/", b"\\/"),
        **{f"base64 of utf-16 {n}": base64.b64encode(b"x" * n + key.encode("utf-16-le")) for n in range(3)},
        "base64 of utf-16-be": base64.b64encode(key.encode("utf-16-be")),
        **{f"base64 twice {n}": base64.b64encode(b"y" * n + base64.b64encode(b"x" * n + raw)) for n in range(3)},
        "in long lines": key[:6].encode() + b" \r\n" * 9 + key[6:].encode() if key[6:] else raw,
        "base64 in lines": base64.encodebytes(b"x" * 50 + raw),
        "base64 in lines in JSON": base64.encodebytes(b"x" * 50 + raw).replace(b"\n", b"\\n"),
    }


@pytest.mark.parametrize("key", [KEY, "clf_1"])
@pytest.mark.parametrize("how", spelled(KEY))
async def test_an_answer_with_the_key_is_refused_in_whatever_spelling(path: Path, key: str, how: str) -> None:
    """The error says where it is; no file is written, and no frame on the traceback shows the key."""
    recording = RecordingTransport(in_turn(Response(200, {}, b"{" + spelled(key)[how] + b"}")), path)
    with pytest.raises(SecretInRecordingError) as caught:
        await recording.send(asking(key=key))
    assert str(caught.value) == (
        f"An API key is in the answer's body, so this is not written to {path}. "
        "Record something else, or put a transport between that takes the key out of the answer."
    )
    assert not path.parent.exists()
    assert isinstance(caught.value, UsageError)
    trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in trace.stack if "chatloom_async" in frame.filename and "tests" not in frame.filename]
    assert ours
    assert not any(key in str(frame.locals) for frame in ours)


@pytest.mark.parametrize("how", spelled(ODD_KEY))
async def test_a_key_of_odd_characters_is_found_too(path: Path, how: str) -> None:
    """Those that JSON, HTML, URLs and base64 write differently."""
    recording = RecordingTransport(in_turn(Response(200, {}, spelled(ODD_KEY)[how])), path)
    with pytest.raises(SecretInRecordingError):
        await recording.send(asking(key=ODD_KEY))


@pytest.mark.parametrize(
    ("request_", "outcome", "place", "sent"),
    [
        (asking(f"{AGENTS_URL}?key={KEY}"), answer({}), "the URL", 0),
        (asking(method="POST", body=KEY.encode()), answer({}), "the request's body", 0),
        (asking(), answer({}, x_echo=f"Bearer {KEY}"), "the answer's headers", 1),
        (asking(), answer({"key": "clf_sOmEbOdYeLsEs-0123"}), "the answer's body", 1),
        (asking(), ConnectError("No", reason=KEY), "the failure", 1),
    ],
)
async def test_a_key_is_refused_wherever_it_is(
    path: Path, request_: Request, outcome: Response | TransportError, place: str, sent: int
) -> None:
    """Also another key than the request's. What is wrong with the request itself is said before it is sent."""
    inner = in_turn(answer(AGENTS), outcome)
    recording = RecordingTransport(inner, path)
    await recording.send(asking())
    before = content(path)
    with pytest.raises(SecretInRecordingError, match=rf"^An API key is in {place}, so this is not written"):
        await recording.send(request_)
    assert (len(inner.requests), content(path)) == (1 + sent, before)
    await recording.send(asking(DOMAINS_URL))
    assert [each["request"]["url"] for each in orjson.loads(content(path))["exchanges"]] == [
        AGENTS_URL,
        DOMAINS_URL,
    ]


async def test_what_only_resembles_a_key_is_recorded(path: Path) -> None:
    """The documentation's placeholders, and texts that are too short; unsigned requests, too."""
    text = b'{"error": "send clf_your_api_key_here, clf_... or clf_short"}'
    await record(path, (Request("GET", AGENTS_URL), Response(401, {}, text)))
    assert await ReplayTransport(path).send(asking()) == Response(401, {}, text)


def test_a_file_that_cannot_be_replaced_is_left_as_it_is(path: Path) -> None:
    """Half a file is never there, and nothing else is left behind."""
    path.mkdir(parents=True)
    with pytest.raises(OSError, match=path.name):
        asyncio.run(RecordingTransport(MockTransport(api), path).send(asking()))
    assert [*path.parent.iterdir()] == [path]


@pytest.mark.parametrize(
    ("wanted", "explanation"),
    [
        (
            asking(OTHER_URL),
            f"{{}} does not have GET {DOMAINS_URL.replace('abc', 'xyz')}. The nearest that it has is GET {DOMAINS_URL}",
        ),
        (
            asking(method="PUT", body=b"1"),
            f"{{}} does not have PUT {AGENTS_URL}. The nearest that it has is POST {AGENTS_URL}",
        ),
        (
            asking(method="POST", body=b"2"),
            f"{{}} does not have POST {AGENTS_URL}. The nearest that it has is the same with another body",
        ),
        (asking(), f"{{}} has GET {AGENTS_URL}, but each time that it was recorded has been played already"),
    ],
)
async def test_a_request_that_was_not_recorded_is_refused(path: Path, wanted: Request, explanation: str) -> None:
    """The error names the nearest one, and says what to do."""
    await record(
        path,
        (asking(), answer(AGENTS)),
        (asking(DOMAINS_URL), answer(DOMAINS)),
        (asking(method="POST", body=b"1"), answer({}, 201)),
    )
    replay = ReplayTransport(path)
    await replay.send(asking())
    with pytest.raises(NotRecordedError) as caught:
        await replay.send(wanted)
    assert str(caught.value) == (
        f"{explanation.format(path)}. Record again with RecordingTransport(AiohttpTransport(), path), "
        "or send a recorded request."
    )


def test_a_recording_that_is_not_there_is_a_configuration_error(path: Path) -> None:
    """It says how to make it."""
    with pytest.raises(ConfigurationError, match=r"agents\.json does not exist: record it first, with RecordingTr"):
        ReplayTransport(path)


REQUEST = {"method": "GET", "url": AGENTS_URL, "headers": {}, "body": None}
EXCHANGE = {
    "request": REQUEST,
    "response": {"status": 200, "headers": {}, "body": {"text": ""}},
}


@pytest.mark.parametrize(
    "document",
    [
        {"format": "chatloom_async cassette", "version": 2, "exchanges": []},
        {"exchanges": []},
        [],
        {"format": "chatloom_async cassette", "version": 1, "exchanges": [{}]},
        *(
            {"format": "chatloom_async cassette", "version": 1, "exchanges": [{**EXCHANGE, **wrong}]}
            for wrong in (
                {"request": "GET"},
                {"request": {**REQUEST, "method": 7}},
                {"request": {**REQUEST, "url": ["https://chatloom.app"]}},
                {"request": {**REQUEST, "headers": "accept"}},
                {"response": {"status": 200, "headers": {"age": 7}, "body": None}},
                {"response": {"status": "200", "headers": {}, "body": None}},
                {"response": {"status": 200, "headers": {}, "body": "text"}},
                {"response": {"status": 200, "headers": {}, "body": {"base64": "?"}}},
                {"response": None},
                {"failure": {"type": "Exception", "message": "No"}},
                {"failure": {"type": "ConnectError", "message": "No", "colour": "red"}},
            )
        ),
    ],
)
def test_a_damaged_recording_is_a_configuration_error(path: Path, document: object) -> None:
    """Said when it is opened, not at the first request."""
    path.parent.mkdir()
    path.write_bytes(orjson.dumps(document))
    with pytest.raises(ConfigurationError, match=r"agents\.json (is of another format|cannot be read as a recording)"):
        ReplayTransport(path)


def test_a_recording_that_cannot_be_opened_is_a_configuration_error(tmp_path: Path) -> None:
    """The operating system's reason is passed on."""
    with pytest.raises(ConfigurationError, match=r"cannot be read: Is a directory"):
        ReplayTransport(tmp_path)


def test_an_empty_recording_has_nothing_near(path: Path) -> None:
    """It is valid all the same."""
    path.parent.mkdir()
    path.write_bytes(b'{"format": "chatloom_async cassette", "version": 1, "exchanges": []}')
    with pytest.raises(NotRecordedError, match="nothing is recorded there"):
        asyncio.run(ReplayTransport(path).send(asking()))


async def test_a_whole_program_is_recorded_and_played(path: Path) -> None:
    """With its retries: what failed then fails again, and is cured in the same way, without a network or the key."""
    sandbox = Sandbox(seed=7)
    acme = sandbox.add_workspace("acme", agents=2)
    acme.fails(429, retry_after=3)
    acme.fails("lost", on="*/allowed-domains")

    async def program(chatloom: AsyncChatloom) -> tuple[AgentList, list[list[str]]]:
        agents = await chatloom.list_agents()
        return agents, [[*await chatloom.get_allowed_domains(agent.id)] for agent in agents]

    async def outcome(key: ApiKey, transport: Transport) -> tuple[object, list[float]]:
        clock, retry = VirtualClock(), RetryPolicy(random=lambda: 0.5)
        return await program(AsyncChatloom(key, transport=transport, clock=clock, retry=retry)), clock.slept

    first = await outcome(acme.key, RecordingTransport(sandbox.transport(), path))
    assert await outcome(ApiKey("clf_another"), ReplayTransport(path)) == first
    assert first[1][0] == 3.0


async def test_closing_a_recording_closes_what_is_inside() -> None:
    """The transport inside was often made in the same line, so nobody else could close it."""
    closed: list[object] = []

    class Inner(MockTransport):
        async def aclose(self) -> None:
            closed.append(self)

    inner = Inner(api)
    await RecordingTransport(inner, "unused.json").aclose()
    assert closed == [inner]


async def test_a_refusal_reaches_the_caller_through_the_client(path: Path) -> None:
    """It is no failure of the network, so it is not tried again."""
    inner = MockTransport(lambda _: answer({"error": KEY}, 500))
    with pytest.raises(ChatloomError) as caught:
        await AsyncChatloom(KEY, transport=RecordingTransport(inner, path)).list_agents()
    assert (type(caught.value), len(inner.requests)) == (SecretInRecordingError, 1)
