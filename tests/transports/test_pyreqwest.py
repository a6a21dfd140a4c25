"""What is special about PyreqwestTransport: how it keeps keys apart, what it makes of `ssl`, and what it cannot do."""

import asyncio
import ssl
import subprocess
import sys
from contextlib import aclosing
from typing import Any

import pytest

from chatloom_async import (
    AttemptTimeoutError,
    ConfigurationError,
    ConnectError,
    ProtocolError,
    Response,
    Timeouts,
    UsageError,
)
from tests.faults.scenes import authority, serving, trusting
from tests.raw_server import SILENCE, RawServer, http
from tests.samples import KEY, OTHER_KEY
from tests.signed import keys, signed
from tests.transports.gone import arrived, gone
from tests.transports.proxy import Proxy

pytest.importorskip("pyreqwest")

from chatloom_async.transports import pyreqwest_clients
from chatloom_async.transports.pyreqwest import PyreqwestTransport
from chatloom_async.transports.pyreqwest_clients import KEYS_PER_CLIENT, LIMITS, Clients, builder
from chatloom_async.transports.pyreqwest_heeding import heeding

GOOD = http(b"{}")


async def test_what_tells_the_keys_apart_is_not_told_to_a_proxy() -> None:
    """Neither in the clear nor in a tunnel; and there, too, each key has connections of its own."""
    async with RawServer((GOOD,)) as plain, RawServer((GOOD,), tls=serving()) as secret, Proxy() as proxy:
        async with aclosing(PyreqwestTransport(ssl=trusting(), proxy=proxy.url())) as transport:
            for server in (plain, secret):
                for key in (KEY, OTHER_KEY) * 2:
                    assert isinstance(await transport.send(signed(server.url, key)), Response)
        assert proxy.lines == [
            *[f"GET {plain.url}/api/plugin/agents HTTP/1.1"] * 2,
            *[f"CONNECT localhost:{secret.port} HTTP/1.1"] * 2,
        ]


async def test_headers_that_are_not_ascii_are_dropped() -> None:
    """The others are there, and none of them is an error."""
    script = (http(b"{}", "200 OK", "A: \xe9", "B: c", "B: d"),)
    async with RawServer(script) as server, aclosing(PyreqwestTransport()) as transport:
        answer = await transport.send(signed(server.url))
    assert answer == Response(200, {"Content-Type": "application/json", "Content-Length": "2", "B": "c, d"}, b"{}")


async def test_a_cancelled_request_goes_on_in_the_background() -> None:
    """Until `Timeouts.read` has passed: pyreqwest lets go of its work, and does not end it."""
    async with RawServer((SILENCE,)) as server, aclosing(PyreqwestTransport()) as transport:
        timeouts = Timeouts(connect=0.2, read=0.4)
        task = asyncio.create_task(transport.send(signed(server.url, timeouts=timeouts)))
        assert await arrived(server)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not await gone(server, 0.1)
        assert await gone(server)


async def test_the_time_for_an_answer_counts_from_the_start() -> None:
    """Pieces of a head do not start it anew."""
    script = (b"HTTP/1.1 200 OK\r\n", *[b"A: b\r\n", 0.1] * 9)
    async with RawServer(script) as server, aclosing(PyreqwestTransport()) as transport:
        error = await transport.send(signed(server.url, timeouts=Timeouts(connect=0.1, read=0.3)))
    assert error == AttemptTimeoutError(f"{server.url} stopped sending for too long", reason="read")


