"""The translation of httpx2's exceptions, including those that a server cannot provoke at will."""

import errno
import socket
import ssl
from typing import Any

import pytest

from chatloom_async import (
    AttemptTimeoutError,
    ConnectError,
    ConnectionLostError,
    PayloadError,
    ProtocolError,
    TLSError,
    TransportError,
)
from chatloom_async.transports.body import Body

httpx2: Any = pytest.importorskip("httpx2")

WHERE = "https://api.example"
URL = "https://user:secret@api.example/a?b=c"


def caused(problem: Exception, *causes: BaseException) -> Any:
    """With this chain of causes."""
    link: BaseException = problem
    for cause in causes:
        link.__cause__ = cause
        link = cause
    return problem


def connecting(*causes: BaseException) -> Any:
    """While it connects."""
    return caused(httpx2.ConnectError("text"), *causes)


def unsent(reason: str, text: str, error: type[TransportError] = ConnectError) -> TransportError:
    """Our error for a request that nobody can have seen."""
    return error(text, reason=reason, sent=False)


def os_error(number: int) -> OSError:
    """As the operating system raises it."""
    return OSError(number, "words")


BROKEN = ssl.SSLError()
BROKEN.reason = "WRONG_VERSION_NUMBER"
EVERY = ExceptionGroup("attempts", [os_error(errno.ENETUNREACH), os_error(errno.ECONNREFUSED)])
CASES: list[tuple[Any, TransportError]] = [
    (connecting(OSError("all"), EVERY), unsent("refused", f"{WHERE} refused the connection")),
    (connecting(socket.gaierror(-2, "words")), unsent("dns", f"The host of {WHERE} was not found")),
    (
        connecting(os_error(errno.EMFILE)),
        unsent("local", f"No socket for {WHERE}: this process has none left (EMFILE)"),
    ),
    (connecting(os_error(errno.ECONNRESET)), unsent("handshake", f"{WHERE} broke off the handshake (ECONNRESET)")),
    (
        connecting(os_error(errno.ECONNRESET), ssl.SSLWantReadError()),
        unsent("handshake", f"{WHERE} broke off the handshake (ECONNRESET)"),
    ),
    (connecting(ssl.SSLEOFError()), unsent("handshake", f"{WHERE} broke off the handshake (SSLEOFError)")),
    (connecting(), unsent("handshake", f"{WHERE} broke off the handshake (ConnectError)")),
    (connecting(os_error(errno.EHOSTUNREACH)), unsent("unreachable", f"No connection to {WHERE} (EHOSTUNREACH)")),
    (
        connecting(ssl.SSLCertVerificationError("words")),
        unsent("certificate", f"The certificate of {WHERE} was refused: certificate refused", TLSError),
    ),
    (connecting(BROKEN), unsent("tls", f"No TLS connection to {WHERE}: WRONG_VERSION_NUMBER", TLSError)),
    (
        httpx2.ProxyError("407 Words"),
        unsent("proxy_auth", f"The proxy does not connect to {WHERE} (HTTP 407)"),
    ),
    (httpx2.ProxyError("502 Words"), unsent("proxy", f"The proxy does not connect to {WHERE} (HTTP 502)")),
    (
        httpx2.ConnectTimeout("text"),
        unsent("connect", f"No connection to {WHERE} in time", AttemptTimeoutError),
    ),
    (httpx2.WriteTimeout("text"), AttemptTimeoutError(f"{WHERE} stopped sending for too long", reason="read")),
    (
        httpx2.RemoteProtocolError("illegal words"),
        ProtocolError(f"The answer of {WHERE} is not valid HTTP", reason="invalid"),
    ),
    (
        httpx2.RemoteProtocolError("Receive buffer too long"),
        ProtocolError(f"The answer of {WHERE} is not valid HTTP", reason="head_too_large"),
    ),
    (
        httpx2.RemoteProtocolError("<ConnectionTerminated error_code:0>"),
        ConnectionLostError(f"The connection to {WHERE} ended before an answer (closed)", reason="closed"),
    ),
    (
        caused(httpx2.ReadError("text"), os_error(errno.EPIPE)),
        ConnectionLostError(f"The connection to {WHERE} ended before an answer (EPIPE)", reason="reset"),
    ),
    (
        httpx2.ReadError("text"),
        ConnectionLostError(f"The connection to {WHERE} ended before an answer (reset)", reason="reset"),
    ),
    (
        httpx2.UnsupportedProtocol("text"),
        ProtocolError(f"The exchange with {WHERE} failed (UnsupportedProtocol)", reason="client"),
    ),
]


@pytest.mark.parametrize(("problem", "expected"), CASES, ids=[str(each[1]) for each in CASES])
def test_an_exception_of_httpx2_becomes_ours(problem: Any, expected: TransportError) -> None:
    """Type, reason and text depend on the kind of failure only; nothing of httpx2's own text is copied."""
    from chatloom_async.transports.httpx2 import transport_error

    assert transport_error(problem, URL, proxied=False) == expected


def test_a_proxy_that_is_not_there_is_named_as_the_proxy() -> None:
    """The same failure without a proxy is the server's."""
    from chatloom_async.transports.httpx2 import transport_error

    expected = unsent("proxy", "No connection to the proxy (ECONNREFUSED)")
    assert transport_error(connecting(os_error(errno.ECONNREFUSED)), URL, proxied=True) == expected


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (httpx2.ReadTimeout("text"), AttemptTimeoutError(f"{WHERE} stopped sending for too long", reason="read")),
        (httpx2.RemoteProtocolError("words"), ProtocolError("The body is not valid HTTP", reason="invalid")),
        (
            httpx2.RemoteProtocolError("peer closed connection without sending complete message body"),
            PayloadError("The body broke off", reason="cut", received=2, expected=9),
        ),
        (httpx2.ReadError("text"), PayloadError("The body broke off", reason="cut", received=2, expected=9)),
    ],
)
async def test_what_ends_a_body_is_told_with_what_has_come(problem: Any, expected: TransportError) -> None:
    """Of nine bytes, two."""
    from chatloom_async.transports.httpx2 import body_error

    body = Body(None, "9", 100)
    await body.add(b"[]")
    assert body_error(problem, URL, body) == expected
