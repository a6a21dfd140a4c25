"""Opens a TCP connection to one of the addresses, and TLS on it. Sends nothing else: no request, no key."""

import asyncio
import errno
import ssl
import time
from asyncio import StreamWriter
from collections.abc import Sequence

from .certificate import examine_certificate, refusal
from .observation import Observation, ok, warning, wrong
from .time_limit import TimeLimit

PATIENCE = 5.0  # seconds for each address, as the client's own limit for connecting
NO_WAY = "Check the port, the firewall, and whether a VPN or proxy is needed."


def _failure(problem: OSError) -> str:
    """`ECONNREFUSED` rather than the sentence around it, which repeats the address."""
    if isinstance(problem, TimeoutError):
        return "no answer"
    return errno.errorcode.get(problem.errno or 0, type(problem).__name__)


async def examine_connection(
    addresses: Sequence[str], port: int, limit: TimeLimit
) -> tuple[StreamWriter | None, Observation]:
    """An open connection to the first address that takes one, and a warning for those before it that do not."""
    return await limit.bound(_connected(addresses, port), (None, limit.passed("connection")))


async def _connected(addresses: Sequence[str], port: int) -> tuple[StreamWriter | None, Observation]:
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
        return writer, _told(shown, seconds, failed)
    return None, wrong("connection", f"none to {', '.join(failed)}", NO_WAY, failed=failed)


def _told(shown: str, seconds: float, failed: list[str]) -> Observation:
    found = f"{shown} in {seconds * 1000:.1f} ms"
    facts = {"address": shown, "seconds": round(seconds, 4), "failed": failed}
    if not failed:
        return ok("connection", found, **facts)
    found += f", but not {', '.join(failed)}"
    return warning("connection", found, "Calls work, but may begin slowly: those addresses are tried as well.", **facts)


async def examine_tls(writer: StreamWriter, host: str, context: ssl.SSLContext, limit: TimeLimit) -> Observation:
    """What TLS on the connection comes to; the certificate is checked as the client checks it."""
    return await limit.bound(_encrypted(writer, host, context), limit.passed("TLS"))


async def _encrypted(writer: StreamWriter, host: str, context: ssl.SSLContext) -> Observation:
    began = time.perf_counter()
    try:
        await writer.start_tls(context, server_hostname=host)
    except (OSError, ssl.SSLError) as problem:
        found, advice = refusal(problem)
        return wrong("TLS", found, advice, reason=getattr(problem, "reason", None) or _failure(problem))
    seconds = time.perf_counter() - began
    version = writer.get_extra_info("ssl_object").version()
    return examine_certificate(version, writer.get_extra_info("peercert"), seconds, time.time())