@pytest.mark.parametrize(("size", "taken"), [(400_000, True), (1_000_000, False)])
async def test_a_head_may_be_large(size: int, taken: bool) -> None:
    """Of 400 kB, and somewhat more; what is too large will be so again."""
    script = (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: " + b"b" * size + b"\r\n\r\n{}", SILENCE)
    async with RawServer(script) as server, aclosing(PyreqwestTransport()) as transport:
        outcome = await transport.send(signed(server.url))
    text = f"The answer of {server.url} is not valid HTTP"
    assert isinstance(outcome, Response) if taken else outcome == ProtocolError(text, reason="head_too_large")


@pytest.mark.parametrize("weakened", ["check_hostname", "verify_mode"])
def test_a_context_that_does_not_check_is_refused(weakened: str) -> None:
    """It cannot be followed, and is not followed in silence."""
    context = ssl.create_default_context()
    context.check_hostname = False
    if weakened == "verify_mode":
        context.verify_mode = ssl.CERT_NONE
    with pytest.raises(ConfigurationError, match="always checks certificates"):
        PyreqwestTransport(ssl=context)


@pytest.mark.parametrize(("lowest", "highest"), [("TLSv1_3", "TLSv1_3"), ("TLSv1_2", "TLSv1_2")])
async def test_the_tls_versions_of_the_context_count(lowest: str, highest: str) -> None:
    """A server that speaks only the other one is not talked to."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    context.minimum_version, context.maximum_version = ssl.TLSVersion[lowest], ssl.TLSVersion[highest]
    other = serving()
    other.minimum_version = other.maximum_version = ssl.TLSVersion["TLSv1_2" if lowest == "TLSv1_3" else "TLSv1_3"]
    async with RawServer((GOOD,), tls=other) as server, aclosing(PyreqwestTransport(ssl=context)) as transport:
        error = await transport.send(signed(server.url))
    text = f"{server.url} broke off the handshake (unknown)"
    assert (error, len(server.requests)) == (ConnectError(text, reason="handshake", sent=False), 0)


async def test_a_context_without_versions_is_followed_as_well() -> None:
    """Then rustls decides: TLS 1.2 or 1.3."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    async with RawServer((GOOD,), tls=serving()) as server, aclosing(PyreqwestTransport(ssl=context)) as transport:
        assert isinstance(await transport.send(signed(server.url)), Response)


@pytest.mark.parametrize("deaf", [True, False])
async def test_a_cancellation_is_heeded_even_where_pyreqwest_forgets_it(deaf: bool) -> None:
    """What it returns, or raises in the place of the cancellation, does not count."""

    async def work() -> str:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            if not deaf:
                raise asyncio.CancelledError("Request was cancelled") from None
        return "the result"

    async def heeded() -> str:
        return await heeding(work())

    task = asyncio.create_task(heeded())
    await asyncio.sleep(0)
    task.cancel("enough")
    with pytest.raises(asyncio.CancelledError, match="enough"):
        await task


async def test_a_cancellation_that_nobody_asked_for_is_passed_on() -> None:
    """As it is."""

    async def work() -> None:
        raise asyncio.CancelledError("its own")

    with pytest.raises(asyncio.CancelledError, match="its own"):
        await heeding(work())


async def test_few_clients_serve_many_keys() -> None:
    """64 keys each; of clients with the same timeouts two are kept, and a key stays with its own."""
    clients = Clients(builder(None, None, reused=True), KEYS_PER_CLIENT, 2)
    timeouts = Timeouts()
    serving = [clients.serving(key, timeouts) for key in keys(3 * KEYS_PER_CLIENT)]
    assert len(set(serving)) == 3
    asked = keys(3 * KEYS_PER_CLIENT)
    assert [clients.serving(key, timeouts) is serving[-1] for key in asked[-2:]] == [True, True]
    assert clients.serving(asked[0], timeouts) not in serving
    await clients.aclose()


async def test_each_pair_of_timeouts_takes_a_client() -> None:
    """The last eight are kept; without a limit to reading, that to the attempt ends what was cancelled."""
    clients = Clients(builder(None, None, reused=True), KEYS_PER_CLIENT, 2)
    made = [clients.serving(KEY, Timeouts(connect=1.0 + number)) for number in range(2 * LIMITS + 1)]
    assert len(set(made)) == 2 * LIMITS + 1
    assert clients.serving(KEY, Timeouts(connect=2.0 * LIMITS + 1)) is made[-1]
    assert clients.serving(KEY, Timeouts(connect=1.0)) is not made[0]
    endless: list[Any] = [clients.serving(KEY, Timeouts(connect=None, read=None, attempt=a)).limits for a in (2, None)]
    assert endless == [(None, 2.1), (None, None)]
    await clients.aclose()


class Forked:
    """In the place of a builder, in a process that was forked: every option is fine, but nothing can be built."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: self

    def build(self) -> None:
        raise RuntimeError("A pyreqwest runtime was initialized before fork().")


def test_a_fork_is_a_mistake_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real fork is in the table of promises; its lines are not counted there."""
    monkeypatch.setattr(pyreqwest_clients, "ClientBuilder", Forked)
    with pytest.raises(UsageError, match="make the first request after the fork"):
        builder(None, None, reused=True)(1.0, 1.0)


async def test_it_knows_no_timeouts_where_there_are_none() -> None:
    """Nothing is invented in their place."""
    none = Timeouts(connect=None, read=None, attempt=None)
    async with RawServer((0.2, GOOD)) as server, aclosing(PyreqwestTransport()) as transport:
        assert isinstance(await transport.send(signed(server.url, timeouts=none)), Response)


def test_without_the_extra_it_says_what_to_install() -> None:
    """In one line, as an ImportError; and the package itself does not need it."""
    code = (
        "import sys; sys.modules['pyreqwest'] = None; import chatloom_async\n"
        "try: import chatloom_async.transports.pyreqwest\n"
        "except ImportError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert (
        said
        == "PyreqwestTransport needs pyreqwest: pip install 'chatloom-async[pyreqwest]', or '.[pyreqwest]' in a clone\n"
    )
