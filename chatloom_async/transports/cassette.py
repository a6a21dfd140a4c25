"""Turns recorded exchanges into a file of readable JSON, and back.

The file's order follows from the requests alone: by URL, method and body, and equal ones in the order of sending, so
that two recordings of the same thing differ only where the answers do. Request headers are not stored unless they are
on the list below; whether anything else is fit to be stored is for recording.py to say.
"""

import os
from base64 import b64decode, b64encode
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import attrs
import orjson
from attrs import field, frozen
from attrs.validators import instance_of

from ..wire import errors
from ..wire.errors import ConfigurationError, TransportError, UsageError
from ..wire.message import Headers, Request, Response

FORMAT: Final[dict[str, str | int]] = {"format": "chatloom_async cassette", "version": 1}
STORED_HEADERS: Final = frozenset({"accept", "content-type"})
COOKIES: Final = frozenset({"set-cookie", "set-cookie2"})
FAILURES: Final[dict[str, type[TransportError]]] = {
    name: each for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, TransportError)
}


@frozen
class Asked:
    """What a recorded request is found by again."""

    method: str = field(validator=instance_of(str))
    url: str = field(validator=instance_of(str))
    body: bytes | None


@frozen
class Recorded:
    """One request as far as it is stored, and what came of it."""

    asked: Asked
    headers: Headers
    outcome: Response | TransportError


def asked(request: Request) -> Asked:
    """What the request is found by."""
    return Asked(request.method, request.url, request.body)


def recorded(request: Request, outcome: Response | TransportError) -> Recorded:
    """The exchange without what is never stored: most of the request's headers, and the answer's cookies."""
    headers = {name: value for name, value in request.headers.items() if name.lower() in STORED_HEADERS}
    if isinstance(outcome, Response):
        kept = {name: value for name, value in outcome.headers.items() if name.lower() not in COOKIES}
        outcome = attrs.evolve(outcome, headers=Headers(kept))
    return Recorded(asked(request), Headers(headers), outcome)


def write(path: Path, exchanges: Iterable[Recorded]) -> None:
    """Writes the whole file, or nothing: a reader never sees half of it."""
    ordered = sorted(exchanges, key=lambda each: (each.asked.url, each.asked.method, each.asked.body or b""))
    document = {**FORMAT, "exchanges": [_written(each) for each in ordered]}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def read(path: Path) -> list[Recorded]:
    """Everything in the file. Raises ConfigurationError where it is not there, or not as `write` leaves it."""
    try:
        document = orjson.loads(path.read_bytes())
        if {name: document[name] for name in FORMAT} == FORMAT:
            return [_read(each) for each in document["exchanges"]]
        problem = "is of another format or version"
    except FileNotFoundError:
        problem = "does not exist: record it first, with RecordingTransport(AiohttpTransport(), path)"
    except OSError as found:
        problem = f"cannot be read: {found.strerror}"
    except (ValueError, TypeError, KeyError, AttributeError, UsageError) as found:
        problem = f"cannot be read as a recording ({type(found).__name__}: {found}); record it again"
    raise ConfigurationError(f"The recording {path} {problem}")


def _written(exchange: Recorded) -> dict[str, Any]:
    request, outcome = exchange.asked, exchange.outcome
    sent = {
        "method": request.method,
        "url": request.url,
        "headers": dict(exchange.headers),
        "body": _body(request.body),
    }
    if isinstance(outcome, Response):
        got = {"status": outcome.status, "headers": dict(outcome.headers), "body": _body(outcome.body)}
        return {"request": sent, "response": got}
    kind = next(each.__name__ for each in type(outcome).__mro__ if each in FAILURES.values())
    return {"request": sent, "failure": {"type": kind, **_details(outcome, FAILURES[kind])}}


def _details(failure: TransportError, kind: type[TransportError]) -> dict[str, Any]:
    """What distinguishes a failure from others of its kind; its history is the client's."""
    fields = [each for each in attrs.fields(kind) if each.name not in ("attempts", "stop_reason")]
    return {each.name: value for each in fields if (value := getattr(failure, each.name)) != each.default}


def _read(entry: dict[str, Any]) -> Recorded:
    sent = entry["request"]
    wanted, headers = Asked(sent["method"], sent["url"], _bytes(sent["body"])), _headers(sent["headers"])
    if "failure" in entry:
        details = dict(entry["failure"])
        return Recorded(wanted, headers, FAILURES[details.pop("type")](**details))
    got = entry["response"]
    return Recorded(wanted, headers, Response(got["status"], _headers(got["headers"]), _bytes(got["body"]) or b""))


def _headers(value: Any) -> Headers:
    """Checked here, since `Headers` would only stumble when it is looked at."""
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
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
