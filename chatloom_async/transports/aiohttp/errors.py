"""Turns aiohttp's exceptions into ours. Their texts are not copied: some hold headers of the request or the answer."""

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from ...wire.base_url import origin
from ...wire.errors import (
    AttemptTimeoutError,
    ConnectError,
    ConnectionLostError,
    ProtocolError,
    TLSError,
    TransportError,
)
from ..system_errors import BROKEN_HANDSHAKE, NO_DESCRIPTORS, name_of


def transport_error(problem: BaseException, url: str) -> TransportError | None:
    """Our error for what aiohttp raised while it talked to `url`; None for what is no failure of the transport."""
    where = origin(url)
    match problem:
        case aiohttp.ConnectionTimeoutError():
            return AttemptTimeoutError(f"No connection to {where} in time", reason="connect", sent=False)
        case TimeoutError():
            return AttemptTimeoutError(f"{where} stopped sending for too long", reason="read")
        case aiohttp.ClientConnectorCertificateError():
            why = getattr(problem.certificate_error, "verify_message", "") or "certificate refused"
            return TLSError(f"The certificate of {where} was refused: {why}", reason="certificate", sent=False)
        case aiohttp.ClientConnectorSSLError():
            why = getattr(problem.os_error, "reason", "") or "unknown"
            return TLSError(f"No TLS connection to {where}: {why}", reason="tls", sent=False)
        case aiohttp.ClientHttpProxyError():
            reason = "proxy_auth" if problem.status == 407 else "proxy"
            return ConnectError(
                f"The proxy does not connect to {where} (HTTP {problem.status})", reason=reason, sent=False
            )
        case aiohttp.ClientConnectorError():
            return _no_connection(problem, where)
        case aiohttp.ClientResponseError() | HttpProcessingError():
            return ProtocolError(f"The answer of {where} is not valid HTTP", reason=_misread(problem))
        case aiohttp.ClientConnectionError():
            reason, how = (
                ("closed", "closed")
                if isinstance(problem, aiohttp.ServerDisconnectedError)
                else ("reset", name_of(problem))
            )
            begun = getattr(problem, "begun", False)
            when = "in the middle of" if begun else "before"
            return ConnectionLostError(
                f"The connection to {where} ended {when} an answer ({how})", reason=reason, received=begun
            )
        case aiohttp.ClientError():
            return ProtocolError(f"The exchange with {where} failed ({type(problem).__name__})", reason="client")
    return None


def _misread(problem: BaseException) -> str:
    """Whether the head went past aiohttp's limits, as it will again, or was garbled, as it may not be."""
    while problem.__cause__ is not None:
        problem = problem.__cause__
    too_large = isinstance(problem, LineTooLong) or "Too many headers" in str(problem)
    return "head_too_large" if too_large else "invalid"


def _no_connection(problem: aiohttp.ClientConnectorError, where: str) -> ConnectError:
    name = name_of(problem.os_error)
    if problem.os_error.errno in NO_DESCRIPTORS:
        return ConnectError(f"No socket for {where}: this process has none left ({name})", reason="local", sent=False)
    if isinstance(problem, aiohttp.ClientProxyConnectionError):
        return ConnectError(f"No connection to the proxy ({name})", reason="proxy", sent=False)
    if isinstance(problem, aiohttp.ClientConnectorDNSError):
        return ConnectError(f"The host of {where} was not found", reason="dns", sent=False)
    if isinstance(problem.os_error, ConnectionRefusedError):
        return ConnectError(f"{where} refused the connection", reason="refused", sent=False)
    if isinstance(problem.os_error, BROKEN_HANDSHAKE):
        return ConnectError(f"{where} broke off the handshake ({name})", reason="handshake", sent=False)
    return ConnectError(f"No connection to {where} ({name})", reason="unreachable", sent=False)
