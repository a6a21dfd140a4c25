"""From an address, or from nothing, to an engine."""

import asyncio
import signal
import socket
import ssl
import sys
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest

from chatloom_async import ConfigurationError, MissingExtraError
from chatloom_async.engines import NoWorkersError, dask
from chatloom_async.engines.dask import dask_setup, workers_at, workers_here

distributed = pytest.importorskip("distributed")


async def test_an_engine_comes_from_an_address(cluster: str) -> None:
    """The cluster goes on afterwards."""
    for _ in range(2):
        async with workers_at(cluster) as engine:
            assert await engine.prepare() == 4


def unused() -> str:
    """An address at which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{sock.getsockname()[1]}"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nonsense", "missing port number in address 'nonsense'"),
        ("tls://127.0.0.1:9", "TLS expects a `ssl_context` argument"),
        (unused(), "Timed out trying to connect to tcp://127.0.0.1:"),
    ],
    ids=["no address", "no certificate", "nobody there"],
)
async def test_where_no_scheduler_is_the_error_says_so(
    address: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Dask's own reason, and what to give instead; nothing is left open."""
    monkeypatch.setattr(dask, "CONNECT_TIMEOUT", 0.2)
    with pytest.raises(NoWorkersError) as caught:
        async with workers_at(address):
            pass
    assert isinstance(caught.value, ConfigurationError)
    assert str(caught.value).startswith(f"No scheduler of Dask at {address}: {reason}")
    assert " give the address that `dask scheduler` prints, such as tcp://127.0.0.1:8786;" in str(caught.value)


@pytest.mark.parametrize("module", ["distributed", "cryptography"])
async def test_where_the_extra_is_missing_the_error_names_it(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever part of it."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError) as caught:
        async with workers_here():
            pass
    assert str(caught.value) == (
        f"An audit on Dask, here and on each worker, needs {module}, which is not installed. "
        "Install it: pip install '.[dask]' in a clone of chatloom_async."
    )


def status(port: int, page: str) -> int:
    """With which the scheduler's web server answers."""
    with closing(HTTPConnection("127.0.0.1", port)) as server:
        server.request("GET", f"/{page}")
        return server.getresponse().status


async def intrude(port: int) -> None:
    """Talks TLS to whoever it is, without a certificate, and listens."""
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=anybody)
    try:
        await reader.readexactly(1)
    finally:
        writer.close()


async def test_a_cluster_of_ones_own_is_for_nobody_else() -> None:
    """Scheduler and workers refuse who has not its certificate, and have no pages; it ends with the context."""
    async with workers_here(1) as engine:
        addresses = [engine.client.scheduler.address, *(await engine.client.nthreads())]  # type: ignore[union-attr]
        assert await engine.prepare() == dask.THREADS
        ports = [int(each.removeprefix("tls://127.0.0.1:")) for each in addresses]
        for port in ports:
            with pytest.raises(ssl.SSLError, match="ALERT_CERTIFICATE_REQUIRED"):
                await intrude(port)
        pages: Any = engine.client.scheduler_info()["services"]["dashboard"]
        assert [await asyncio.to_thread(status, pages, name) for name in ("metrics", "info/main/logs.html")] == [
            404
        ] * 2
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


def test_ctrl_c_is_nothing_to_a_worker() -> None:
    """It reaches every process of a terminal; the one that audits decides."""
    before = signal.getsignal(signal.SIGINT)
    try:
        dask_setup(None)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
