"""Checks DNS, the TCP connection and TLS on the way to the API. Sends no request and no key."""

import asyncio
import errno
import socket
import ssl
import threading
import time
from asyncio import StreamWriter
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, Final

from ..wire.cleaning import first_of
from .observation import Observation, ok, skipped, warning, wrong

Resolve = Callable[[str, int], Sequence[Any]]  # answers like `socket.getaddrinfo`, and blocks
SHOWN = 4
ADVICE = "Check the base URL's spelling, this machine's DNS, and whether a VPN or proxy is needed."


def resolve(host: str, port: int) -> Sequence[Any]:
    """Resolves like aiohttp: for stream sockets, and only for address families that this machine has."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)


async def check_names(host: str, port: int, ask: Resolve) -> tuple[list[str], Observation]:
    """The addresses in the system's order, maybe none, and the observation about them."""
    with suppress(ValueError):
        ip_address(host)
        return [host], skipped("names", f"{host} is an address, so there is nothing to look up")
    began = time.perf_counter()
    answer = await _in_thread(ask, host, port)
    seconds = time.perf_counter() - began
    if isinstance(answer, Exception):
        reason = getattr(answer, "strerror", None) or str(answer)
        return [], wrong("names", f"{host} was not found: {reason}", ADVICE, host=host, seconds=round(seconds, 4))
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in answer))
    found = f"{host} is {first_of(addresses, SHOWN)}, found in {seconds * 1000:.0f} ms"
    return addresses, ok("names", found, host=host, addresses=addresses, seconds=round(seconds, 4))


async def _in_thread(ask: Resolve, host: str, port: int) -> Sequence[Any] | Exception:
    """The result of a look-up in a thread, or its exception, as data."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Sequence[Any] | Exception] = loop.create_future()

    def settle(answer: Sequence[Any] | Exception) -> None:
        if not done.done():
            done.set_result(answer)

    def look_up() -> None:
        try:
            answer: Sequence[Any] | Exception = ask(host, port)
        except (OSError, UnicodeError) as problem:  # UnicodeError: a label that is too long for DNS
            answer = problem
        with suppress(RuntimeError):  # the event loop is closed
            loop.call_soon_threadsafe(settle, answer)

    threading.Thread(target=look_up, name="chatloom_names", daemon=True).start()
    return await done


SOON: Final = 14  # days. Automatic renewal happens earlier than that
CLOCK: Final = "Check this machine's clock; if it is right, the server's operator has to renew the certificate."
NAME: Final = "Check the host in the base URL, and whether a proxy or portal answers in its place."
TRUST: Final = (
    "Behind a company's proxy, or with a CA of your own: SSL_CERT_FILE=ca.pem, or AiohttpTransport(ssl=context)."
)
OTHER: Final = "Check the base URL and its port, and what stands between this machine and the API."

REFUSED: Final[dict[int, tuple[str, str]]] = {  # X509_V_ERR_... of OpenSSL's x509_vfy.h
    9: ("the certificate is not valid yet", CLOCK),
    10: ("the certificate has expired", CLOCK),
    18: ("the certificate is self-signed, so no authority that this machine trusts has signed it", TRUST),
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
    "TLSV1_ALERT_PROTOCOL_VERSION": "both sides have no TLS version in common",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "both sides have no cipher in common",
}


def refusal(problem: OSError) -> tuple[str, str]:
    """Why the TLS handshake failed, and what to do."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        plain = f"the certificate was refused: {problem.verify_message}"
        return REFUSED.get(problem.verify_code, (plain, OTHER))
    if reason := getattr(problem, "reason", None):  # OpenSSL's reason; an SSLError may lack it
        return BROKEN.get(reason, f"the handshake failed: {reason}"), OTHER
    return "the server broke off the handshake", OTHER


def check_certificate(version: str, certificate: dict[str, Any], seconds: float, now: float) -> Observation:
    """Warns if the certificate expires soon. `now` is in seconds since 1970."""
    issuer = {name: value for part in certificate["issuer"] for name, value in part}
    by = issuer.get("organizationName") or issuer.get("commonName") or "an authority without a name"
    expires: str = certificate["notAfter"]
    days = int((ssl.cert_time_to_seconds(expires) - now) // 86400)
    more = f"{days} more day{'' if days == 1 else 's'}"
    found = f"{version} in {seconds * 1000:.1f} ms; certificate by {by}, valid for {more}"
    facts = {"version": version, "issuer": by, "days": days, "expires": expires, "seconds": round(seconds, 4)}
    if days < SOON:
        return warning("TLS", found, "If it is not renewed by then, calls fail.", **facts)
    return ok("TLS", found, **facts)


PATIENCE = 5.0  # seconds for each address, like the client's connect timeout
NO_WAY = "Check the port, the firewall, and whether a VPN or proxy is needed."


def _failure(problem: OSError) -> str:
    """The error's name, such as `ECONNREFUSED`. Its text repeats the address."""
    if isinstance(problem, TimeoutError):
        return "no answer"
    return errno.errorcode.get(problem.errno or 0, type(problem).__name__)


async def check_connection(addresses: Sequence[str], port: int) -> tuple[StreamWriter | None, Observation]:
    """A connection to the first address that accepts one, and a warning about those before it that did not."""
    failed: list[str] = []
    for address in addresses:
        shown = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        began = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE):
                _, writer = await asyncio.open_connection(address, port)
        except OSError as problem:
            failed.append(f"{shown} ({_failure(problem)})")
            continue
        seconds = time.perf_counter() - began
        found = f"{shown} in {seconds * 1000:.1f} ms"
        facts = {"address": shown, "seconds": round(seconds, 4), "failed": failed}
        if not failed:
            return writer, ok("connection", found, **facts)
        advice = "Calls work, but may begin slowly: those addresses are tried as well."
        return writer, warning("connection", f"{found}, but not {', '.join(failed)}", advice, **facts)
    return None, wrong("connection", f"none to {', '.join(failed)}", NO_WAY, failed=failed)


async def check_tls(writer: StreamWriter, host: str, context: ssl.SSLContext) -> Observation:
    """Starts TLS on the connection. The certificate is verified as in the client."""
    began = time.perf_counter()
    try:
        await writer.start_tls(context, server_hostname=host)
    except (OSError, ssl.SSLError) as problem:
        found, advice = refusal(problem)
        return wrong("TLS", found, advice, reason=getattr(problem, "reason", None) or _failure(problem))
    seconds = time.perf_counter() - began
    version = writer.get_extra_info("ssl_object").version()
    return check_certificate(version, writer.get_extra_info("peercert"), seconds, time.time())
