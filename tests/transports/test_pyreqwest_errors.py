"""The translation of pyreqwest's exceptions, including those that a server cannot provoke at will."""

from typing import Any

import pytest

from chatloom_async import (
    AttemptTimeoutError,
    ClientClosedError,
    ConnectError,
    ConnectionLostError,
    PayloadError,
    ProtocolError,
    TLSError,
    TransportError,
)
from chatloom_async.transports.body import Body

foreign: Any = pytest.importorskip("pyreqwest.exceptions")

WHERE = "https://api.example"
URL = "https://user:secret@api.example/a?b=c"
SENDING, CONNECTING = f"error sending request for url ({URL})", "client error (Connect)"


def raised(kind: Any, *causes: str) -> Any:
    """As pyreqwest raises it."""
    return kind("text", {"causes": [{"message": each} for each in (SENDING, *causes)]})


def connecting(*causes: str, kind: Any = None) -> Any:
    """While it connects."""
    return raised(kind or foreign.ConnectError, CONNECTING, *causes)


def unsent(reason: str, text: str, error: type[TransportError] = ConnectError) -> TransportError:
    """Our error for a request that nobody can have seen."""
    return error(text, reason=reason, sent=False)


def refused(number: int) -> str:
    """The operating system's words, and the number by which it is known."""
    return f"Some words (os error {number})"


NO_PROXY = "tunnel error: failed to create underlying connection"
CASES: list[tuple[Any, TransportError]] = [
    (connecting(refused(111)), unsent("refused", f"{WHERE} refused the connection")),
    (connecting("dns error", "failed to lookup"), unsent("dns", f"The host of {WHERE} was not found")),
    (connecting(refused(24)), unsent("local", f"No socket for {WHERE}: this process has none left (EMFILE)")),
    (connecting(refused(104)), unsent("handshake", f"{WHERE} broke off the handshake (ECONNRESET)")),
    (connecting("tls handshake eof"), unsent("handshake", f"{WHERE} broke off the handshake (unknown)")),
    (connecting(refused(113)), unsent("unreachable", f"No connection to {WHERE} (EHOSTUNREACH)")),
    (connecting("words"), unsent("unreachable", f"No connection to {WHERE} (unknown)")),
    (
        connecting("invalid peer certificate: Expired", "more"),
        unsent("certificate", f"The certificate of {WHERE} was refused: Expired", TLSError),
    ),
    (
        connecting("received fatal alert: ProtocolVersion"),
        unsent("tls", f"No TLS connection to {WHERE}: received fatal alert: ProtocolVersion", TLSError),
    ),
    (
        connecting("tunnel error: proxy authorization required"),
        unsent("proxy_auth", f"The proxy does not connect to {WHERE} (HTTP 407)"),
    ),
    (connecting("tunnel error: unsuccessful"), unsent("proxy", f"The proxy does not connect to {WHERE}")),
    (
        connecting(kind=foreign.ConnectTimeoutError),
        unsent("connect", f"No connection to {WHERE} in time", AttemptTimeoutError),
    ),
    (
        raised(foreign.ConnectTimeoutError, "operation timed out"),
        AttemptTimeoutError(f"{WHERE} stopped sending for too long", reason="read"),
    ),
    (
        raised(foreign.DecodeError, "invalid HTTP version parsed"),
        ProtocolError(f"The answer of {WHERE} is not valid HTTP", reason="invalid"),
    ),
    (
        raised(foreign.DecodeError, "message head is too large"),
        ProtocolError(f"The answer of {WHERE} is not valid HTTP", reason="head_too_large"),
    ),
    (
        raised(foreign.ConnectError, "connection closed before message completed"),
        ConnectionLostError(f"The connection to {WHERE} ended before an answer (closed)", reason="closed"),
    ),
    (
        raised(foreign.ReadError, refused(32)),
        ConnectionLostError(f"The connection to {WHERE} ended before an answer (EPIPE)", reason="reset"),
    ),
    (
        raised(foreign.BuilderError, "No CA certificates were loaded"),
        unsent("local", f"No connection to {WHERE} could be set up: No CA certificates were loaded"),
    ),
    (
        foreign.RequestPanicError("text", {"causes": None}),
        ProtocolError(f"The exchange with {WHERE} failed (RequestPanicError)", reason="client"),
    ),
]


@pytest.mark.parametrize(("problem", "expected"), CASES, ids=[str(each[1]) for each in CASES])
def test_an_exception_of_pyreqwest_becomes_ours(problem: Any, expected: TransportError) -> None:
    """Type, reason and text depend on the kind of failure only; the URL's user and path are not in it."""
    from chatloom_async.transports.pyreqwest_errors import transport_error

    assert transport_error(problem, URL, proxied=False) == expected


def test_a_proxy_that_is_not_there_is_named_as_the_proxy() -> None:
    """The same failure without a proxy is the server's."""
    from chatloom_async.transports.pyreqwest_errors import transport_error

    problem = connecting(NO_PROXY, "tcp connect error", refused(111))
    expected = unsent("proxy", "No connection to the proxy (ECONNREFUSED)")
    assert transport_error(problem, URL, proxied=True) == expected


def test_a_client_that_was_closed_is_no_failure_of_the_server() -> None:
    """It is raised, not returned."""
    from chatloom_async.transports.pyreqwest_errors import transport_error

    with pytest.raises(ClientClosedError, match="while this request was under way"):
        transport_error(raised(foreign.ClientClosedError), URL, proxied=False)


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (
            raised(foreign.ReadTimeoutError),
            AttemptTimeoutError(f"{WHERE} stopped sending for too long", reason="read"),
        ),
        (
            raised(foreign.RequestError, "Invalid chunk size line: missing size digit"),
            ProtocolError("The body is not valid HTTP", reason="invalid"),
        ),
        (
            raised(foreign.RequestError, "end of file before message length reached"),
            PayloadError("The body broke off", reason="cut", received=2, expected=9),
        ),
        (foreign.PyreqwestError("text"), PayloadError("The body broke off", reason="cut", received=2, expected=9)),
    ],
)
async def test_what_ends_a_body_is_told_with_what_has_come(problem: Any, expected: TransportError) -> None:
    """Of nine bytes, two."""
    from chatloom_async.transports.pyreqwest_errors import body_error

    body = Body(None, "9", 100)
    await body.add(b"[]")
    assert body_error(problem, URL, body) == expected
