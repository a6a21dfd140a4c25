"""The errors for failed requests: one function for each kind of failure, used by every transport.

The texts of a library's exceptions are never copied: some hold headers of the request or of the answer.
"""

import errno
import ssl
from socket import gaierror

from ..wire.errors import (
    AttemptTimeoutError,
    ConnectError,
    ConnectionLostError,
    ProtocolError,
    TLSError,
    TransportError,
)

LOCAL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
"""This machine or process has no descriptor, buffer or port left. The server is not to blame."""

BROKEN_HANDSHAKE = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)
TLS_ENDED = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
PROXY = "the proxy"


def name_of(problem: BaseException) -> str:
    """The operating system's name for the error, such as ECONNRESET, else the class's name."""
    return errno.errorcode.get(getattr(problem, "errno", None) or 0, type(problem).__name__)


def connect_timeout(where: str) -> TransportError:
    """`Timeouts.connect` has run out."""
    return AttemptTimeoutError(f"No connection to {where} in time", reason="connect", sent=False)


def read_timeout(where: str) -> TransportError:
    """`Timeouts.read` has run out."""
    return AttemptTimeoutError(f"{where} stopped sending for too long", reason="read")


def proxy_refused(where: str, status: str) -> TransportError:
    """The proxy answered the request for a tunnel with this status."""
    reason = "proxy_auth" if status == "407" else "proxy"
    return ConnectError(f"The proxy does not connect to {where} (HTTP {status})", reason=reason, sent=False)


def connection_lost(where: str, how: str, *, begun: bool = False) -> TransportError:
    """The connection ended before the head of the answer was complete; `how` is "closed" or an error's name."""
    reason, when = "closed" if how == "closed" else "reset", "in the middle of" if begun else "before"
    return ConnectionLostError(
        f"The connection to {where} ended {when} an answer ({how})", reason=reason, received=begun
    )


def invalid_answer(where: str, *, too_large: bool) -> TransportError:
    """The head of the answer exceeds the library's limits, or is not HTTP."""
    reason = "head_too_large" if too_large else "invalid"
    return ProtocolError(f"The answer of {where} is not valid HTTP", reason=reason)


def too_many_interim(where: str, most: int) -> TransportError:
    """The server sends interim answers, such as 100 Continue, and no answer."""
    return ProtocolError(f"{where} sent more than {most} interim answers (1xx)", reason="invalid")


def invalid_body() -> TransportError:
    """The body's framing is broken, such as the length of a chunk."""
    return ProtocolError("The body is not valid HTTP", reason="invalid")


def exchange_failed(where: str, problem: BaseException) -> TransportError:
    """Any other exception of the library."""
    return ProtocolError(f"The exchange with {where} failed ({type(problem).__name__})", reason="client")


def no_turn(where: str) -> TransportError:
    """All the connections that may be open were in use for too long."""
    text = f"No socket for {where}: this process has too many open already"
    return ConnectError(text, reason="local", sent=False)


def no_connection(cause: BaseException | None, where: str, *, at_proxy: bool, name: str = "") -> TransportError:
    """No connection, because of `cause`. `at_proxy`: the proxy could not be reached.

    `name` is shown if there is no cause.
    """
    name, peer = name_of(cause) if cause else name, PROXY if at_proxy else where
    match cause:
        case ssl.SSLCertVerificationError():
            why = getattr(cause, "verify_message", "") or "certificate refused"
            return TLSError(f"The certificate of {peer} was refused: {why}", reason="certificate", sent=False)
        case ssl.SSLError() if not isinstance(cause, TLS_ENDED):
            why = getattr(cause, "reason", "") or "unknown"
            return TLSError(f"No TLS connection to {peer}: {why}", reason="tls", sent=False)
        case OSError(errno=number) if number in LOCAL:
            text, reason = f"No socket for {where}: this process has none left ({name})", "local"
        case gaierror() if at_proxy:
            text, reason = "The host of the proxy was not found", "proxy"
        case _ if at_proxy:
            text, reason = f"No connection to the proxy ({name})", "proxy"
        case gaierror():
            text, reason = f"The host of {where} was not found", "dns"
        case ConnectionRefusedError():
            text, reason = f"{where} refused the connection", "refused"
        case None | ssl.SSLError() | ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError():
            text, reason = f"{where} broke off the handshake ({name})", "handshake"
        case _:
            text, reason = f"No connection to {where} ({name})", "unreachable"
    return ConnectError(text, reason=reason, sent=False)
