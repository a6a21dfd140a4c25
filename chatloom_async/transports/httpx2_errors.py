"""Turns httpx2's exceptions into ours. Their texts are not copied: some hold what a server has sent."""

import ssl
from collections.abc import Iterator
from socket import gaierror

import httpx2

from ..wire.base_url import origin
from ..wire.errors import (
    AttemptTimeoutError,
    ConnectError,
    ConnectionLostError,
    ProtocolError,
    TLSError,
    TransportError,
)
from .body import Body
from .system_errors import BROKEN_HANDSHAKE, NO_DESCRIPTORS, name_of

NO_ANSWER = ("Server disconnected", "Connection closed", "ConnectionTerminated")  # HTTP/1.1, and two of HTTP/2
UNFINISHED = (ssl.SSLWantReadError, ssl.SSLWantWriteError)  # what a handshake was about when it was broken off
TOO_LARGE = "Receive buffer too long"
CUT = "peer closed connection"


def transport_error(problem: httpx2.TransportError, url: str, *, proxied: bool) -> TransportError:
    """Our error for what httpx2 raised before the head of an answer from `url` was complete."""
    where, text = origin(url), str(problem)
    match problem:
        case httpx2.ConnectTimeout():
            return AttemptTimeoutError(f"No connection to {where} in time", reason="connect", sent=False)
        case httpx2.TimeoutException():
            return AttemptTimeoutError(f"{where} stopped sending for too long", reason="read")
        case httpx2.ProxyError():
            reason = "proxy_auth" if text.startswith("407") else "proxy"
            return ConnectError(f"The proxy does not connect to {where} (HTTP {text[:3]})", reason=reason, sent=False)
        case httpx2.ConnectError():
            return _no_connection(problem, where, proxied=proxied)
        case httpx2.NetworkError():
            how = next((name_of(each) for each in _chain(problem) if isinstance(each, OSError)), "reset")
            return ConnectionLostError(f"The connection to {where} ended before an answer ({how})", reason="reset")
        case httpx2.RemoteProtocolError() if text.lstrip("<").startswith(NO_ANSWER):
            return ConnectionLostError(f"The connection to {where} ended before an answer (closed)", reason="closed")
        case httpx2.RemoteProtocolError():
            reason = "head_too_large" if text == TOO_LARGE else "invalid"
            return ProtocolError(f"The answer of {where} is not valid HTTP", reason=reason)
    return ProtocolError(f"The exchange with {where} failed ({type(problem).__name__})", reason="client")


def body_error(problem: httpx2.TransportError, url: str, body: Body) -> TransportError:
    """Our error for what httpx2 raised while the body was read, which holds what has come so far."""
    if isinstance(problem, httpx2.TimeoutException):
        return transport_error(problem, url, proxied=False)
    if isinstance(problem, httpx2.RemoteProtocolError) and not str(problem).startswith((CUT, "<ConnectionTerminated")):
        return ProtocolError("The body is not valid HTTP", reason="invalid")
    return body.broken()


def _no_connection(problem: httpx2.ConnectError, where: str, *, proxied: bool) -> TransportError:
    causes = [each for each in _chain(problem) if isinstance(each, OSError) and not isinstance(each, UNFINISHED)]
    cause = causes[-1] if causes else None  # anyio wraps the others into one that says nothing
    name = name_of(cause or problem)
    match cause:
        case ssl.SSLCertVerificationError():
            why = getattr(cause, "verify_message", "") or "certificate refused"
            return TLSError(f"The certificate of {where} was refused: {why}", reason="certificate", sent=False)
        case ssl.SSLError() if not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return TLSError(f"No TLS connection to {where}: {cause.reason or 'unknown'}", reason="tls", sent=False)
        case OSError(errno=number) if number in NO_DESCRIPTORS:
            text = f"No socket for {where}: this process has none left ({name})"
            return ConnectError(text, reason="local", sent=False)
    if proxied and not isinstance(cause, BROKEN_HANDSHAKE):
        return ConnectError(f"No connection to the proxy ({name})", reason="proxy", sent=False)
    if isinstance(cause, gaierror):
        return ConnectError(f"The host of {where} was not found", reason="dns", sent=False)
    if isinstance(cause, ConnectionRefusedError):
        return ConnectError(f"{where} refused the connection", reason="refused", sent=False)
    if cause is None or isinstance(cause, (*BROKEN_HANDSHAKE, ssl.SSLError)):
        return ConnectError(f"{where} broke off the handshake ({name})", reason="handshake", sent=False)
    return ConnectError(f"No connection to {where} ({name})", reason="unreachable", sent=False)


def _chain(problem: BaseException) -> Iterator[BaseException]:
    """The exception and what led to it; of a group, what its last member tells."""
    link: BaseException | None = problem
    while link is not None:
        yield link
        link = link.exceptions[-1] if isinstance(link, BaseExceptionGroup) else link.__cause__ or link.__context__
