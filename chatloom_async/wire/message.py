"""The values that a transport takes and returns: requests, responses, headers and timeouts.

None of them shows a key: a header's value is displayed only if its name is on the list below.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, NoReturn, TypeVar

from attrs import field, frozen

from .cleaning import clean
from .errors import Attempt, UsageError
from .validation import LIMIT, none_if_infinite

T_co = TypeVar("T_co", covariant=True)

SHOWN = frozenset(
    {"accept", "accept-encoding", "age", "cache-status", "content-type", "content-length"}
    | {"date", "retry-after", "user-agent"}
)


class Headers(Mapping[str, str]):
    """An immutable, case-insensitive mapping of header names to values.

    Repeated names are joined by ", " (RFC 9110, section 5.3). Raw byte pairs are accepted. They are decoded as Latin-1
    on first access, so unused headers cost nothing.

        print(Headers({"Retry-After": "7"})["retry-after"])  # 7
    """

    __slots__ = ("_known", "_pairs", "prepared")
    _known: dict[str, tuple[str, str]] | None
    prepared: Any
    """Room for a transport's own form of these headers, so that it makes it once, not for each request."""

    def __init__(self, pairs: Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]] = ()) -> None:
        raw = type(pairs) is tuple  # the usual case, checked first: isinstance(..., Mapping) is slow
        fields: Any = pairs.items() if not raw and isinstance(pairs, Mapping) else pairs
        self._pairs: tuple[tuple[str | bytes, str | bytes], ...] = tuple(fields)
        self._known = self.prepared = None

    @property
    def pairs(self) -> tuple[tuple[str | bytes, str | bytes], ...]:
        """The original fields, in order."""
        return self._pairs

    def _values(self) -> dict[str, tuple[str, str]]:
        if self._known is None:
            known: dict[str, tuple[str, str]] = {}
            for raw_name, raw_value in self._pairs:
                name = raw_name.decode("latin-1") if isinstance(raw_name, bytes) else raw_name
                value = raw_value.decode("latin-1") if isinstance(raw_value, bytes) else raw_value
                if earlier := known.get(name.lower()):
                    name, value = earlier[0], f"{earlier[1]}, {value}"
                known[name.lower()] = (name, value)
            self._known = known
        return self._known

    def __getitem__(self, name: str) -> str:
        return self._values()[name.lower()][1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._values().values())

    def __len__(self) -> int:
        return len(self._values())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Headers):
            return {k: v for k, (_, v) in self._values().items()} == {k: v for k, (_, v) in other._values().items()}
        return self == Headers(other) if isinstance(other, Mapping) else NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset((k, v) for k, (_, v) in self._values().items()))

    def __repr__(self) -> str:
        shown = (f"{n!r}: {clean(v) if n.lower() in SHOWN else '***'!r}" for n, v in self.items())
        return f"Headers({{{', '.join(shown)}}})"

    def __reduce__(self) -> tuple[Any, ...]:
        if "authorization" in self or "x-api-key" in self:
            raise TypeError("Headers that hold an API key cannot be pickled or copied.")
        return Headers, (dict(self),)


def _headers(value: Mapping[str, str]) -> Headers:
    if type(value) is Headers:
        return value
    try:
        headers = Headers(value)
        parts: list[object] = [part for name, text in headers.pairs for part in (name, text)]
    except (TypeError, ValueError):
        wanted = """write {} for none, or names and values such as {"Retry-After": "7"}"""
        raise UsageError(f"Headers cannot be made of this {type(value).__name__}: {wanted}") from None
    for odd in {type(part).__name__ for part in parts if not isinstance(part, (str, bytes))}:
        raise UsageError(f"Headers have names and values of text, not of the type {odd}: write them as strings")
    return headers


def _response(response: "Response", _: object, body: object) -> None:
    status: object = response.status
    if not isinstance(status, int):
        kind = type(status).__name__
        raise UsageError(f"A Response has a status such as 200, not of the type {kind}: write a number")
    if not isinstance(body, bytes):
        wanted = "write text.encode()" if isinstance(body, str) else 'write b"" for none, or orjson.dumps(value)'
        raise UsageError(f"A Response has a body of bytes, not of the type {type(body).__name__}: {wanted}")


def _limit(default: float | None) -> Any:
    return field(default=default, converter=none_if_infinite, validator=LIMIT)


@frozen(kw_only=True)
class Timeouts:
    """How long one attempt may take, in seconds; `None` lifts a limit. Raises ConfigurationError.

    `connect`: until a connection is open, including name resolution and TLS. `read`: between two pieces of the answer.
    `attempt`: the whole attempt, from the first byte sent to the last one received.

        chatloom = AsyncChatloom(timeouts=Timeouts(connect=2.0, read=5.0, attempt=8.0))
    """

    connect: float | None = _limit(5.0)
    read: float | None = _limit(10.0)
    attempt: float | None = _limit(15.0)


DEFAULT_TIMEOUTS = Timeouts()


@frozen(repr=False, slots=False)  # every call makes two: without slots that takes half of the time
class Request:
    """One HTTP request for a `Transport`. Comparisons ignore `timeouts`.

    Its repr masks the key:

        print(Request("GET", "https://chatloom.app/x", {"X-API-Key": "clf_1"}).headers)  # Headers({'X-API-Key': '***'})
    """

    method: str
    url: str
    headers: Headers = field(factory=Headers, converter=_headers)
    body: bytes | None = None
    timeouts: Timeouts = field(default=DEFAULT_TIMEOUTS, kw_only=True, eq=False)

    def __repr__(self) -> str:
        body = "None" if self.body is None else f"<{len(self.body)} bytes>"
        return f"Request({self.method!r}, {self.url!r}, {self.headers!r}, body={body})"

    def __getstate__(self) -> NoReturn:
        raise TypeError("A Request cannot be pickled or copied, because its headers may hold an API key.")


@frozen(repr=False)
class Response:
    """One HTTP response with its whole body, decompressed. The repr shows the body's size, never its text.

        print(Response(200, body=b'{"count": 0}'))  # Response(200, Headers({}), body=<12 bytes>)

    Raises UsageError for a status that is not a number, a body that is not bytes, and headers that are not text.
    """

    status: int
    headers: Headers = field(factory=Headers, converter=_headers)
    body: bytes = field(default=b"", validator=_response)

    def __repr__(self) -> str:
        return f"Response({self.status}, {self.headers!r}, body=<{len(self.body)} bytes>)"

    def __rich_repr__(self) -> Iterator[object]:
        yield from (self.status, self.headers, f"<{len(self.body)} bytes>")


@frozen(slots=False)  # every call makes one: without slots that takes 0.8 of the time
class Exchange(Generic[T_co]):
    """A finished call, as `exchange` returns it.

    The decoded `value`, the `response` that it came in, every attempt, and the seconds in all:

        exchange = await chatloom.exchange(ListAgents())
        print(exchange.value.count, exchange.response.status, len(exchange.attempts), exchange.elapsed)
    """

    value: T_co
    response: Response
    attempts: tuple[Attempt, ...]
    elapsed: float
