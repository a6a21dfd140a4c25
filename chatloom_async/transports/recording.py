"""Records the exchanges of another transport in a file, and replays them without a network.

The file never contains a key: request headers are left out, and if a key is part of anything else, nothing is written.
"""

import os
import re
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Iterable
from difflib import SequenceMatcher
from os import PathLike
from pathlib import Path
from typing import Any, Final

import attrs
import orjson
from attrs import field, frozen
from attrs.validators import instance_of

from ..wire import errors
from ..wire.auth import PLACEHOLDER
from ..wire.cleaning import holds_key
from ..wire.errors import ConfigurationError, TransportError, UsageError
from ..wire.message import Headers, Request, Response
from .interface import TRANSPORT, Answer, Transport, checked, start_send

FORMAT: Final[dict[str, str | int]] = {"format": "chatloom_async cassette", "version": 1}
STORED_HEADERS: Final = frozenset({"accept", "content-type"})
COOKIES: Final = frozenset({"set-cookie", "set-cookie2"})
FAILURES: Final[dict[str, type[TransportError]]] = {
    name: error for name, error in vars(errors).items() if isinstance(error, type) and issubclass(error, TransportError)
}


@frozen
class RequestIdentity:
    """The parts of a request that identify it in a recording."""

    method: str = field(validator=instance_of(str))
    url: str = field(validator=instance_of(str))
    body: bytes | None

    @classmethod
    def of(cls, request: Request) -> "RequestIdentity":
        return cls(request.method, request.url, request.body)


@frozen
class Recorded:
    """The stored part of a request, and its outcome."""

    request: RequestIdentity
    headers: Headers
    outcome: Answer


def recorded(request: Request, outcome: Answer) -> Recorded:
    """The exchange without most of the request's headers and without the answer's cookies."""
    headers = {name: value for name, value in request.headers.items() if name.lower() in STORED_HEADERS}
    if isinstance(outcome, Response):
        stored = {name: value for name, value in outcome.headers.items() if name.lower() not in COOKIES}
        outcome = attrs.evolve(outcome, headers=Headers(stored))
    return Recorded(RequestIdentity.of(request), Headers(headers), outcome)


def write(path: Path, exchanges: Iterable[Recorded]) -> None:
    """Writes the file atomically: a reader never sees half of it."""
    ordered = sorted(exchanges, key=lambda it: (it.request.url, it.request.method, it.request.body or b""))
    document = {**FORMAT, "exchanges": [_written(exchange) for exchange in ordered]}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def read(path: Path) -> list[Recorded]:
    """The content of the file. Raises ConfigurationError if it is missing or damaged."""
    try:
        document = orjson.loads(path.read_bytes())
        if {name: document[name] for name in FORMAT} == FORMAT:
            return [_read(entry) for entry in document["exchanges"]]
        problem = "is of another format or version"
    except FileNotFoundError:
        problem = "does not exist: record it first, with RecordingTransport(AiohttpTransport(), path)"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except (ValueError, TypeError, KeyError, AttributeError, UsageError) as error:
        problem = f"cannot be read as a recording ({type(error).__name__}: {error}); record it again"
    raise ConfigurationError(f"The recording {path} {problem}")


def _written(exchange: Recorded) -> dict[str, Any]:
    request, outcome = exchange.request, exchange.outcome
    sent = {
        "method": request.method,
        "url": request.url,
        "headers": dict(exchange.headers),
        "body": _body(request.body),
    }
    if isinstance(outcome, Response):
        got = {"status": outcome.status, "headers": dict(outcome.headers), "body": _body(outcome.body)}
        return {"request": sent, "response": got}
    kind = next(cls.__name__ for cls in type(outcome).__mro__ if cls in FAILURES.values())
    return {"request": sent, "failure": {"type": kind, **_details(outcome, FAILURES[kind])}}


def _details(failure: TransportError, kind: type[TransportError]) -> dict[str, Any]:
    """The fields of a failure, without its history, which belongs to the client."""
    fields = [field for field in attrs.fields(kind) if field.name not in ("attempts", "stop_reason")]
    return {field.name: value for field in fields if (value := getattr(failure, field.name)) != field.default}


def _read(entry: dict[str, Any]) -> Recorded:
    sent = entry["request"]
    wanted, headers = RequestIdentity(sent["method"], sent["url"], _bytes(sent["body"])), _headers(sent["headers"])
    if "failure" in entry:
        details = dict(entry["failure"])
        return Recorded(wanted, headers, FAILURES[details.pop("type")](**details))
    got = entry["response"]
    return Recorded(wanted, headers, Response(got["status"], _headers(got["headers"]), _bytes(got["body"]) or b""))


def _headers(value: Any) -> Headers:
    """The headers, validated here, because `Headers` decodes lazily."""
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise TypeError("headers are an object of strings")
    return Headers(value)


def _body(body: bytes | None) -> dict[str, str] | None:
    if body is None:
        return None
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"base64": b64encode(body).decode()}


def _bytes(body: dict[str, str] | None) -> bytes | None:
    if body is None:
        return None
    return body["text"].encode() if "text" in body else b64decode(body["base64"], validate=True)


