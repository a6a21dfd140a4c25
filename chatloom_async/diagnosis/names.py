"""Asks the system for the addresses of a host, in a thread that nobody has to wait for.

The event loop's own look-up runs in threads that `asyncio.run` waits for at its end: one that hangs would hang the
program.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from .observation import Observation, ok, skipped, wrong
from .time_limit import TimeLimit

Resolve = Callable[[str, int], Sequence[Any]]
"""Answers like `socket.getaddrinfo`, and blocks."""

SHOWN = 4
ADVICE = "Check the base URL's spelling, this machine's DNS, and whether a VPN or proxy is needed."


def resolve(host: str, port: int) -> Sequence[Any]:
    """As aiohttp asks: for stream sockets, and only for kinds of addresses that this machine has itself."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)


async def examine_names(host: str, port: int, ask: Resolve, limit: TimeLimit) -> tuple[list[str], Observation]:
    """The addresses in the system's order, none where there are none, and what to say of them."""
    if _is_address(host):
        return [host], skipped("names", f"{host} is an address, so there is nothing to look up")
    return await limit.bound(_looked_up(host, port, ask), ([], limit.passed("names")))


async def _looked_up(host: str, port: int, ask: Resolve) -> tuple[list[str], Observation]:
    began = time.perf_counter()
    answer = await _in_thread(ask, host, port)
    seconds = time.perf_counter() - began
    if isinstance(answer, Exception):
        reason = getattr(answer, "strerror", None) or str(answer)
        return [], wrong("names", f"{host} was not found: {reason}", ADVICE, host=host, seconds=round(seconds, 4))
    addresses = list(dict.fromkeys(str(each[4][0]) for each in answer))
    more = f" and {len(addresses) - SHOWN} more" if len(addresses) > SHOWN else ""
    found = f"{host} is {', '.join(addresses[:SHOWN])}{more}, found in {seconds * 1000:.0f} ms"
    return addresses, ok("names", found, host=host, addresses=addresses, seconds=round(seconds, 4))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


async def _in_thread(ask: Resolve, host: str, port: int) -> Sequence[Any] | Exception:
    """What the look-up returns or raises, as data."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Sequence[Any] | Exception] = loop.create_future()

    def tell(answer: Sequence[Any] | Exception) -> None:
        if not done.done():
            done.set_result(answer)

    def look_up() -> None:
        try:
            answer: Sequence[Any] | Exception = ask(host, port)
        except (OSError, UnicodeError) as problem:  # UnicodeError: a label that is too long for DNS
            answer = problem
        with suppress(RuntimeError):  # the event loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, answer)

    threading.Thread(target=look_up, name="chatloom_names", daemon=True).start()
    return await done
