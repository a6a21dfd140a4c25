"""The guard in conftest.py: a test that would leave this machine fails instead."""

import asyncio
import socket

import pytest

REFUSED = pytest.fail.Exception


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("2001:db8::1", 80)])
def test_connecting_elsewhere_fails(address: tuple[str, int]) -> None:
    """A connection to another machine is refused before a packet is sent."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as sock, pytest.raises(REFUSED, match="loopback addresses only"):
        sock.connect(address)


def test_datagrams_elsewhere_fail() -> None:
    """A datagram to another machine is refused."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock, pytest.raises(REFUSED):
        sock.sendto(b"", ("192.0.2.1", 53))


async def test_looking_up_a_name_fails() -> None:
    """Name resolution is refused too, in asyncio's threads as well."""
    with pytest.raises(REFUSED, match=r"example\.com"):
        await asyncio.get_running_loop().getaddrinfo("example.com", 80)


async def test_loopback_is_open() -> None:
    """Servers and clients on this machine work, by address and by name."""
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        for host in ("127.0.0.1", "localhost"):
            reader, writer = await asyncio.open_connection(host, port)
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
