"""Turns a request into pyreqwest's, and the headers of its answer back. Sends and reads nothing."""

from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any

from pyreqwest.client import Client
from pyreqwest.http import HeaderMap, Url
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response as Answer

from ..wire.message import Headers, Request
from .keys import key_of


@lru_cache(maxsize=1024)
def _urls(text: str, key: int | None) -> tuple[Url, Url]:
    """The URL, and the URL with what tells the keys apart as its user.

    reqwest keeps connections by scheme, user, host and port. The user of a URL that is given to a finished request
    is in none of its headers, and is not sent.
    """
    return Url(text), Url(text if key is None else text.replace("://", f"://{key:x}@", 1))


def prepared(headers: Headers) -> tuple[int, HeaderMap]:
    """What tells the keys apart, and the headers as pyreqwest likes them, with values that its reprs do not show."""
    fields: Any = headers.pairs  # of a request, so they are text
    prepared = HeaderMap()
    for name, value in fields:
        prepared.append(name, value, is_sensitive=True)
    return key_of(headers), prepared


def build_request(request: Request, headers: HeaderMap, client: Client, key: int | None) -> StreamRequest:
    """The request, nothing of whose answer is read before it is asked for: else a broken body would hide its head."""
    plain, keyed = _urls(request.url, key)
    made = client.request(request.method, plain).headers(headers).streamed_read_buffer_limit(0)
    built = (made if request.body is None else made.body_bytes(request.body)).build_streamed()
    built.url = keyed
    return built


def fields_of(answer: Answer) -> tuple[tuple[str, str], ...]:
    """The headers of an answer, without those that pyreqwest cannot read, which are not ASCII; none is an error."""
    try:
        return tuple(answer.headers.items())
    except ValueError:
        answer.headers = fields = tuple(_readable(answer.headers))
        return fields


def _readable(headers: HeaderMap) -> Iterator[tuple[str, str]]:
    for name in dict.fromkeys(headers):
        with suppress(ValueError):
            yield from [(name, value) for value in headers.getall(name)]