KEY_LIKE = re.compile(rb"clf_[A-Za-z0-9_-]{12,}")  # long enough to be a key, of whatever workspace


class SecretInRecordingError(UsageError):
    """The exchange contains an API key. Nothing of it was written."""

    hint = "Record something else, or put a transport between that takes the key out of the answer."


class NotRecordedError(UsageError):
    """The recording does not contain the request, or each recorded answer was replayed already."""

    hint = "Record again with RecordingTransport(AiohttpTransport(), path), or send a recorded request."


class RecordingTransport:
    """Sends through `inner`, and writes every exchange, including failures, to a file for ReplayTransport.

        transport = RecordingTransport(AiohttpTransport(), "tests/cassettes/agents.json")

    The file is readable JSON, to commit and review. It is replaced atomically after each exchange, so it is always
    complete. The first exchange overwrites an old file. It stores the method, URL, body, the headers Accept and
    Content-Type, and the answer without its cookies. If any key, in any spelling that .github/SECURITY.md lists, is in
    the URL (before anything is sent), the body or the answer, it raises SecretInRecordingError and writes nothing.
    Cancelled requests, such as an attempt that timed out, are not recorded. `aclose()` closes `inner`.
    """

    def __init__(self, inner: Transport, path: str | PathLike[str]) -> None:
        TRANSPORT.check("inner", inner)
        self._inner, self._path = inner, Path(path)
        self._exchanges: list[Recorded | None] = []

    async def send(self, request: Request) -> Answer:
        self._refuse(_place_of_key(request))
        turn = len(self._exchanges)
        self._exchanges.append(None)
        try:
            outcome = checked(await start_send(self._inner, request))
        except TransportError as failure:
            outcome = failure.with_traceback(None)
        self._refuse(_place_of_key(request, outcome))
        self._exchanges[turn] = recorded(request, outcome)
        write(self._path, [exchange for exchange in self._exchanges if exchange])
        return outcome

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _refuse(self, place: str | None) -> None:
        if place:
            raise SecretInRecordingError(f"An API key is in {place}, so this is not written to {self._path}")


def _place_of_key(request: Request, outcome: Answer | None = None) -> str | None:
    """Where the request's key, or a text that looks like a key, was found. Returned, so that no traceback contains a
    frame with the key."""
    places = {"the URL": request.url.encode(), "the request's body": request.body or b""}
    if isinstance(outcome, Response):
        lines = (f"{name}: {value}" for name, value in outcome.headers.items())
        places = {"the answer's headers": "\n".join(lines).encode(), "the answer's body": outcome.body}
    elif outcome is not None:
        places = {"the failure": repr(outcome).encode()}
    signed = (request.headers.get("authorization", ""), request.headers.get("x-api-key", ""))
    keys = [key for value in signed if (key := value.strip().rpartition(" ")[2])]
    return next((place for place, text in places.items() if _holds_key(keys, text)), None)


def _holds_key(keys: list[str], text: bytes) -> bool:
    others = (key.decode() for key in KEY_LIKE.findall(text))
    return not all(map(PLACEHOLDER.fullmatch, others)) or any(holds_key(key, text) for key in keys)


class ReplayTransport:
    """Answers from a file that RecordingTransport wrote, without a network and for any key.

    Requests are matched by method, URL and body. If one was recorded several times, its outcomes are replayed in order,
    once each. Failures are replayed too. Raises NotRecordedError for any other request, with the most similar one, and
    ConfigurationError if the file is missing or damaged.

        empty = MockTransport(lambda _: Response(200, body=b'{"agents": [], "count": 0}'))
        await AsyncChatloom(transport=RecordingTransport(empty, "agents.json")).list_agents()
        played = await AsyncChatloom(transport=ReplayTransport("agents.json")).list_agents()
        print(played)  # AgentList(agents=(), count=0)
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self._path = Path(path)
        self._outcomes: dict[RequestIdentity, deque[Answer]] = {}
        for exchange in read(self._path):
            self._outcomes.setdefault(exchange.request, deque()).append(exchange.outcome)

    async def send(self, request: Request) -> Answer:
        wanted = RequestIdentity.of(request)
        outcomes = self._outcomes.get(wanted)
        if not outcomes:
            raise NotRecordedError(self._explanation(wanted))
        return outcomes.popleft()

    async def aclose(self) -> None:
        """Nothing to release."""

    def _explanation(self, wanted: RequestIdentity) -> str:
        said = f"{wanted.method} {wanted.url}"
        if wanted in self._outcomes:
            return f"{self._path} has {said}, but each time that it was recorded has been played already"
        if not self._outcomes:
            return f"{self._path} does not have {said}: nothing is recorded there"
        nearest = max(self._outcomes, key=lambda request: _likeness(request, wanted))
        same = (nearest.method, nearest.url) == (wanted.method, wanted.url)
        closest = "the same with another body" if same else f"{nearest.method} {nearest.url}"
        return f"{self._path} does not have {said}. The nearest that it has is {closest}"


def _likeness(one: RequestIdentity, other: RequestIdentity) -> float:
    first, second = (f"{request.method} {request.url} {(request.body or b'')[:500]!r}" for request in (one, other))
    return SequenceMatcher(None, first, second, autojunk=False).ratio()
