"""Puts certificates, and OpenSSL's refusals of them, into words. Pure; the connection is connection.py's business."""

import ssl
from typing import Any, Final

from .observation import Observation, ok, warning

SOON: Final = 14
"""Days. Certificates that are renewed by a machine are renewed earlier than that."""

CLOCK: Final = "Check this machine's clock; if it is right, the server's operator has to renew the certificate."
NAME: Final = "Check the host in the base URL, and whether a proxy or portal answers in its place."
TRUST: Final = (
    "Behind a company's proxy, or with a CA of your own: SSL_CERT_FILE=ca.pem, or AiohttpTransport(ssl=context)."
)
OTHER: Final = "Check the base URL and its port, and what stands between this machine and the API."

REFUSED: Final[dict[int, tuple[str, str]]] = {  # X509_V_ERR_... of OpenSSL's x509_vfy.h
    9: ("the certificate is not valid yet", CLOCK),
    10: ("the certificate has expired", CLOCK),
    18: ("the certificate is self-signed: nobody whom this machine trusts vouches for it", TRUST),
    19: ("the certificate comes from an authority that this machine does not trust", TRUST),
    20: ("the certificate comes from an authority that this machine does not know", TRUST),
    21: ("the server does not send the certificates that lead to an authority", TRUST),
    62: ("the certificate is for another host name", NAME),
    64: ("the certificate is for another address", NAME),
}
BROKEN: Final[dict[str, str]] = {
    "WRONG_VERSION_NUMBER": "this port does not speak TLS",
    "RECORD_LAYER_FAILURE": "this port does not speak TLS",
    "HTTP_REQUEST": "this port does not speak TLS",
    "UNSUPPORTED_PROTOCOL": "the server's TLS is too old",
    "TLSV1_ALERT_PROTOCOL_VERSION": "there is no TLS version that both sides speak",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "there is no way of encryption that both sides know",
}


def refusal(problem: OSError) -> tuple[str, str]:
    """Why there is no TLS, in plain words, and what to do."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        plain = f"the certificate was refused: {problem.verify_message}"
        return REFUSED.get(problem.verify_code, (plain, OTHER))
    if reason := getattr(problem, "reason", None):  # OpenSSL's; an SSLError need not have one
        return BROKEN.get(reason, f"the handshake failed: {reason}"), OTHER
    return "the server broke off the handshake", OTHER


def examine_certificate(version: str, certificate: dict[str, Any], seconds: float, now: float) -> Observation:
    """A warning where the certificate ends soon. `now` is in seconds since 1970."""
    issuer = {name: value for part in certificate["issuer"] for name, value in part}
    by = issuer.get("organizationName") or issuer.get("commonName") or "an authority without a name"
    days = int((ssl.cert_time_to_seconds(certificate["notAfter"]) - now) // 86400)
    found = f"{version} in {seconds * 1000:.1f} ms; certificate by {by}, valid for {days} more {_days(days)}"
    facts = {
        "version": version,
        "issuer": by,
        "days": days,
        "expires": certificate["notAfter"],
        "seconds": round(seconds, 4),
    }
    if days < SOON:
        return warning("TLS", found, "If it is not renewed by then, calls fail.", **facts)
    return ok("TLS", found, **facts)


def _days(count: int) -> str:
    return "day" if count == 1 else "days"
