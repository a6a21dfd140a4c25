"""Failures between this process and the API: no usable answer came back.

`sent` tells whether the server may have seen the request: only then can a repeat do it twice.
"""

from typing import ClassVar

from attrs import field, frozen

from .cleaning import clean
from .errors import ChatloomError, Kind

PAYLOAD_KINDS: dict[str, Kind] = {"encoding": "once", "unasked": "permanent"}


@frozen(slots=False, eq=False, repr=False, str=False)
class TransportError(ChatloomError):
    """No usable answer. `reason` narrows it down in one word; `sent` is False if the server cannot have seen it.

    What was not sent can be repeated without a second thought:

        error = ConnectError("Nobody listens", reason="refused", sent=False)
        print(isinstance(error, TransportError), error.sent)  # True False
    """

    kind: ClassVar[Kind] = "transient"
    hint: ClassVar[str] = "Check the network between this machine and the API."

    reason: str = field(default="", kw_only=True)
    sent: bool = field(default=True, kw_only=True)


class ConnectError(TransportError):
    """No connection. `reason`: refused, dns, unreachable, handshake, proxy, proxy_auth, local (no descriptors left).

    All of them are tried again, but for the one that a repeat cannot cure:

        print(ConnectError("Who are you?", reason="proxy_auth").retryable)  # False
    """

    hint = "Check base_url, name resolution, the proxy and the firewall."

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        return "permanent" if self.reason == "proxy_auth" else "transient"


class TLSError(TransportError):
    """The server's certificate or TLS set-up was refused. Never retried.

    It would be the same certificate next time:

        print(TLSError("The certificate has expired", sent=False).retryable)  # False
    """

    kind: ClassVar[Kind] = "permanent"
    hint = "Check base_url, the clock and the CA certificates; pass ssl= to AiohttpTransport for a private CA."


class AttemptTimeoutError(TransportError, TimeoutError):
    """An attempt took too long. `reason` tells which of the `Timeouts` ran out: connect, read or total.

    It is caught as Python's own error, too:

        print(isinstance(AttemptTimeoutError("No byte for 10 s", reason="read"), TimeoutError))  # True
    """

    hint = "Raise timeouts= if the API is slow from here."


@frozen(slots=False, eq=False, repr=False, str=False)
class ConnectionLostError(TransportError):
    """The connection ended before the answer's head was complete. `received` is False where not one byte had come.

    A server may close an idle connection at any moment, so it is tried again:

        print(ConnectionLostError("The server hung up").retryable)  # True
    """

    hint: ClassVar[str] = "The server or something between closed the connection; a repeat usually succeeds."

    received: bool = field(default=False, kw_only=True)


@frozen(slots=False, eq=False, repr=False, str=False)
class PayloadError(TransportError):
    """The body broke off or could not be decompressed. Partial data is never returned.

    `reason`: cut; checksum (altered on the way); encoding (not what Content-Encoding says; retried once); unasked
    (compressed in a way that was not asked for; never retried).

        print(PayloadError("Cut off", reason="cut", received=100, expected=2048).retryable)  # True
    """

    hint: ClassVar[str] = "A repeat usually succeeds; if it does not, look for a proxy that alters answers."

    received: int = field(default=0, kw_only=True)
    expected: int | None = field(default=None, kw_only=True)

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        return PAYLOAD_KINDS.get(self.reason, "transient")


class ProtocolError(TransportError):
    """The answer is not valid HTTP. `reason`: invalid (retried once), or head_too_large (never retried).

    Only the first kind may have been an accident:

        print(ProtocolError("The head is too long", reason="head_too_large").retryable)  # False
    """

    hint = "Check that base_url points at an HTTP server and that no proxy alters the answers."

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        return "permanent" if self.reason == "head_too_large" else "once"


class ResponseTooLargeError(TransportError):
    """The body is larger than the transport accepts, after decompression. Never retried.

    The next one would be as large:

        print(ResponseTooLargeError("More than 8 MiB").retryable)  # False
    """

    kind: ClassVar[Kind] = "permanent"
    hint = "Raise max_body= of the transport if answers of this size are expected."


@frozen(slots=False, eq=False, repr=False, str=False)
class RedirectRefusedError(TransportError):
    """The server redirects. That is not followed, since the key would go along; `location` is the target's origin.

    It tells where to, without path and query:

        transport = MockTransport(lambda _: Response(301, {"Location": "https://www.chatloom.app/api"}))
        try:
            await AsyncChatloom(transport=transport).list_agents()
        except RedirectRefusedError as error:
            print(error.location)  # https://www.chatloom.app
    """

    kind: ClassVar[Kind] = "permanent"
    hint: ClassVar[str] = "Set base_url to the final https origin."

    location: str = field(default="", kw_only=True, converter=clean)
