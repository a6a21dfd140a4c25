"""Turns aiohttp's exceptions into ours. Their texts are not copied: some hold headers of the request or the answer."""

import errno
from asyncio import IncompleteReadError

import aiohttp

from ..wire.base_url import origin
from ..wire.transport_errors import (
    AttemptTimeoutError,
    ConnectError,
    ConnectionLostError,
    PayloadError,
    ProtocolError,
    TLSError,
    TransportError,
)

NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
BROKEN_HANDSHAKE = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)


def transport_error(problem: BaseException, url: str) -> TransportError | None:
    """Our error for what aiohttp raised while it talked to `url`; None for what is no failure of the transport."""
    where = origin(url)
    match problem:
        case aiohttp.ConnectionTimeoutError():
            return AttemptTimeoutError(f"No connection to {where} in time", reason="connect", sent=False)
        case TimeoutError() | aiohttp.ServerTimeoutError():
            return AttemptTimeoutError(f"{where} stopped sending for too long", reason="read")
        case aiohttp.ClientHttpProxyError():
            reason = "proxy_auth" if problem.status == 407 else "proxy"
            return ConnectError(f"The proxy refused a connection to {where} (HTTP {problem.status})", reason=reason, sent=False)
        case aiohttp.ClientProxyConnectionError():
            return ConnectError(f"No connection to the proxy ({_name(problem.os_error)})", reason="proxy", sent=False)
        case aiohttp.ClientConnectorCertificateError():
            reason = getattr(problem.certificate_error, "verify_message", "") or "certificate refused"
            return TLSError(f"The certificate of {where} was refused: {reason}", reason="certificate", sent=False)
        case aiohttp.ClientConnectorSSLError():
            reason = getattr(problem.os_error, "reason", None) or "unknown"
            return TLSError(f"No TLS connection to {where}: {reason}", reason="tls", sent=False)
        case aiohttp.ClientConnectorDNSError():
            return ConnectError(f"The host of {where} was not found", reason="dns", sent=False)
        case aiohttp.ClientConnectorError():
            return _no_connection(problem.os_error, where)
        case aiohttp.ServerDisconnectedError():
            received = not isinstance(problem.message, str)
            return ConnectionLostError(f"{where} closed the connection without an answer", reason="closed", received=received)
        case aiohttp.ClientPayloadError():
            return _broken_body(problem, where)
        case aiohttp.ClientResponseError():
            return ProtocolError(f"The answer of {where} is not valid HTTP", reason=type(problem.__cause__ or problem).__name__)
        case aiohttp.ClientOSError() | ConnectionError() | IncompleteReadError():
            return ConnectionLostError(f"The connection to {where} broke ({_name(problem)})", reason="reset")
        case aiohttp.ClientError():
            return ProtocolError(f"The exchange with {where} failed ({type(problem).__name__})", reason="client")
    return None


def _no_connection(problem: OSError, where: str) -> ConnectError:
    if isinstance(problem, ConnectionRefusedError):
        return ConnectError(f"{where} refused the connection", reason="refused", sent=False)
    if isinstance(problem, BROKEN_HANDSHAKE):
        return ConnectError(f"{where} broke off the handshake ({_name(problem)})", reason="handshake", sent=False)
    if problem.errno in NO_DESCRIPTORS:
        return ConnectError(f"No socket for {where}: this process has none left ({_name(problem)})", reason="local", sent=False)
    return ConnectError(f"No connection to {where} ({_name(problem)})", reason="unreachable", sent=False)


def _broken_body(problem: aiohttp.ClientPayloadError, where: str) -> PayloadError:
    cause: BaseException | None = problem
    while cause is not None:
        if "ContentEncoding" in type(cause).__name__ or "ContentEncoding" in str(cause):
            return PayloadError(f"The body from {where} could not be decompressed", reason="encoding")
        cause = cause.__cause__
    return PayloadError(f"The body from {where} broke off", reason="cut")


def _name(problem: BaseException) -> str:
    code = getattr(problem, "errno", None)
    return errno.errorcode.get(code, type(problem).__name__) if isinstance(code, int) else type(problem).__name__
