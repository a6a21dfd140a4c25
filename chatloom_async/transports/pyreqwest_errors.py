"""Turns pyreqwest's exceptions into ours. What went wrong is told by the texts of their causes, which are those of
reqwest, hyper and rustls; they are looked at, and not copied, except for why a certificate was refused."""

import errno
import re

from pyreqwest import exceptions as foreign

from ..wire.base_url import origin
from ..wire.errors import ClientClosedError
from ..wire.transport_errors import (
    AttemptTimeoutError,
    ConnectError,
    ConnectionLostError,
    ProtocolError,
    TLSError,
    TransportError,
)
from .body import Body
from .system_errors import NO_DESCRIPTORS

BROKEN_HANDSHAKE = frozenset({errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE})
CERTIFICATE, TUNNEL, TOO_LARGE = "invalid peer certificate: ", "tunnel error: ", "message head is too large"
TLS = re.compile(
    r"received (corrupt|fatal|unexpected)|peer (is|sent|misbehaved)|cannot decrypt|no application protocol"
)
OS_ERROR = re.compile(r"\(os error (\d+)\)\Z")


def transport_error(problem: foreign.PyreqwestError, url: str, *, proxied: bool) -> TransportError:
    """Our error for what pyreqwest raised before the head of an answer from `url` was complete."""
    causes = _causes(problem)
    where, last, number = origin(url), causes[-1] if causes else "", _os_error(causes)
    connecting = "client error (Connect)" in causes
    match problem:
        case foreign.ClientClosedError():
            raise ClientClosedError("The transport was closed while this request was under way") from None
        case foreign.BuilderError():
            return ConnectError(f"No connection to {where} could be set up: {last}", reason="local", sent=False)
        case foreign.RequestTimeoutError() if connecting:
            return AttemptTimeoutError(f"No connection to {where} in time", reason="connect", sent=False)
        case foreign.RequestTimeoutError():
            return AttemptTimeoutError(f"{where} stopped sending for too long", reason="read")
        case foreign.DecodeError():
            reason = "head_too_large" if last == TOO_LARGE else "invalid"
            return ProtocolError(f"The answer of {where} is not valid HTTP", reason=reason)
        case foreign.NetworkError() if connecting:
            return _no_connection(causes, where, number, proxied=proxied)
        case foreign.NetworkError():
            reason, how = ("reset", errno.errorcode.get(number, "reset")) if number else ("closed", "closed")
            return ConnectionLostError(f"The connection to {where} ended before an answer ({how})", reason=reason)
    return ProtocolError(f"The exchange with {where} failed ({type(problem).__name__})", reason="client")


def body_error(problem: foreign.PyreqwestError, url: str, body: Body) -> TransportError:
    """Our error for what pyreqwest raised while the body was read, which holds what has come so far."""
    if isinstance(problem, foreign.RequestTimeoutError | foreign.ClientClosedError):
        return transport_error(problem, url, proxied=False)
    if any(cause.startswith("Invalid chunk") for cause in _causes(problem)):
        return ProtocolError("The body is not valid HTTP", reason="invalid")
    return body.broken()


def _no_connection(causes: list[str], where: str, number: int, *, proxied: bool) -> TransportError:
    name = errno.errorcode.get(number, "unknown")
    refused = next((cause for cause in causes if cause.startswith(CERTIFICATE)), "")
    if refused:
        why = refused.removeprefix(CERTIFICATE)
        return TLSError(f"The certificate of {where} was refused: {why}", reason="certificate", sent=False)
    if number in NO_DESCRIPTORS:
        return ConnectError(f"No socket for {where}: this process has none left ({name})", reason="local", sent=False)
    if any(cause == f"{TUNNEL}proxy authorization required" for cause in causes):
        return ConnectError(f"The proxy does not connect to {where} (HTTP 407)", reason="proxy_auth", sent=False)
    if any(cause == f"{TUNNEL}unsuccessful" for cause in causes):
        return ConnectError(f"The proxy does not connect to {where}", reason="proxy", sent=False)
    if proxied and "tcp connect error" in causes:
        return ConnectError(f"No connection to the proxy ({name})", reason="proxy", sent=False)
    if "dns error" in causes:
        return ConnectError(f"The host of {where} was not found", reason="dns", sent=False)
    if number == errno.ECONNREFUSED:
        return ConnectError(f"{where} refused the connection", reason="refused", sent=False)
    if number in BROKEN_HANDSHAKE or "tls handshake eof" in causes:
        return ConnectError(f"{where} broke off the handshake ({name})", reason="handshake", sent=False)
    if TLS.match(causes[-1]):
        return TLSError(f"No TLS connection to {where}: {causes[-1]}", reason="tls", sent=False)
    return ConnectError(f"No connection to {where} ({name})", reason="unreachable", sent=False)


def _causes(problem: foreign.PyreqwestError) -> list[str]:
    """The texts from the outermost to the innermost cause."""
    details = getattr(problem, "details", {})
    return [cause["message"] for cause in details.get("causes") or ()]


def _os_error(causes: list[str]) -> int:
    found = OS_ERROR.search(causes[-1]) if causes else None
    return int(found[1]) if found else 0
