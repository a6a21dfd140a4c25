"""The targets that read an answer's body, checked against readers of the standard library. See targets.py."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import cycle
from pathlib import Path
from typing import Any

import attrs

from chatloom_async import Agent, AgentList, AllowedDomains, NotJSONError, Response, SchemaMismatchError
from chatloom_async.transports.body import PIECE, Inflater, TooManyStreamsError
from chatloom_async.wire.decode import decode

from .promises import explained

ENOUGH = 2**23  # bytes: as much as a transport accepts by default


@attrs.frozen
class Tree:
    """A model that may be as deep as JSON gets."""

    leaves: dict[str, float | None]
    branches: list["Tree"] = attrs.Factory(list)


def decoder(data: bytes, _: Path) -> None:
    """A body is the value that a plain reader finds in it, or an error; and what that reader finds can be read."""
    for returns in (AgentList, AllowedDomains, Tree, Any):
        value = decode(Response(200, {"Content-Type": "application/json"}, data), returns)
        if isinstance(value, (NotJSONError, SchemaMismatchError)):
            explained(value, NotJSONError, SchemaMismatchError)
        elif returns in READ and (document := _document(data)) is not None:
            assert value == READ[returns](document)
            assert decode(Response(200, {}, json.dumps(document).encode()), returns) == value


def _document(data: bytes) -> Any:
    try:
        return json.loads(data, object_pairs_hook=_object)
    except RecursionError:
        return None  # an unknown member may be deeper than Python reads


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs), "a doubled member was not seen"
    return dict(pairs)


def _is(kind: type, value: Any) -> Any:
    assert type(value) is kind, f"{value!r} was taken for a {kind.__name__}"
    return value


def _agent(of: dict[str, Any]) -> Agent:
    names = ("id", "name", "primaryColor", "secondaryColor", "position", "template", "status")
    created = datetime.fromisoformat(_is(str, of["createdAt"]))
    assert created.tzinfo is not None
    return Agent(*(_is(str, of[name]) for name in names), created)


def _agents(of: dict[str, Any]) -> AgentList:
    return AgentList(tuple(_agent(each) for each in _is(list, of["agents"])), _is(int, of["count"]))


def _domains(of: dict[str, Any]) -> AllowedDomains:
    return AllowedDomains(tuple(_is(str, each) for each in _is(list, of["domains"])))


READ: dict[Any, Callable[[dict[str, Any]], Any]] = {AgentList: _agents, AllowedDomains: _domains}
"""How a plain reader finds the models in a document."""


def inflater(data: bytes, _: Path) -> None:
    """Eight bytes that say how the others arrive, and those. It makes no difference how, and gzip agrees."""
    encoding, steps, body = "deflate" if data[:1] > b"\x7f" else "gzip", data[1:8] or b"\0", data[8:]
    whole = _inflated(encoding, [body])
    assert _inflated(encoding, _cut(body, steps)) == whole
    if encoding == "gzip" and isinstance(whole, bytes):
        assert gzip.decompress(body) == whole


def _cut(body: bytes, steps: bytes) -> Iterator[bytes]:
    start = 0
    for step in cycle(steps):
        if start >= len(body):
            return
        yield body[start : start + step + 1]
        start += step + 1


def _inflated(encoding: str, arriving: Any) -> bytes | str:
    """The whole text, or in a word why there is none."""
    inflating, text = Inflater(encoding), bytearray()
    try:
        for piece in (piece for part in arriving for piece in inflating.feed(part)):
            assert len(piece) <= PIECE
            text += piece
            if len(text) > ENOUGH:
                return "enough"
    except zlib.error:
        return "broken"
    except TooManyStreamsError:
        return "streams"
    return bytes(text) if inflating.complete else "cut"
