"""TLS with a certificate authority of one's own."""

import asyncio
import ssl
from typing import Any, cast

import pytest

from chatloom_async import AiohttpTransport, ConnectError, Response, Timeouts, TLSError
from chatloom_async.transports import network as module
from chatloom_async.transports.aiohttp import idle
from chatloom_async.transports.aiohttp.connection import Connections
from tests.faults.scenes import serving, trusting
from tests.raw_server import RawServer, Step, free_port, http
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


def test_a_context_that_resumes_is_a_client_s() -> None:
    """As `wrap_bio` of the standard library is, unless it is told otherwise."""
    context = module.ResumingContext(trusting)
    wrapped = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
    assert (wrapped.server_side, wrapped.server_hostname) == (False, "localhost")


GOOD = http(b"{}")


@pytest.fixture
def resumed(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each connection that an answer came on, whether it resumed a session."""
    seen: list[bool] = []
    release: Any = Connections.release

    def watched(self: Connections, key: Any, protocol: Any, *, should_close: bool = False) -> None:
        tls = protocol.transport and protocol.transport.get_extra_info("ssl_object")
        if tls and not should_close:
            seen.append(tls.session_reused)
        release(self, key, protocol, should_close=should_close)

    monkeypatch.setattr(Connections, "release", watched)
    return seen


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("options", [{}, {"connection_reuse": False}])
async def test_new_connections_resume_the_session_of_the_first(
    version: ssl.TLSVersion, options: dict[str, bool], resumed: list[bool]
) -> None:
    """Of other keys as well, each on a connection of its own."""
    context = serving()
    context.maximum_version = version
    async with RawServer((GOOD,), tls=context) as server:
        transport = AiohttpTransport(ssl=trusting(), **options)
        answers = [await transport.send(signed(server.url, f"clf_{number}")) for number in range(4)]
        await transport.aclose()
    assert ([type(each) for each in answers], server.connections) == ([Response] * 4, 4)
    assert resumed == [False, True, True, True]
    assert server.keys() == [f"clf_{number}" for number in range(4)]


async def test_it_can_be_switched_off(resumed: list[bool]) -> None:
    """Then every connection has a full handshake, and one that fails has nothing to forget."""
    async with RawServer((GOOD,), tls=serving()) as server:
        transport = AiohttpTransport(ssl=trusting(), tls_resumption=False)
        for key in (KEY, OTHER_KEY):
            await transport.send(signed(server.url, key))
        refused = await transport.send(signed(f"https://127.0.0.1:{free_port()}"))
        await transport.aclose()
    assert (resumed, type(refused)) == ([False, False], ConnectError)


async def test_a_session_is_offered_for_a_minute(resumed: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """Then there is a full handshake, which checks the certificate again."""
    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    async with RawServer((GOOD,), tls=serving()) as server:
        transport = AiohttpTransport(ssl=trusting(), connection_reuse=False)
        for now in (100.0, 130.0, 159.0, 161.0, 220.0):  # noqa: B007
            await transport.send(signed(server.url))
        await transport.aclose()
    assert resumed == [False, True, True, False, True]


async def test_after_a_handshake_that_failed_no_session_is_offered(resumed: list[bool]) -> None:
    """A server that has changed is met as if it were new; what is wrong with its certificate is found."""
    context = serving()
    async with RawServer((GOOD,), tls=context) as server:
        transport = AiohttpTransport(ssl=trusting(), connection_reuse=False)
        await transport.send(signed(server.url))
        async with RawServer((GOOD,), tls=serving("elsewhere.example")) as other:
            refused = await transport.send(signed(other.url))
        await transport.send(signed(server.url))
        await transport.aclose()
    assert isinstance(refused, TLSError)
    assert resumed == [False, False]


async def test_a_session_is_offered_to_its_host_only(resumed: list[bool]) -> None:
    """Another name has a certificate of its own."""
    async with RawServer((GOOD,), tls=serving("127.0.0.1")) as server, RawServer((GOOD,), tls=serving()) as other:
        transport = AiohttpTransport(ssl=trusting(), connection_reuse=False)
        for url in (other.url, server.url.replace("localhost", "127.0.0.1")) * 2:
            assert isinstance(await transport.send(signed(url)), Response)
        await transport.aclose()
    assert resumed == [False, False, True, True]


async def test_a_server_without_tickets_costs_full_handshakes(resumed: list[bool]) -> None:
    """Nothing is offered that cannot be resumed."""
    context = serving()
    context.num_tickets = 0
    async with RawServer((GOOD,), tls=context) as server:
        transport = AiohttpTransport(ssl=trusting(), connection_reuse=False)
        for _ in range(2):
            await transport.send(signed(server.url))
        await transport.aclose()
    assert resumed == [False, False]


@pytest.mark.parametrize("ending", ["timeout", "answer", "expiry"])
async def test_a_finished_connection_does_not_wait_for_its_peer(ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server never reads the client's farewell. asyncio would keep the descriptor for 30 s."""
    if ending == "expiry":
        monkeypatch.setattr(idle, "KEEP_ALIVE", 0.0)
    good = http(b"{}", "200 OK", *(["Connection: close"] if ending == "answer" else []))

    def deaf(_: bytes) -> tuple[Step, ...]:
        for writer in server.open:
            cast("asyncio.Transport", writer.transport).pause_reading()
        return (9.0,) if ending == "timeout" else (good, 9.0)

    async with RawServer(deaf, tls=serving()) as server:
        transport = AiohttpTransport(ssl=trusting())
        await transport.send(signed(server.url, timeouts=Timeouts(read=0.1)))
        await asyncio.sleep(0.05)
        direct = transport._exchanges.current()
        assert direct is not None
        assert (direct.connections.bound.held, server.connections) == (0, 1)
        await transport.aclose()
