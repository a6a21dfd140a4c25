"""The translation of aiohttp's exceptions, one by one, including those that a server cannot provoke at will."""

import errno
import socket
import ssl
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from chatloom_async import (
    AttemptTimeoutError,
    ConnectError,
    ConnectionLostError,
    ProtocolError,
    TLSError,
    TransportError,
)
from chatloom_async.transports.aiohttp.transport import transport_error

PLACE = ConnectionKey("api.example", 443, True, True, None, None, None, None)
ASKED = aiohttp.RequestInfo(
    URL("https://api.example/a?b=c"), "GET", CIMultiDictProxy(CIMultiDict({"X-API-Key": "clf_secret"})), URL()
)
WHERE = "https://api.example"


def os_error(number: int) -> OSError:
    """As the operating system raises it."""
    return OSError(number, "text of the operating system")


def connecting(problem: OSError, kind: Any = aiohttp.ClientConnectorError) -> Any:
    """What aiohttp makes of it while it connects."""
    return kind(PLACE, problem)


def unsent(error: type[TransportError], reason: str, text: str) -> TransportError:
    """Our error for a request that nobody can have seen."""
    return error(text, reason=reason, sent=False)


CASES: list[tuple[BaseException, TransportError | None]] = [
    (aiohttp.ConnectionTimeoutError(), unsent(AttemptTimeoutError, "connect", f"No connection to {WHERE} in time")),
    (TimeoutError(), AttemptTimeoutError(f"{WHERE} stopped sending for too long", reason="read")),
    (aiohttp.SocketTimeoutError(), AttemptTimeoutError(f"{WHERE} stopped sending for too long", reason="read")),
    (
        connecting(ssl.SSLCertVerificationError("no text"), aiohttp.ClientConnectorCertificateError),
        unsent(TLSError, "certificate", f"The certificate of {WHERE} was refused: certificate refused"),
    ),
    (
        connecting(ssl.SSLError(), aiohttp.ClientConnectorSSLError),
        unsent(TLSError, "tls", f"No TLS connection to {WHERE}: unknown"),
    ),
    (
        aiohttp.ClientHttpProxyError(ASKED, (), status=407),
        unsent(ConnectError, "proxy_auth", f"The proxy does not connect to {WHERE} (HTTP 407)"),
    ),
    (
        aiohttp.ClientHttpProxyError(ASKED, (), status=502),
        unsent(ConnectError, "proxy", f"The proxy does not connect to {WHERE} (HTTP 502)"),
    ),
    (
        connecting(socket.gaierror(socket.EAI_NONAME, "text"), aiohttp.ClientConnectorDNSError),
        unsent(ConnectError, "dns", f"The host of {WHERE} was not found"),
    ),
    *(
        (
            connecting(os_error(number), kind),
            unsent(
                ConnectError, "local", f"No socket for {WHERE}: this process has none left ({errno.errorcode[number]})"
            ),
        )
        for number in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL)
        for kind in (aiohttp.ClientConnectorError, aiohttp.ClientConnectorDNSError, aiohttp.ClientProxyConnectionError)
    ),
    (connecting(os_error(errno.ECONNREFUSED)), unsent(ConnectError, "refused", f"{WHERE} refused the connection")),
    *(
        (connecting(os_error(number)), unsent(ConnectError, "handshake", f"{WHERE} broke off the handshake ({name})"))
        for number, name in (
            (errno.ECONNRESET, "ECONNRESET"),
            (errno.ECONNABORTED, "ECONNABORTED"),
            (errno.EPIPE, "EPIPE"),
        )
    ),
    (
        connecting(os_error(errno.EHOSTUNREACH)),
        unsent(ConnectError, "unreachable", f"No connection to {WHERE} (EHOSTUNREACH)"),
    ),
    (
        connecting(os_error(errno.ETIMEDOUT)),
        unsent(ConnectError, "unreachable", f"No connection to {WHERE} (ETIMEDOUT)"),
    ),
    (connecting(OSError("no number")), unsent(ConnectError, "unreachable", f"No connection to {WHERE} (OSError)")),
    (
        aiohttp.ClientResponseError(ASKED, (), status=400, message="Set-Cookie: secret"),
        ProtocolError(f"The answer of {WHERE} is not valid HTTP", reason="invalid"),
    ),
    (
        aiohttp.ServerDisconnectedError("HTTP/1.1 200 Set-Cookie: secret"),
        ConnectionLostError(f"The connection to {WHERE} ended before an answer (closed)", reason="closed"),
    ),
    (
        aiohttp.ClientOSError(errno.ECONNRESET, "text"),
        ConnectionLostError(f"The connection to {WHERE} ended before an answer (ECONNRESET)", reason="reset"),
    ),
    (
        aiohttp.ClientConnectionResetError("text"),
        ConnectionLostError(
            f"The connection to {WHERE} ended before an answer (ClientConnectionResetError)", reason="reset"
        ),
    ),
    (
        aiohttp.ClientConnectionError("text"),
        ConnectionLostError(
            f"The connection to {WHERE} ended before an answer (ClientConnectionError)", reason="reset"
        ),
    ),
    (aiohttp.InvalidURL("a"), ProtocolError(f"The exchange with {WHERE} failed (InvalidURL)", reason="client")),
    (MemoryError(), None),
    (KeyboardInterrupt(), None),
    (RuntimeError("a mistake"), None),
]


@pytest.mark.parametrize(
    ("problem", "expected"), CASES, ids=[f"{n} {type(each).__name__}" for n, (each, _) in enumerate(CASES)]
)
def test_an_exception_of_aiohttp_becomes_ours(problem: BaseException, expected: TransportError | None) -> None:
    """Type, reason and text depend on the kind of failure only; nothing of aiohttp's own text is copied."""
    assert transport_error(problem, "https://user:secret@api.example/a?b=c", proxied=False) == expected


PROXY = PLACE._replace(host="proxy.example", port=3128)
THROUGH_A_PROXY = [
    (
        aiohttp.ClientProxyConnectionError(PROXY, os_error(errno.ECONNREFUSED)),
        unsent(ConnectError, "proxy", "No connection to the proxy (ECONNREFUSED)"),
    ),
    (
        aiohttp.ClientConnectorDNSError(PROXY, socket.gaierror(socket.EAI_NONAME, "text")),
        unsent(ConnectError, "proxy", "The host of the proxy was not found"),
    ),
    (
        aiohttp.ClientConnectorCertificateError(PROXY, ssl.SSLCertVerificationError("no text")),
        unsent(TLSError, "certificate", "The certificate of the proxy was refused: certificate refused"),
    ),
    (
        aiohttp.ClientConnectorCertificateError(PLACE, ssl.SSLCertVerificationError("no text")),
        unsent(TLSError, "certificate", f"The certificate of {WHERE} was refused: certificate refused"),
    ),
    (
        aiohttp.ClientConnectorSSLError(PROXY, ssl.SSLError()),
        unsent(TLSError, "tls", "No TLS connection to the proxy: unknown"),
    ),
    (
        connecting(os_error(errno.ECONNRESET)),
        unsent(ConnectError, "handshake", f"{WHERE} broke off the handshake (ECONNRESET)"),
    ),
]


@pytest.mark.parametrize(("problem", "expected"), THROUGH_A_PROXY, ids=[str(each) for _, each in THROUGH_A_PROXY])
def test_a_proxy_is_blamed_for_its_own_failures_only(problem: BaseException, expected: TransportError) -> None:
    """A failure of the proxy is not reported as one of the API, nor the other way round."""
    assert transport_error(problem, "https://api.example/a", proxied=True) == expected
