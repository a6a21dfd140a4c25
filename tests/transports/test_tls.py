"""TLS with a certificate authority of one's own."""

import ssl

from chatloom_async import Response
from tests.faults.scenes import serving, trusting
from tests.raw_server import RawServer, http
from tests.samples import KEY, OTHER_KEY
from tests.signed import signed
from tests.transports.kinds import Make


async def test_a_private_authority_and_one_handshake_for_each_key(make: Make) -> None:
    """`ssl=` is what the connections are checked with, and they are kept: six requests, two keys, two handshakes."""
    async with RawServer((http(b"{}"),), tls=serving()) as server:
        transport = make(ssl=trusting())
        answers = [await transport.send(signed(server.url, key)) for key in (KEY, OTHER_KEY) * 3]
        await transport.aclose()
    assert ([type(each) for each in answers], server.connections) == ([Response] * 6, 2)


def test_the_default_checks_certificates() -> None:
    """Nothing here switches that off: see also the fault table, rows 6 to 8."""
    assert trusting().verify_mode is ssl.CERT_REQUIRED
