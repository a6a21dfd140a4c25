"""A DNS server on loopback for the sandbox's fictional domains. With it, `chatloom audit --sandbox --dns` sends no
query to the network.

Every name under the domains reserved for examples (RFC 2606) has an address, with two exceptions: the agency
webstudio.example, which has closed, and the lookalikes (xn--...), which are not registered. No other name exists.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from ..wire.errors import needed_by

if TYPE_CHECKING:
    from dns.message import Message

TOP_LEVEL: Final = ("example", "com", "net", "org")
RESERVED: Final = (".example", ".example.com", ".example.net", ".example.org")
GONE: Final = re.compile(r"(?:.*\.)?(?:webstudio|xn--[a-z0-9-]+)\.example")
ALIASES: Final = {"help.katsura.example": "katsura.webstudio.example"}  # hosted by the agency
ADDRESS: Final = "192.0.2.1"  # RFC 5737
TTL: Final = 300


@asynccontextmanager
async def serving_dns() -> AsyncIterator[str]:
    """Serves while the context is open; its value is "address:port". Raises MissingExtraError."""
    with needed_by("The sandbox's DNS", "dns", extra="dns"):
        import dns.message  # noqa: F401 - a missing extra is reported before the first query
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(FictionalDns, local_addr=("127.0.0.1", 0))
    try:
        yield "{}:{}".format(*transport.get_extra_info("sockname"))
    finally:
        transport.close()


class FictionalDns(asyncio.DatagramProtocol):
    """Answers each query at once and drops other datagrams."""

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        import dns.exception
        import dns.message

        try:
            query = dns.message.from_wire(data)
        except dns.exception.DNSException:
            return
        if query.question:
            self._transport.sendto(answer(query).to_wire(), addr)


def answer(query: "Message") -> "Message":
    """The response to a query of any type."""
    import dns.flags
    import dns.message
    import dns.rcode
    import dns.rdatatype
    import dns.rrset

    response = dns.message.make_response(query)
    response.flags |= dns.flags.RA
    question = query.question[0]
    name = question.name.to_text(omit_final_dot=True).lower()
    if name in TOP_LEVEL:
        return response
    if alias := ALIASES.get(name):
        response.answer.append(dns.rrset.from_text(question.name, TTL, "IN", "CNAME", f"{alias}."))
        name = alias
    if GONE.fullmatch(name) or not f".{name}".endswith(RESERVED):
        response.set_rcode(dns.rcode.NXDOMAIN)
    elif question.rdtype == dns.rdatatype.A:
        response.answer.append(dns.rrset.from_text(question.name, TTL, "IN", "A", ADDRESS))
    return response
