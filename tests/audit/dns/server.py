"""A DNS server on loopback, over UDP and TCP, that says what a table says."""

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
from attrs import Factory, define

SILENT, SERVFAIL, REFUSED, GARBAGE = "SILENT", "SERVFAIL", "REFUSED", "GARBAGE"
TRUNCATED, TRUNCATED_TCP = "TRUNCATED", "TRUNCATED_TCP"  # over UDP only, and over both
Zone = Mapping[str, list[str]]


@define
class NameServer:
    """Answers from `zone`: by name, records such as "A 192.0.2.1" and "CNAME other.example", or a way to fail.

    An empty list is a name without an address. "*.name" stands for all names below. A name that is not in the table,
    and has none below it, does not exist. Aliases are followed as a recursive resolver does, unless `follows` is off.
    `asked` counts the questions, as "A name".
    """

    zone: Zone
    follows: bool = True
    ttl: int = 60
    asked: Counter[str] = Factory(Counter)
    address: str = ""

    def answer(self, wire: bytes, *, tcp: bool) -> bytes | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked[f"{kind} {name}"] += 1
        response = dns.message.make_response(query)
        records = self._records(name)
        if SILENT in (records or ()):
            return None
        if GARBAGE in (records or ()):
            return b"\0" * 12
        for code in (SERVFAIL, REFUSED):
            if code in (records or ()):
                response.set_rcode(dns.rcode.from_text(code))
                return response.to_wire()
        if TRUNCATED_TCP in (records or ()) or (TRUNCATED in (records or ()) and not tcp):
            response.flags |= dns.flags.TC
            return response.to_wire()
        self._fill(response, name, kind)
        return response.to_wire()

    def _fill(self, response: dns.message.Message, name: str, kind: str) -> None:
        seen: list[str] = []
        while name not in seen:
            seen.append(name)
            records = self._records(name)
            if records is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
                response.authority.append(dns.rrset.from_text(".", self.ttl, "IN", "SOA", "a. b. 1 2 3 4 5"))
                return
            if values := [each.partition(" ")[2] for each in records if each.startswith(f"{kind} ")]:
                response.answer.append(dns.rrset.from_text(f"{name}.", self.ttl, "IN", kind, *values))
            targets = [each.removeprefix("CNAME ") for each in records if each.startswith("CNAME ")]
            for target in targets:
                response.answer.append(dns.rrset.from_text(f"{name}.", self.ttl, "IN", "CNAME", f"{target}."))
                name = target
            if not targets or not self.follows:
                return

    def _records(self, name: str) -> list[str] | None:
        if name in self.zone:
            return self.zone[name]
        labels = name.split(".")
        for place in range(1, len(labels)):
            if (wildcard := ".".join(["*", *labels[place:]])) in self.zone:
                return self.zone[wildcard]
        return [] if any(other.endswith(f".{name}") for other in self.zone) else None


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self.server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        if (answer := self.server.answer(data, tcp=False)) is not None:
            self.transport.sendto(answer, addr)  # type: ignore[attr-defined]


@asynccontextmanager
async def serving(zone: Zone, **options: object) -> AsyncIterator[NameServer]:
    """The server, on a free port of 127.0.0.1 for both protocols; `address` is what a Resolver takes."""
    server = NameServer(zone, **options)  # type: ignore[arg-type]

    async def tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (size,) = struct.unpack("!H", await reader.readexactly(2))
        answer = server.answer(await reader.readexactly(size), tcp=True)
        if answer is not None:
            writer.write(struct.pack("!H", len(answer)) + answer)
            await writer.drain()
        writer.close()

    listener = await asyncio.start_server(tcp, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Udp(server), local_addr=("127.0.0.1", port)
    )
    server.address = f"127.0.0.1:{port}"
    try:
        yield server
    finally:
        transport.close()
        listener.close()
        await listener.wait_closed()
